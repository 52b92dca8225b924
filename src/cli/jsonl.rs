//! JSON lines: one for each event as it happens, and the report as the last one.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::console::Stream;
use super::observe::Teller;
use super::render::write_json_line;
use crate::domain::{Event, Progress};
use crate::ledger::StoredEvent;
use crate::report::Report;

/// Writes events to stdout.
pub(super) struct JsonLines {
    out: Stream,
    now: fn() -> Timestamp,
    seq: u64,
}

/// What every line begins with.
#[derive(Serialize)]
struct Head {
    seq: u64,
    at: String,
}

impl JsonLines {
    pub(super) fn new(out: Stream, now: fn() -> Timestamp) -> Self {
        Self { out, now, seq: 0 }
    }
}

impl Teller for JsonLines {
    fn event(&mut self, event: &Event) {
        self.seq += 1;
        let value = serde_json::to_value(event).expect("an event has nothing that JSON cannot say");
        let at = (self.now)();
        // A reader that has gone is found out when the report is written.
        let _ = write_event(&mut self.out, self.seq, at, value);
    }

    fn progress(&mut self, _progress: &Progress) {}

    fn say(&mut self, _line: &str) {}

    fn finish(&mut self) {}
}

/// Writes an event of an earlier run.
pub(super) fn write_stored(out: &mut Stream, event: &StoredEvent) -> std::io::Result<()> {
    let value = serde_json::from_str(&event.json).unwrap_or(Value::Null);
    write_event(out, event.seq, event.at, value)
}

/// Writes the last line.
pub(super) fn write_report(out: &mut Stream, report: &Report) -> std::io::Result<()> {
    write_last(out, report)
}

/// Writes the last line, whatever the report is of.
pub(super) fn write_last<R: Serialize>(out: &mut Stream, report: &R) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct Last<'r, R> {
        event: &'static str,
        report: &'r R,
    }
    let last = Last {
        event: "report",
        report,
    };
    write_json_line(out, &last)
}

fn write_event(out: &mut Stream, seq: u64, at: Timestamp, event: Value) -> std::io::Result<()> {
    let head = Head {
        seq,
        at: format!("{at:.3}"),
    };
    let mut line = serde_json::to_value(head)?;
    if let (Value::Object(line), Value::Object(event)) = (&mut line, event) {
        line.extend(event);
    }
    write_json_line(out, &line)?;
    std::io::Write::flush(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::captured;
    use crate::report::sample;

    #[test]
    fn every_line_is_a_document_and_the_last_one_is_the_report() {
        let (console, out, _) = captured();
        let mut lines = JsonLines::new(console.out.clone(), || {
            "2026-11-23T01:33:55.25Z".parse().unwrap()
        });
        lines.event(&Event::SurveyFinished {
            surveyed: 2,
            failed: 0,
        });
        lines.event(&Event::Interrupted);
        let report = sample::healthy(2);
        write_report(&mut console.out.clone(), &report).unwrap();
        let text = out.text();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines[0],
            serde_json::json!({
                "seq": 1, "at": "2026-11-23T01:33:55.250Z",
                "event": "survey-finished", "surveyed": 2, "failed": 0
            })
        );
        assert_eq!(lines[1]["seq"], 2);
        assert_eq!(lines[2]["event"], "report");
        let again: Report = serde_json::from_value(lines[2]["report"].clone()).unwrap();
        assert_eq!(again, report);
    }
}
