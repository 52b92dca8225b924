//! What a proof rests on: host keys, lines of files, commands and what they printed.

use crate::domain::{Depth, Evidence, KeySeen, Lane, Transport};
use crate::frame::sh_quote;
use crate::openssh::stages::{ClientKey, FileLine, Stage, Trace};

use super::judge::{Judge, Seen, shortened};
use super::vocabulary::{Errand, pulled};
use super::words;

/// sshd's default `MaxAuthTries`.
const MOST_KEYS: usize = 6;

impl Judge<'_> {
    /// Host keys as they were served and as the client has them.
    pub(super) fn keys(&self, trace: &Trace<'_>, evidence: &mut Vec<Evidence>) {
        if let Some(key) = trace.served {
            evidence.push(Evidence::Key {
                seen: KeySeen::Served,
                node: self.server.clone(),
                key_type: shortened(key.key_type, 80),
                fingerprint: shortened(key.fingerprint, 120),
                path: None,
            });
        }
        let mut line = |place: Option<FileLine<'_>>, note: &str| {
            if let Some(place) = place {
                evidence.push(Evidence::FileLine {
                    node: self.client.clone(),
                    path: shortened(place.path, 300),
                    line: Some(place.line),
                    note: format!("{note} `{}`", self.leg.name),
                });
            }
        };
        line(trace.found, "the host key accepted for");
        line(trace.offending, "another host key recorded for");
        if trace.found.is_none() {
            line(
                trace.elsewhere.first().copied(),
                "the host key served, under another name than",
            );
        }
    }

    /// Keys that a refused login offered, and the one that the far end would have taken.
    pub(super) fn offers(&self, trace: &Trace<'_>, evidence: &mut Vec<Evidence>) {
        let mut key = |seen, node: &str, key: &ClientKey<'_>, path| {
            evidence.push(Evidence::Key {
                seen,
                node: node.to_owned(),
                key_type: shortened(key.key_type, 80),
                fingerprint: shortened(key.fingerprint, 120),
                path,
            });
        };
        for offered in trace.offered.iter().take(MOST_KEYS) {
            let path = Some(shortened(offered.path, 300));
            key(KeySeen::Offered, &self.client, offered, path);
        }
        if let Some(accepted) = &trace.accepted {
            key(KeySeen::Authorized, &self.server, accepted, None);
        }
    }

    pub(super) fn output(&self, errand: &Errand, number: u32, seen: &Seen<'_>) -> Evidence {
        let mut text: Vec<&str> = Vec::new();
        if !seen.stdout.trim().is_empty() {
            text.push(seen.stdout.trim());
        }
        text.extend(&seen.said);
        Evidence::Output {
            node: self.client.clone(),
            command: self.command(errand, number, seen.trace.stage),
            status: seen.status,
            text: shortened(&text.join("\n"), 2000),
        }
    }

    /// The command line as it can be typed on the client node. A remote command that was never sent is left out.
    fn command(&self, errand: &Errand, number: u32, stage: Stage) -> String {
        let leg = self.leg;
        let there = words::before_colon(&leg.name);
        let directory = format!("{}/.clearway-…", leg.directory);
        let mut line = leg.context.to_vec();
        let copies_from =
            errand.climb == "climb_pull" || errand.climb == "climb_look" && number == 2;
        match number {
            _ if copies_from => {
                line.push("scp".to_owned());
                line.extend(words::scp(leg, self.settings));
                line.extend([format!("{there}:{}", pulled(leg)), "/tmp/".to_owned()]);
            }
            _ if errand.climb == "climb_pull_rsync"
                || errand.climb == "climb_look_rsync" && number == 2 =>
            {
                line.extend(self.rsync());
                line.extend([format!("{there}:{}", pulled(leg)), "/tmp/".to_owned()]);
            }
            2 if leg.transport != Transport::Rsync => {
                line.push("scp".to_owned());
                line.extend(words::scp(leg, self.settings));
                line.extend(["FILE".to_owned(), format!("{there}:{directory}/probe")]);
            }
            2 | 4 | 5 => {
                line.extend(self.rsync());
                line.push("FILE".to_owned());
                line.push(format!("{there}:{directory}/probe"));
            }
            _ => {
                line.push("ssh".to_owned());
                line.extend(words::ssh(leg, self.settings));
                line.push(leg.name.to_string());
                line.push(self.said_there(errand, number, stage));
            }
        }
        let quoted: Vec<_> = line.iter().map(|word| sh_quote(word)).collect();
        quoted.join(" ")
    }

    /// rsync and all before its paths.
    fn rsync(&self) -> Vec<String> {
        let shell = words::rsync_shell(self.leg, self.settings).join(" ");
        let mut line = vec!["env".to_owned(), format!("RSYNC_RSH=ssh {shell}")];
        line.extend(["rsync", "-r", "--sparse"].map(str::to_owned));
        line
    }

    fn said_there(&self, errand: &Errand, number: u32, stage: Stage) -> String {
        let leg = self.leg;
        let directory = sh_quote(&leg.directory);
        if stage < Stage::Authenticated || self.settings.depth < Depth::Copy {
            return "true".to_owned();
        }
        match (number, leg.id.lane, errand.climb) {
            (3, ..) => format!("cat {directory}/.clearway-…/probe; rm -rf {directory}/.clearway-…"),
            (_, Lane::Live, _) => {
                "sh -c 'which virt-ssh-helper || which nc; ls -l /run/libvirt/*-sock'".to_owned()
            }
            (_, _, "climb_push") => format!(
                "mkdir -p {directory}/.clearway-… && touch {directory}/.clearway-…/x.tmp && rm {directory}/.clearway-…/x.tmp"
            ),
            _ => format!("cat /etc/machine-id; test -w {directory}"),
        }
    }
}
