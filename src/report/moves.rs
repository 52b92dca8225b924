//! What a run of moves did, and which servers could move, as data. docs/moves.schema.json describes the JSON form of
//! [`MovesReport`].

use serde::{Deserialize, Serialize};

use super::LegReport;
use crate::domain::Lane;

/// Version of the JSON form of [`MovesReport`] and [`ServersReport`].
pub const MOVES_SCHEMA_VERSION: u32 = 1;

/// What a run of moves did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovesReport {
    /// [`MOVES_SCHEMA_VERSION`].
    pub schema: u32,
    /// The run's id.
    pub run: String,
    /// `migrate`, `drain`, `confirm` or `revert`.
    pub command: String,
    /// The Compute API's address.
    pub cloud: String,
    /// Whether only the plan was made.
    pub dry_run: bool,
    /// Whether it was interrupted, and can be resumed.
    pub interrupted: bool,
    /// The exit code.
    pub exit_code: u8,
    /// Why nothing new was started any more, if that was so.
    pub stopped: Option<String>,
    /// The moves, in the plan's order.
    pub moves: Vec<MoveRow>,
    /// Servers that were meant and cannot move.
    pub stay: Vec<StayRow>,
    /// Hosts that were drained, and what became of their services.
    pub services: Vec<ServiceRow>,
    /// Hosts that were drained, and of which nobody knows whether they are empty.
    pub unseen: Vec<UnseenRow>,
}

/// One move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveRow {
    /// The server's id.
    pub server: String,
    /// Its name.
    pub name: String,
    /// `cold`, `live` or `resize`.
    pub kind: String,
    /// Where it was, by service host name.
    pub source: String,
    /// Where it went, or was to go.
    pub destination: Option<String>,
    /// `done`, `reverted`, `unconfirmed`, `failed`, `refused`, `unknown`, `not-started`, or the stage that it is in.
    pub verdict: String,
    /// Why; empty when there is nothing to say.
    pub why: String,
    /// What failed, as Nova and the leg say it.
    pub explained: Vec<String>,
    /// Nova's id of the request.
    pub request_id: Option<String>,
    /// Seconds from its first proof to its end.
    pub seconds: Option<u64>,
    /// Destinations in the order in which they would be tried, for a plan.
    pub candidates: Vec<String>,
}

/// A live move that was to be aborted or forced to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteeredRow {
    /// The server's id.
    pub server: String,
    /// Its name.
    pub name: String,
    /// `abort` or `force-complete`.
    pub asked: String,
    /// The number of its row in os-migrations, when a live move was under way.
    pub migration: Option<u64>,
    /// `aborted`, `completed`, `refused` (nothing was done), `failed` or `unknown`.
    pub outcome: String,
    /// Why; empty when there is nothing to say.
    pub why: String,
    /// The server's status now.
    pub status: String,
    /// Where it is now, by service host name.
    pub host: Option<String>,
}

/// A server that cannot move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StayRow {
    /// The server's id.
    pub server: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub host: Option<String>,
    /// Why it cannot.
    pub why: String,
}

/// A host that was drained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// The host.
    pub host: String,
    /// What became of its service.
    pub what: String,
    /// Whether nothing is left to do: it is as it was, or not this run's to change any more. Not where it could not be
    /// disabled.
    pub settled: bool,
}

/// A drained host that could not be looked at in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnseenRow {
    /// The host.
    pub host: String,
    /// Why not.
    pub why: String,
}

/// Which servers could move, and where to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServersReport {
    /// [`MOVES_SCHEMA_VERSION`].
    pub schema: u32,
    /// The Compute API's address.
    pub cloud: String,
    /// How many seconds old a proof may be for its destination to be open.
    pub max_age: u64,
    /// The servers.
    pub servers: Vec<ServerRow>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRow {
    /// Its id.
    pub server: String,
    /// Its name.
    pub name: String,
    /// Its project's id.
    pub project: String,
    /// Where it is, by service host name.
    pub host: Option<String>,
    /// Nova's status.
    pub status: String,
    /// Its availability zone.
    pub zone: Option<String>,
    /// Whether and where it can move cold.
    pub cold: WayRow,
    /// Whether and where it can move live.
    pub live: WayRow,
}

/// One way to move a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayRow {
    /// Why it cannot move this way; `None` when it can.
    pub no: Option<String>,
    /// The lanes that the move needs.
    pub lanes: Vec<String>,
    /// Destinations whose legs have been proven within the time, the roomiest first.
    pub open: Vec<String>,
    /// Destinations that could be tried, and whose legs have no fresh proof.
    pub unproven: Vec<String>,
}

impl WayRow {
    /// Why a server cannot move whose host is none that is known.
    pub const HOST_UNKNOWN: &'static str = "its host is no known node of the inventory";
}

/// What an error text means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosisReport {
    /// What it is.
    pub what: String,
    /// The lane in which it happened.
    pub lane: Option<Lane>,
    /// The name that was dialled.
    pub dialled: Option<String>,
    /// Code of the reason.
    pub code: Option<String>,
    /// The policy rule that is missing.
    pub policy: Option<String>,
    /// What it has done to the server.
    pub server: Option<String>,
    /// Whether the text was cut, and the message supplied.
    pub completed: bool,
    /// What to do.
    pub remedy: Vec<String>,
    /// The legs that it may have been, climbed now.
    #[serde(default)]
    pub legs: Vec<LegReport>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdict: &str) -> MovesReport {
        let text = |it: &str| it.to_owned();
        MovesReport {
            schema: MOVES_SCHEMA_VERSION,
            run: text("20261123-013355-7f3a9c"),
            command: text("migrate"),
            cloud: text("http://nova/v2.1"),
            dry_run: false,
            interrupted: false,
            exit_code: 0,
            stopped: Some(text("the deadline has passed")),
            moves: vec![MoveRow {
                server: text("s"),
                name: text("web-1"),
                kind: text("resize"),
                source: text("cmp001"),
                destination: None,
                verdict: verdict.to_owned(),
                why: String::new(),
                explained: vec![text("x")],
                request_id: Some(text("req-1")),
                seconds: Some(3),
                candidates: vec![text("cmp002")],
            }],
            stay: vec![StayRow {
                server: text("t"),
                name: text("web-2"),
                host: None,
                why: text("it is shelved"),
            }],
            services: vec![ServiceRow {
                host: text("cmp001"),
                what: text("enabled again"),
                settled: true,
            }],
            unseen: vec![UnseenRow {
                host: text("cmp001"),
                why: text("Nova is away"),
            }],
        }
    }

    /// Closes every object of the schema, so that a field that it does not have is an error.
    fn close(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(object) => {
                object.values_mut().for_each(close);
                if object.contains_key("properties") && object.contains_key("required") {
                    object.insert("additionalProperties".to_owned(), false.into());
                }
            }
            serde_json::Value::Array(array) => array.iter_mut().for_each(close),
            _ => {}
        }
    }

    #[test]
    fn the_schema_has_every_field_and_every_verdict() {
        let mut schema =
            serde_json::from_str(include_str!("../../docs/moves.schema.json")).unwrap();
        close(&mut schema);
        let schema = jsonschema::draft202012::new(&schema).unwrap();
        let verdicts = [
            "planned",
            "done",
            "unconfirmed",
            "reverted",
            "not-started",
            "refused",
            "unknown",
            "failed",
        ];
        for verdict in verdicts {
            let json = serde_json::to_value(report(verdict)).unwrap();
            let errors: Vec<String> = schema.iter_errors(&json).map(|it| it.to_string()).collect();
            assert!(errors.is_empty(), "{verdict}: {errors:?}");
        }
        let json = serde_json::to_value(report("perhaps")).unwrap();
        assert!(!schema.is_valid(&json));
    }
}
