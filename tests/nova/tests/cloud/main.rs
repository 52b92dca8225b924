//! The lab itself: that its Nova is Nova, and that it does what it was told.

mod api;
mod client;
mod cold;
mod computes;
mod ends;
mod live;
mod real_ssh;
mod shared;
