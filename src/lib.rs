//! Clearway proves that every ordered pair of OpenStack compute nodes can really do what Nova will ask of them
//! over SSH. See ARCHITECTURE.md for the layers and the way of the data.

pub mod cli;
pub mod domain;
pub mod files;
pub mod frame;
pub mod inquiry;
pub mod inventory;
pub mod ledger;
pub mod moves;
pub mod nova;
pub mod openssh;
pub mod openstack;
pub mod proof;
pub mod remote;
pub mod repair;
pub mod report;
pub mod run;
pub mod signer;
pub mod survey;
pub mod system;
pub mod trust;
