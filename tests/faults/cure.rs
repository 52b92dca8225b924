//! What `clearway repair` makes of a fault: what files can cure becomes an all-verified mesh, and undo gives back every
//! byte, mode and owner; what only a person can cure is listed, and nothing is touched for it.

use std::collections::BTreeSet;

use clearway::report::{RepairReport, Report};
use clearway_lab::{Cure, Fault, Lab, Node, Verdict};

use crate::expect::has_gap;
use crate::run::{self, planted, said};

/// Plants a fault that files can cure, repairs it, and says what is not as it must be.
pub(crate) fn cure(fault: &Fault) -> Result<(), String> {
    let lab = planted(&[fault])?;
    let curing = Curing { lab: &lab, fault };
    if fault.cure == Some(Cure::Accounts) {
        curing.is_listed(&["repair", "--yes"])?;
        return curing.by(&["repair", "--yes", "--accounts"]);
    }
    curing.by(&["repair", "--yes"])
}

/// Faults that hide each other, all of which files can cure: one command is enough.
pub(crate) fn cure_all(faults: &[&Fault]) -> Result<(), String> {
    let lab = planted(faults)?;
    let fault = faults.first().ok_or("no fault to plant")?;
    Curing { lab: &lab, fault }.by(&["repair", "--yes"])
}

/// What a repair reports of a fault that only a person can cure, or of nodes that need no cure: whatever an operator
/// allows, it touches nothing.
pub(crate) fn leave_alone(fault: &Fault) -> Result<Report, String> {
    const ALL_ALLOWED: &[&str] = &["repair", "--yes", "--accounts"];
    let lab = planted(&[fault])?;
    let curing = Curing { lab: &lab, fault };
    match fault.cure {
        Some(_) => curing.is_listed(ALL_ALLOWED),
        None => curing.needs_nothing(ALL_ALLOWED),
    }
}

struct Curing<'a> {
    lab: &'a Lab,
    fault: &'a Fault,
}

impl Curing<'_> {
    /// From broken over verified and nothing more to do back to what was planted.
    fn by(&self, words: &[&str]) -> Result<(), String> {
        let planted = self.pictures()?;
        let (report, repair) = self.repair(words)?;
        ensure(repair.applied, || {
            format!("nothing to write; left: {:#?}", repair.left)
        })?;
        ensure(repair.complete, || format!("not complete: {repair:#?}"))?;
        ensure(repair.nodes.iter().all(|it| it.outcome == "kept"), || {
            format!("not kept: {repair:#?}")
        })?;
        all_verified(&report)?;
        let repaired = self.pictures()?;

        // It was proven by the run before, and is proven again if that is asked for.
        let all = [words, &["--pairs", "all"]].concat();
        for (words, when) in [(words, "after a second run"), (&all, "after a third run")] {
            let (again, nothing) = self.repair(words)?;
            ensure(nothing.nodes.is_empty() && !nothing.applied, || {
                format!("{when}: it writes: {nothing:#?}")
            })?;
            let earlier = again.proven_earlier.as_ref().map_or(0, |it| it.pairs);
            let proven = again.summary.pairs.verified;
            ensure(earlier + proven == again.summary.pairs.total, || {
                format!(
                    "{when}, {earlier} pairs were proven earlier: {:#?}",
                    again.summary
                )
            })?;
            ensure(again.settings.pairs != "all" || earlier == 0, || {
                "not all pairs were proven".to_owned()
            })?;
            same(&repaired, &self.pictures()?, when)?;
        }

        for run in [&report.run].into_iter().chain(repair.earlier.iter().rev()) {
            let undone = run::clearway(self.lab, &["repair", "undo", run, "--yes"])?;
            ensure(undone.status.success(), || said(&undone))?;
        }
        same(&planted, &self.pictures()?, "after the undo")
    }

    /// Every reason is named with what a person can do, and no file is changed.
    fn is_listed(&self, words: &[&str]) -> Result<Report, String> {
        let planted = self.pictures()?;
        let (report, repair) = self.repair(words)?;
        ensure(!repair.applied && repair.nodes.is_empty(), || {
            format!("changed: {repair:#?}")
        })?;
        same(&planted, &self.pictures()?, "after a repair")?;
        ensure(report.summary.legs.broken > 0, || {
            "nothing is broken any more".to_owned()
        })?;
        let names: Vec<&str> = self.lab.nodes().iter().map(Node::name).collect();
        let legs = self.fault.expected_legs(&names);
        let broken = legs
            .iter()
            .filter(|leg| leg.verdict == Verdict::Broken && !leg.either);
        for code in broken.map(|leg| &leg.reason).collect::<BTreeSet<_>>() {
            let listed = repair.left.iter().find(|left| left.code == *code);
            let listed =
                listed.ok_or_else(|| format!("{code} is not listed: {:#?}", repair.left))?;
            ensure(!listed.why.is_empty() && !listed.remedy.is_empty(), || {
                format!("{code} is listed without a word")
            })?;
            ensure(!has_gap(&listed.remedy), || {
                format!("{code} is listed with a gap: {}", listed.remedy)
            })?;
        }
        Ok(report)
    }

    /// What is not broken is not repaired.
    fn needs_nothing(&self, words: &[&str]) -> Result<Report, String> {
        let planted = self.pictures()?;
        let (report, repair) = self.repair(words)?;
        ensure(repair.nodes.is_empty() && repair.left.is_empty(), || {
            format!("changed or listed: {repair:#?}")
        })?;
        ensure(report.summary.legs.broken == 0, || {
            format!("broken: {:#?}", report.summary)
        })?;
        same(&planted, &self.pictures()?, "after a repair")?;
        Ok(report)
    }

    fn repair(&self, words: &[&str]) -> Result<(Report, RepairReport), String> {
        let report = run::report(self.lab, words)?;
        let repair = report.repair.clone().ok_or("the report has no repair")?;
        Ok((report, repair))
    }

    fn pictures(&self) -> Result<Vec<String>, String> {
        self.lab.nodes().iter().map(picture).collect()
    }
}

/// Every file of a node: type, mode, owner; size and time of the bytes, and where a repair might write their hash too.
/// What usermod writes has its time, and it keeps copies of its own.
fn picture(node: &Node) -> Result<String, String> {
    const PICTURE: &str = "{ \
        find / -xdev \\( -path /tmp -o -path /var/tmp -o -path /var/log -o -path /run -o -path /var/lib/nova/instances \\) -prune \
            -o -path /etc/passwd -o -path /etc/shadow -o -name 'passwd-' -o -name 'shadow-' \
            -o ! -type d -printf '%p %y %m %U:%G %s %T@ %l\\n' -o -printf '%p %y %m %U:%G\\n'; \
        find /run -xdev -name '*clearway*'; \
        find /etc /root /home /srv /var/lib/nova -xdev -path /var/lib/nova/instances -prune -o -type f ! -name 'passwd-' ! -name 'shadow-' -exec sha256sum {} +; \
        stat -c '%n %a %U:%G' /etc/passwd /etc/shadow; \
    } | LC_ALL=C sort";
    let output = node.sh(PICTURE);
    let output = output.map_err(|error| format!("a picture of {}: {error}", node.name()))?;
    ensure(output.status.success(), || said(&output))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The lines in which pictures differ, when they do.
fn same(before: &[String], after: &[String], when: &str) -> Result<(), String> {
    let mut changed = String::new();
    for (before, after) in before.iter().zip(after) {
        let lines = |text: &'_ str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
        let (before, after) = (lines(before), lines(after));
        let gone = before.difference(&after).map(|line| ('-', line));
        let new = after.difference(&before).map(|line| ('+', line));
        for (sign, line) in gone.chain(new) {
            changed.push_str(&format!("\n{sign}{line}"));
        }
    }
    ensure(changed.is_empty(), || {
        format!("{when}, something is different:{changed}")
    })
}

fn all_verified(report: &Report) -> Result<(), String> {
    let mut wrong = String::new();
    for leg in report.legs.iter().filter(|leg| leg.verdict != "verified") {
        wrong.push_str(&format!(
            "\n{} {} -> {}: {}({})",
            leg.lane,
            leg.client,
            leg.server,
            leg.verdict,
            leg.code.as_deref().unwrap_or_default()
        ));
    }
    ensure(wrong.is_empty(), || {
        format!(
            "not verified:{wrong}\nleft: {:#?}",
            report.repair.as_ref().map(|it| &it.left)
        )
    })?;
    ensure(!report.legs.is_empty(), || "no leg was proven".to_owned())
}

fn ensure(right: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(wrong()) }
}
