//! Whether a node uses a lane as a client, and with which words.

use std::sync::Arc;

use crate::domain::{Dial, Lane, LaneUse, Node, NotNeeded, Reason, Transport, Why};
use crate::survey::NodeFacts;

use super::address::{context_failure, unread};
use super::live_uri::{Complaint, LiveTransport, SshUri, live_transport};
use super::recording::may_record;

/// One lane as one node climbs it.
#[derive(Debug, Clone)]
pub(super) enum LaneUsage {
    Used(Box<Used>),
    NotNeeded(NotNeeded),
    /// Nothing says whether it is used, or how; with why in words.
    Unknown(Why, String),
    /// Nova itself fails before it dials anybody; with why in words.
    Broken(Reason, String),
}

/// What all legs of one client in one lane have in common.
#[derive(Debug, Clone)]
pub(in crate::trust) struct Used {
    pub(in crate::trust) dial: Dial,
    /// Text before and behind the destination's name, from a `qemu+ssh` URI.
    pub(in crate::trust) around: Option<(String, String)>,
    pub(in crate::trust) user: Option<Arc<str>>,
    pub(in crate::trust) port: Option<u16>,
    pub(in crate::trust) identity: Option<Arc<str>>,
    pub(in crate::trust) options: Arc<[String]>,
    /// [`Leg::may_record`](crate::domain::Leg::may_record).
    pub(in crate::trust) may_record: bool,
    pub(in crate::trust) context: Arc<[String]>,
    pub(in crate::trust) transport: Transport,
    /// The client's own `instances_path`: Nova uses it on the far end too (`libvirt_utils.get_instance_path`).
    pub(in crate::trust) directory: Arc<str>,
}

/// Nova's default `instances_path`, `$state_path/instances`, where nothing else is known.
const INSTANCES_PATH: &str = "/var/lib/nova/instances";

pub(super) fn lane_usage(node: &Node, facts: Option<&NodeFacts>, lane: Lane) -> LaneUsage {
    let profile = node.profile.lane(lane);
    if profile.used == LaneUse::No {
        return LaneUsage::NotNeeded(NotNeeded::LaneOff);
    }
    let mut used = Used {
        dial: profile.dial,
        around: None,
        user: profile.user.as_deref().map(Arc::from),
        port: profile.port,
        identity: profile.identity.as_deref().map(Arc::from),
        options: Arc::from([]),
        may_record: true,
        context: profile.context.clone().into(),
        transport: if lane == Lane::Live {
            Transport::Libvirt
        } else {
            Transport::Scp
        },
        directory: facts
            .map(|facts| facts.nova.instances_path.as_str())
            .filter(|path| path.starts_with('/'))
            .unwrap_or(INSTANCES_PATH)
            .into(),
    };
    let settled = match (facts, lane) {
        (None, _) => Err(LaneUsage::Unknown(
            Why::NotSurveyed,
            format!("nova.conf of {} says whether the lane is used", node.name),
        )),
        (Some(facts), Lane::Live) => live(facts, profile.used, &mut used),
        (Some(facts), _) => cold(facts, &mut used),
    };
    let client = facts.and_then(|facts| {
        let mut clients = facts.clients.iter();
        clients.find(|client| client.context == profile.context)
    });
    used.may_record = may_record(client, &used.options);
    match settled {
        Err(other) if profile.used == LaneUse::Auto => other,
        _ => LaneUsage::Used(Box::new(used)),
    }
}

/// An option of nova.conf without which nobody knows whether or how a lane is used.
fn decided(facts: &NodeFacts, options: &[&str]) -> Result<(), LaneUsage> {
    match facts.nova.undecided(options) {
        None => Ok(()),
        Some(it) => Err(LaneUsage::Unknown(
            Why::NotPredictable,
            format!(
                "{} is {}, as nova-compute was started",
                it.option, it.values
            ),
        )),
    }
}

fn cold(facts: &NodeFacts, used: &mut Used) -> Result<(), LaneUsage> {
    decided(
        facts,
        &[
            "[libvirt]remote_filesystem_transport",
            "[DEFAULT]instances_path",
        ],
    )?;
    match facts.nova.remote_filesystem_transport.as_str() {
        "rsync" => used.transport = Transport::Rsync,
        // Without any nova.conf the field may be empty: Nova's default is ssh.
        "ssh" | "" => {}
        // Nova knows no others (nova/conf/libvirt.py, `choices`), and its driver does not start.
        other => {
            let text = format!(
                "[libvirt]remote_filesystem_transport is {other:?}: Nova knows ssh and rsync, and does not start"
            );
            return Err(LaneUsage::Unknown(Why::NotPredictable, text));
        }
    }
    Ok(())
}

fn live(facts: &NodeFacts, in_profile: LaneUse, used: &mut Used) -> Result<(), LaneUsage> {
    if !facts.nova.read && in_profile == LaneUse::Auto {
        let text = format!(
            "nothing says how live migrations connect: {}",
            context_failure(facts).unwrap_or_else(|| unread(&facts.nova))
        );
        return Err(LaneUsage::Unknown(Why::NotPredictable, text));
    }
    decided(
        facts,
        &[
            "[libvirt]live_migration_uri",
            "[libvirt]live_migration_scheme",
            "[libvirt]virt_type",
            "[libvirt]live_migration_tunnelled",
        ],
    )?;
    let transport = live_transport(&facts.nova).map_err(|complaint| match complaint {
        Complaint::Raises(text) => LaneUsage::Broken(Reason::LiveUriInvalid, text),
        Complaint::Unclear(text) => LaneUsage::Unknown(Why::NotPredictable, text),
    })?;
    match transport {
        LiveTransport::Ssh(uri) => {
            apply(uri, used);
            Ok(())
        }
        LiveTransport::Tcp => Err(LaneUsage::NotNeeded(NotNeeded::LiveOverTcp)),
        LiveTransport::Tls => Err(LaneUsage::NotNeeded(NotNeeded::LiveOverTls)),
        LiveTransport::Other => Err(LaneUsage::NotNeeded(NotNeeded::LiveOtherTransport)),
        LiveTransport::SshLibrary => {
            let text = "libvirt speaks SSH by a library here, with files and rules of its own";
            Err(LaneUsage::Unknown(Why::NotPredictable, text.to_owned()))
        }
    }
}

/// What the profile states wins over the URI: it is how an operator overrides what was read.
fn apply(uri: SshUri, used: &mut Used) {
    used.user = used.user.take().or(uri.user.map(Arc::from));
    used.port = used.port.or(uri.port);
    used.identity = used.identity.take().or(uri.identity.map(Arc::from));
    if uri.no_verify {
        used.options = Arc::from(["StrictHostKeyChecking=no".to_owned()]);
    }
    if uri.around != (String::new(), String::new()) {
        used.around = Some(uri.around);
    }
}
