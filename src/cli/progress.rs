//! Progress on stderr: a line that moves on a terminal, a log of changes elsewhere.

use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::console::Stream;
use super::observe::Teller;
use super::text::{count, duration_of};
use crate::domain::{Event, Phase, Progress};
use crate::report::escape;

/// Nodes that are named while they are waited for.
const NAMED: usize = 3;

/// `surveying 37/40 · waiting for cmp017, cmp022`.
fn line(progress: &Progress) -> String {
    let mut line = format!(
        "{} {}/{}",
        progress.phase.as_str(),
        progress.done,
        progress.total
    );
    if !progress.waiting_for.is_empty() {
        line.push_str(" · waiting for ");
        let names: Vec<_> = progress
            .waiting_for
            .iter()
            .take(NAMED)
            .map(String::as_str)
            .collect();
        line.push_str(&escape::line(&names.join(", ")));
        if progress.waiting_for.len() > NAMED {
            line.push_str(", …");
        }
    }
    line
}

/// What an event says to somebody who watches; `None` for what is told by the progress or by the result.
fn words(event: &Event, verbose: bool) -> Option<String> {
    let text = match event {
        Event::RunStarted {
            run,
            command,
            nodes,
            pairs,
            ..
        } => format!(
            "{command} {run}: {}, {}",
            count(*nodes, "node"),
            count(*pairs, "ordered pair")
        ),
        Event::NodeSurveyed { node, millis } if verbose => {
            format!("{node}: surveyed in {}", duration_of(*millis))
        }
        Event::NodeFailed { node, why, detail } => format!("{node}: not surveyed: {why}: {detail}"),
        Event::SurveyFinished { surveyed, failed } => match failed {
            0 => format!("surveyed {}", count(*surveyed, "node")),
            _ => format!(
                "surveyed {}, {failed} could not be",
                count(*surveyed, "node")
            ),
        },
        Event::Predicted {
            works,
            breaks,
            unknown,
            to_prove,
            ..
        } => format!(
            "predicted: {} should work, {breaks} {} broken, {unknown} cannot be told; {to_prove} to prove",
            count(*works, "leg"),
            if *breaks == 1 { "is" } else { "are" }
        ),
        Event::LegProven {
            lane,
            client,
            server,
            outcome,
            code,
            millis,
        } if verbose => {
            let code = code
                .as_ref()
                .map_or_else(String::new, |code| format!(" ({code})"));
            format!(
                "{lane}: {client} → {server}: {outcome}{code} in {}",
                duration_of(*millis)
            )
        }
        Event::ProofFailed { node, why, detail } => {
            format!("{node}: its legs could not all be proven: {why}: {detail}")
        }
        Event::RepairPlanned {
            nodes,
            edits,
            keys,
            left,
        } => format!(
            "planned: {}, {} on {}; {} left to you",
            count(*edits, "edit"),
            count(*keys, "key"),
            count(*nodes, "node"),
            count(*left, "reason")
        ),
        Event::NodeRepaired {
            node,
            stage,
            outcome,
            written,
            detail,
        } if verbose || outcome != "done" || stage == "undo" => {
            let detail = detail
                .as_ref()
                .map_or_else(String::new, |detail| format!(": {detail}"));
            let what = match stage.as_str() {
                "undo" => "putting back".to_owned(),
                "forget" => "forgetting".to_owned(),
                "edits" => format!("{written} of its files edited"),
                other => other.to_owned(),
            };
            format!("{node}: {what}: {outcome}{detail}")
        }
        Event::WayBackStarted {
            run,
            command,
            about,
            nodes,
        } => format!("{command} {run}: {} of run {about}", count(*nodes, "node")),
        Event::MovesPlanned {
            run,
            command,
            moves,
            stay,
        } => {
            let stay = match stay {
                0 => String::new(),
                stay => format!(", {stay} cannot move"),
            };
            format!("{command} {run}: {}{stay}", count(*moves, "server"))
        }
        Event::MoveChanged {
            name,
            kind,
            source,
            destination,
            stage,
            detail,
            ..
        } => {
            let to = destination.as_deref().unwrap_or("?");
            let detail = match detail.as_str() {
                "" => String::new(),
                detail => format!(": {detail}"),
            };
            format!("{name}: {kind} {source} → {to}: {stage}{detail}")
        }
        Event::CloudUnheard { why } => {
            format!("how the moves go cannot be seen, they are asked for again: {why}")
        }
        Event::CloudHeard { seconds } => {
            format!(
                "Nova answers again, after {}",
                duration_of(*seconds * 1_000)
            )
        }
        Event::ServiceChanged { host, what } => format!("nova-compute on {host}: {what}"),
        Event::HostUnseen { host, why } => format!("whether {host} is empty cannot be seen: {why}"),
        Event::HookEnded { name, failure, .. } => match failure {
            Some(why) => format!("{name}: the command after the move failed: {why}"),
            None if verbose => format!("{name}: the command after the move has done its work"),
            None => return None,
        },
        Event::NovaAsking { name, what, .. } => format!("{name}: {what}: Nova is asked"),
        Event::NovaAsked {
            name,
            what,
            outcome,
            detail,
            ..
        } => match detail.as_str() {
            "" => format!("{name}: {what}: {outcome}"),
            detail => format!("{name}: {what}: {outcome}: {detail}"),
        },
        Event::MovesStopped { why } => format!("nothing new is started: {why}"),
        // The line that moves has the numbers, the report what was found out.
        Event::MoveCopying { .. }
        | Event::MoveExplained { .. }
        | Event::NodeRepaired { .. }
        | Event::NodeSurveyed { .. }
        | Event::LegProven { .. }
        | Event::Interrupted
        | Event::RunFinished { .. } => return None,
    };
    Some(escape::line(&text).into_owned())
}

/// What a stored event says to somebody who watches, and who has no report; `None` for one of a later version, too.
pub(super) fn stored_words(json: &str, verbose: bool) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        Event::MoveExplained { name, lines, .. } => Some(explanation(&name, &lines)),
        event => words(&event, verbose),
    }
}

/// What was found out about a failure, a line each below the server's name.
fn explanation(name: &str, lines: &[String]) -> String {
    let mut text = format!("{}: why it failed:", escape::line(name));
    for line in lines.iter().flat_map(|it| escape::lines(it)) {
        text.push_str("\n    ");
        text.push_str(&line);
    }
    text
}

/// Whether an event is worth a line above a moving one, which tells the rest.
fn is_trouble(event: &Event) -> bool {
    match event {
        Event::NodeFailed { .. }
        | Event::ProofFailed { .. }
        | Event::MoveChanged { .. }
        | Event::ServiceChanged { .. }
        | Event::HostUnseen { .. }
        | Event::CloudUnheard { .. }
        | Event::CloudHeard { .. }
        | Event::MovesStopped { .. } => true,
        Event::NodeRepaired { outcome, .. } => outcome != "done",
        Event::HookEnded { failure, .. } => failure.is_some(),
        _ => false,
    }
}

/// A log: a line for each change, for each tenth of a long phase, and for what lets itself be waited for.
pub(super) struct Log {
    out: Stream,
    verbose: bool,
    tenth: Option<(Phase, u64)>,
    last: Option<Progress>,
}

impl Log {
    pub(super) fn new(out: Stream, verbose: bool) -> Self {
        Self {
            out,
            verbose,
            tenth: None,
            last: None,
        }
    }

    fn write(&mut self, line: &str) {
        // Whoever has closed stderr does not want to be told.
        let _ = writeln!(self.out, "{line}");
    }
}

impl Teller for Log {
    fn event(&mut self, event: &Event) {
        if let Some(text) = words(event, self.verbose) {
            self.write(&text);
        }
    }

    fn progress(&mut self, progress: &Progress) {
        // The same once more: nothing has happened for a while.
        if self.last.as_ref() == Some(progress) {
            if !progress.waiting_for.is_empty() {
                self.write(&line(progress));
            }
            return;
        }
        self.last = Some(progress.clone());
        // Short phases say enough by their end.
        if progress.total < 10 {
            return;
        }
        let tenth = progress.done.saturating_mul(10) / progress.total;
        let now = (progress.phase, tenth);
        if tenth > 0 && self.tenth != Some(now) {
            self.tenth = Some(now);
            self.write(&line(progress));
        }
    }

    fn say(&mut self, line: &str) {
        self.write(line);
    }

    fn finish(&mut self) {}
}

/// One line that moves, and lines above it for what goes wrong.
pub(super) struct Moving {
    bar: ProgressBar,
    verbose: bool,
}

impl Moving {
    pub(super) fn new(verbose: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(
            ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
                .expect("the template is a constant and right"),
        );
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, verbose }
    }
}

impl Teller for Moving {
    fn event(&mut self, event: &Event) {
        if !self.verbose && !is_trouble(event) {
            return;
        }
        if let Some(text) = words(event, self.verbose) {
            self.bar.println(text);
        }
    }

    fn progress(&mut self, progress: &Progress) {
        self.bar.set_message(line(progress));
    }

    fn say(&mut self, line: &str) {
        self.bar.println(line);
    }

    fn finish(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::testing::captured;
    use crate::domain::{Depth, Lane};

    fn events() -> Vec<Event> {
        vec![
            Event::RunStarted {
                run: "20261123-013355-7f3a9c".to_owned(),
                command: "check".to_owned(),
                nodes: 40,
                pairs: 1560,
                depth: Depth::Copy,
            },
            Event::NodeSurveyed {
                node: "cmp001".to_owned(),
                millis: 43,
            },
            Event::NodeFailed {
                node: "cmp017".to_owned(),
                why: "control-denied".to_owned(),
                detail: "no \u{1b}[2J".to_owned(),
            },
            Event::SurveyFinished {
                surveyed: 39,
                failed: 1,
            },
            Event::Predicted {
                works: 3000,
                breaks: 42,
                unknown: 78,
                not_needed: 1560,
                to_prove: 3120,
            },
            Event::LegProven {
                lane: Lane::ColdPush,
                client: "cmp001".to_owned(),
                server: "cmp002".to_owned(),
                outcome: "breaks".to_owned(),
                code: Some("disk-full".to_owned()),
                millis: 1_400,
            },
        ]
    }

    fn log(verbose: bool) -> String {
        let (console, _, err) = captured();
        let mut log = Log::new(console.err, verbose);
        for event in events() {
            log.event(&event);
        }
        for done in 0..=3120 {
            log.progress(&Progress {
                phase: Phase::Prove,
                done,
                total: 3120,
                waiting_for: ["cmp001", "cmp002", "cmp003", "cmp004"]
                    .map(str::to_owned)
                    .to_vec(),
            });
        }
        log.say("interrupted");
        err.text()
    }

    #[test]
    fn a_log_says_who_lets_himself_be_waited_for() {
        let (console, _, err) = captured();
        let mut log = Log::new(console.err, false);
        let mut tell = |done, waiting: &[&str]| {
            log.progress(&Progress {
                phase: Phase::Prove,
                done,
                total: 6,
                waiting_for: waiting.iter().map(|it| (*it).to_owned()).collect(),
            });
        };
        tell(0, &["cmp001", "cmp002"]);
        tell(3, &["cmp002"]);
        tell(3, &["cmp002"]);
        tell(3, &["cmp002"]);
        tell(6, &[]);
        tell(6, &[]);
        assert_snapshot!(err.text(), @r"
        proving 3/6 · waiting for cmp002
        proving 3/6 · waiting for cmp002
        ");
    }

    #[test]
    fn a_log_has_only_changes() {
        assert_snapshot!(log(false), @r#"
    check 20261123-013355-7f3a9c: 40 nodes, 1560 ordered pairs
    cmp017: not surveyed: control-denied: no \u{1b}[2J
    surveyed 39 nodes, 1 could not be
    predicted: 3000 legs should work, 42 are broken, 78 cannot be told; 3120 to prove
    proving 312/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 624/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 936/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 1248/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 1560/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 1872/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 2184/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 2496/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 2808/3120 · waiting for cmp001, cmp002, cmp003, …
    proving 3120/3120 · waiting for cmp001, cmp002, cmp003, …
    interrupted
    "#);
    }

    #[test]
    fn a_verbose_log_has_every_node_and_leg() {
        let text = log(true);
        let more: Vec<_> = text
            .lines()
            .filter(|line| !log(false).lines().any(|known| known == *line))
            .collect();
        assert_snapshot!(more.join("\n"), @r#"
    cmp001: surveyed in 43 ms
    cold-push: cmp001 → cmp002: breaks (disk-full) in 1.4 s
    "#);
    }

    #[test]
    fn whoever_watches_is_told_why_a_move_failed_and_no_node_writes_to_his_terminal() {
        let event = Event::MoveExplained {
            server: "s".to_owned(),
            name: "web\u{1b}[2J".to_owned(),
            lines: vec!["fault: no\nCommand: x".to_owned(), "\u{1b}[31m".to_owned()],
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_snapshot!(stored_words(&json, false).unwrap(), @r"
        web\u{1b}[2J: why it failed:
            fault: no
            Command: x
            \u{1b}[31m
        ");
        assert_eq!(words(&event, true), None, "the run's own report has it");
    }

    #[test]
    fn progress_names_whom_it_waits_for() {
        let progress = Progress {
            phase: Phase::Survey,
            done: 37,
            total: 40,
            waiting_for: vec!["cmp017".to_owned(), "cmp022".to_owned()],
        };
        assert_eq!(
            line(&progress),
            "surveying 37/40 · waiting for cmp017, cmp022"
        );
    }
}
