//! The pass: what a fresh proof of all legs gives, and what a request cannot be made without.

use jiff::{SignedDuration, Timestamp};

use super::closed::Closed;
use crate::domain::{Depth, HostName, Lane, MoveKind, Pair, ServerId, Verdict};
use crate::moves::needs::Needs;
use crate::openssh::parse_address;

/// The move that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The server.
    pub server: ServerId,
    /// How.
    pub kind: MoveKind,
    /// Where it is.
    pub source: HostName,
    /// Where to.
    pub destination: HostName,
    /// The two as nodes of the inventory.
    pub pair: Pair,
}

/// A leg that was just climbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegProof {
    /// The pair whose leg it is.
    pub pair: Pair,
    /// Its lane.
    pub lane: Lane,
    /// The verdict.
    pub verdict: Verdict,
    /// How far it was climbed.
    pub depth: Depth,
    /// The literal name that was dialled.
    pub dialled: Option<String>,
    /// When the climb *began*: what changed later was not seen.
    pub at: Timestamp,
}

/// The addresses that Nova reports of a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reported {
    /// `dest_host` of its newest row in os-migrations.
    pub dest_host: Option<String>,
    /// `host_ip` of its hypervisor: `CONF.my_ip`.
    pub host_ip: Option<String>,
    /// `my_ip` as the survey read it there; what `host_ip` should be.
    pub my_ip: Option<String>,
}

/// An operator's decision to let one move through all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override(String);

impl Override {
    /// Takes the reason.
    ///
    /// # Errors
    /// There is none.
    pub fn new(reason: &str) -> Result<Self, &'static str> {
        let reason = reason.trim();
        if reason.is_empty() {
            return Err("overriding the gate needs a reason");
        }
        Ok(Self(reason.chars().take(500).collect()))
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0
    }
}

/// Lets one move of one server to one destination through, until a moment. Made by [`pass`] from fresh proofs only;
/// used up by the request.
#[derive(Debug, PartialEq, Eq)]
pub struct Pass {
    wanted: Wanted,
    until: Timestamp,
    overridden: Option<Override>,
}

impl Pass {
    /// The move that it is for.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Until when it is good.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// The reason for which an operator overrode the gate.
    #[must_use]
    pub fn overridden(&self) -> Option<&str> {
        self.overridden.as_ref().map(Override::reason)
    }
}

/// Decides on a move to a destination.
///
/// # Errors
/// Everything that closes the gate, in the order of the lanes.
pub fn pass(
    wanted: Wanted,
    needs: &Needs,
    proofs: &[LegProof],
    reported: &Reported,
    max_age: SignedDuration,
    now: Timestamp,
    overriding: Option<Override>,
) -> Result<Pass, Vec<Closed>> {
    let mut closed = Vec::new();
    let mut oldest = now;
    for leg in &needs.legs {
        let lane = leg.lane;
        let Some(proof) = proofs.iter().find(|proof| proof.lane == lane) else {
            closed.push(Closed::NotProven(lane));
            continue;
        };
        if proof.pair != wanted.pair {
            closed.push(Closed::OtherPair(lane));
            continue;
        }
        match proof.verdict {
            Verdict::NotNeeded(_) => continue,
            Verdict::Verified => {}
            other => {
                closed.push(Closed::Leg(lane, other));
                continue;
            }
        }
        let age = now.duration_since(proof.at);
        // A proof of the future is one whose clock was set back since.
        if age > max_age || age < SignedDuration::ZERO {
            closed.push(Closed::TooOld {
                lane,
                age: age.as_secs(),
                bound: max_age.as_secs(),
            });
        }
        // libvirt's tunnel copies no file: its proof has no such rung.
        if proof.depth < Depth::Copy && lane != Lane::Live {
            closed.push(Closed::TooShallow(lane));
        }
        match lane {
            Lane::ColdPush => closed.extend(address(proof.dialled.as_deref(), reported)),
            Lane::Live => closed.extend(other_node(reported)),
            Lane::ColdPull => {}
        }
        oldest = oldest.min(proof.at);
    }
    if closed.iter().any(Closed::is_absolute) || (!closed.is_empty() && overriding.is_none()) {
        return Err(closed);
    }
    Ok(Pass {
        until: if closed.is_empty() {
            oldest + max_age
        } else {
            now + max_age
        },
        overridden: overriding.filter(|_| !closed.is_empty()),
        wanted,
    })
}

/// Whether Nova would dial what was proven: the source dials `dest_host`, which the destination writes into the row.
fn address(dialled: Option<&str>, reported: &Reported) -> Option<Closed> {
    let proven = dialled?;
    let differs = |reported: &str, proven: &str, place| {
        (!same(reported, proven)).then(|| Closed::Address {
            proven: proven.to_owned(),
            reported: reported.to_owned(),
            place,
        })
    };
    if let Some(dest_host) = &reported.dest_host {
        return differs(dest_host, proven, "dest_host of its newest migration");
    }
    // `host_ip` is my_ip, and what is dialled may be another address than that: compare like with like.
    let expected = reported.my_ip.as_deref().unwrap_or(proven);
    differs(
        reported.host_ip.as_deref()?,
        expected,
        "host_ip of its hypervisor",
    )
}

/// Whether Nova's host is another node than the one that was surveyed, or runs by another nova.conf. Nova reports no address
/// that a live move dials: `dest_host` of its rows is null.
fn other_node(reported: &Reported) -> Option<Closed> {
    let (host_ip, my_ip) = (reported.host_ip.as_deref()?, reported.my_ip.as_deref()?);
    (!same(host_ip, my_ip)).then(|| Closed::OtherNode {
        surveyed: my_ip.to_owned(),
        reported: host_ip.to_owned(),
    })
}

/// The same address however it is written, or the same name.
fn same(one: &str, other: &str) -> bool {
    match (parse_address(one), parse_address(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one.eq_ignore_ascii_case(other),
    }
}
