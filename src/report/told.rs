//! A leg in a few lines, where a table of legs is too much.

use super::LegReport;
use crate::domain::meaning_of;

impl LegReport {
    /// The leg, what is wrong with it and what to do, a line each.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let dialled = match &self.dialled {
            Some(name) => format!(", dialled `{name}`"),
            None => String::new(),
        };
        let code = match &self.code {
            Some(code) => {
                let meaning = meaning_of(code).unwrap_or_default();
                format!(", {code}: {meaning}")
            }
            None => String::new(),
        };
        let mut lines = vec![format!(
            "traced now: {} {} → {}{dialled}: {}{code}",
            self.lane, self.client, self.server, self.verdict
        )];
        lines.extend(self.remedy.iter().map(|remedy| format!("do: {remedy}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::Reason;
    use crate::report::sample;

    #[test]
    fn a_leg_is_told_with_what_is_wrong_and_what_to_do() {
        let mut report = sample::healthy(2);
        let leg = &mut report.legs[0];
        assert_eq!(leg.told().len(), 1);
        assert!(leg.told()[0].ends_with(": verified"), "{:?}", leg.told());
        leg.break_with(Reason::HostKeyUnknown, "record it");
        let told = leg.told();
        assert!(told[0].starts_with("traced now: "), "{told:?}");
        assert!(told[0].contains(": broken, host-key-unknown: "), "{told:?}");
        assert_eq!(told[1], "do: record it");
    }
}
