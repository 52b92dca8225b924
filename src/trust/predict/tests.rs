use super::notes::Written;
use crate::domain::{Fleet, Lane, LegId, NodeId, NotNeeded, Predicted, Reason, Why};
use crate::openssh::fixtures::ed25519;
use crate::survey::{
    Answer, ClientFacts, Content, FileFact, FileKind, FileState, Meta, NodeFacts, ServerFacts,
};
use crate::trust::simulate::{Form, Simulation, World};
use crate::trust::{Legs, PairScope, Prediction};

mod logins;
mod paths;
mod properties;

const PUSH: LegId = leg(Lane::ColdPush, 0, 1);
const PULL: LegId = leg(Lane::ColdPull, 0, 1);

const fn leg(lane: Lane, client: u32, server: u32) -> LegId {
    LegId {
        lane,
        client: NodeId(client),
        server: NodeId(server),
    }
}

/// The predictions for some legs, each checked against its explanation.
fn predict(world: &World, ids: &[LegId]) -> Vec<Predicted> {
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
    let verdict = |id: &LegId| {
        let verdict = prediction.verdict(*id);
        assert_eq!(prediction.verdict(*id), verdict, "asked twice");
        let mut notes = Written::default();
        assert_eq!(prediction.write_down(*id, &mut notes), verdict, "explained");
        if matches!(verdict, Predicted::Breaks(_)) {
            assert!(!notes.evidence.is_empty(), "{verdict:?} without evidence");
        }
        verdict
    };
    ids.iter().map(verdict).collect()
}

/// Three healthy nodes, changed.
struct Lab(World);

impl Lab {
    fn of(form: Form) -> Self {
        let simulation = Simulation {
            form,
            ..Simulation::of(3)
        };
        Self(simulation.world())
    }

    fn new() -> Self {
        Self::of(Form::Plain)
    }

    fn fleet(mut self, change: impl FnOnce(&mut Fleet)) -> Self {
        change(&mut self.0.fleet);
        self
    }

    fn node(mut self, node: usize, change: impl FnOnce(&mut NodeFacts)) -> Self {
        change(self.0.facts[node].as_mut().expect("surveyed"));
        self
    }

    /// Changes the client side of node 0, the one that dials.
    fn client(self, change: impl FnOnce(&mut ClientFacts)) -> Self {
        self.node(0, |facts| change(&mut facts.clients[0]))
    }

    /// Changes the server side of node 1, the one that is dialled.
    fn server(self, change: impl FnOnce(&mut ServerFacts)) -> Self {
        self.node(1, |facts| change(&mut facts.server))
    }

    /// Puts lines before what `ssh -G` prints: the first value of a keyword counts.
    fn ssh(self, lines: &str) -> Self {
        self.client(|client| prepend(&mut client.base_config, lines))
    }

    /// Puts lines before what `sshd -T` prints.
    fn sshd(self, lines: &str) -> Self {
        self.server(|server| prepend(&mut server.base_config, lines))
    }

    fn known_hosts(self, text: &str) -> Self {
        self.client(|client| client.known_hosts[0].state = file(text))
    }

    fn authorized_keys(self, text: &str) -> Self {
        self.server(|server| {
            server.accounts[0].authorized_keys[0].file.state = file(text);
        })
    }

    /// The leg from node 0 to node 1 is as expected, and the one from node 2 to node 0 works.
    #[track_caller]
    fn expect(&self, expected: Predicted) {
        let found = predict(&self.0, &[PUSH, leg(Lane::ColdPush, 2, 0)]);
        assert_eq!(found, [expected, Predicted::Works]);
    }

    #[track_caller]
    fn breaks(&self, reason: Reason) {
        self.expect(Predicted::Breaks(reason));
    }

    #[track_caller]
    fn works(&self) {
        self.expect(Predicted::Works);
    }

    #[track_caller]
    fn unknown(&self) {
        self.expect(Predicted::Unknown(Why::NotPredictable));
    }

    /// The public host keys of a node as they lie on its disk.
    fn host_key(&self, node: usize, place: usize) -> String {
        let facts = self.0.facts[node].as_ref().expect("surveyed");
        facts.server.host_keys[place].public.clone()
    }

    /// The public key that a node offers.
    fn login_key(&self, node: usize) -> String {
        let facts = self.0.facts[node].as_ref().expect("surveyed");
        let key = facts.clients[0]
            .identities
            .iter()
            .find_map(|it| it.public.clone());
        key.expect("a key")
    }

    fn address(&self, node: usize) -> String {
        let facts = self.0.facts[node].as_ref().expect("surveyed");
        facts.nova.my_ip.clone().expect("set")
    }

    fn name(&self, node: usize) -> String {
        self.0.fleet.nodes[node].name.to_string()
    }
}

fn prepend(answer: &mut Answer, lines: &str) {
    let Answer::Output(content) = answer else {
        panic!("no output");
    };
    let text = format!("{lines}\n{}", String::from_utf8_lossy(&content.bytes));
    *answer = Answer::Output(self::content(&text));
}

fn content(text: &str) -> Content {
    use sha2::Digest as _;
    Content {
        sha256: sha2::Sha256::digest(text).into(),
        bytes: text.as_bytes().into(),
    }
}

fn meta(kind: FileKind, mode: u32, uid: u32) -> Meta {
    Meta {
        kind,
        mode,
        uid,
        gid: uid,
        size: 1,
        symlink: false,
    }
}

fn file(text: &str) -> FileState {
    FileState::Present {
        meta: meta(FileKind::File, 0o600, NOVA),
        readable: true,
        content: Some(content(text)),
    }
}

fn fact(path: &str, text: &str) -> FileFact {
    FileFact {
        path: path.into(),
        state: file(text),
    }
}

/// Nova's uid in the simulation.
const NOVA: u32 = 64060;

#[test]
fn a_healthy_fleet_works_in_every_form() {
    for form in [Form::Plain, Form::Hashed, Form::Authority] {
        for own_files in [false, true] {
            let world = Simulation {
                form,
                own_files,
                ..Simulation::of(5)
            }
            .world();
            for lane in [Lane::ColdPush, Lane::ColdPull] {
                for client in 0..5 {
                    for server in (0..5).filter(|&server| server != client) {
                        let found = predict(&world, &[leg(lane, client, server)]);
                        assert_eq!(
                            found,
                            [Predicted::Works],
                            "{form:?} {lane} {client} {server}"
                        );
                    }
                }
            }
            let live = predict(&world, &[leg(Lane::Live, 0, 1)]);
            assert_eq!(live, [Predicted::NotNeeded(NotNeeded::LiveOverTcp)]);
        }
    }
}

#[test]
fn planted_faults_break_their_own_legs_and_no_others() {
    for form in [Form::Plain, Form::Hashed] {
        let world = Simulation {
            form,
            fault_every: 3,
            ..Simulation::of(9)
        }
        .world();
        // Node 2 has new host keys, node 5 another key, node 8 no known_hosts.
        let breaks = Predicted::Breaks;
        for (id, expected) in [
            (leg(Lane::ColdPush, 0, 1), Predicted::Works),
            (leg(Lane::ColdPush, 0, 2), breaks(Reason::HostKeyChanged)),
            (leg(Lane::ColdPull, 0, 2), breaks(Reason::HostKeyChanged)),
            (leg(Lane::ColdPush, 2, 0), Predicted::Works),
            (leg(Lane::ColdPush, 5, 0), breaks(Reason::KeyNotAuthorized)),
            (leg(Lane::ColdPush, 0, 5), Predicted::Works),
            (leg(Lane::ColdPush, 8, 0), breaks(Reason::HostKeyUnknown)),
            (leg(Lane::ColdPush, 0, 8), Predicted::Works),
        ] {
            assert_eq!(predict(&world, &[id]), [expected], "{form:?} {id:?}");
        }
    }
}

#[test]
fn of_two_faults_the_one_met_first_is_told() {
    let both = Lab::new().known_hosts("").authorized_keys("");
    both.breaks(Reason::HostKeyUnknown);
    let other = Lab::new()
        .authorized_keys("")
        .node(1, |facts| facts.instances.meta = None);
    other.breaks(Reason::KeyNotAuthorized);
}

#[test]
fn an_unsurveyed_end_is_unknown_and_its_name_may_still_come_from_the_inventory() {
    let unsurveyed = Predicted::Unknown(Why::NotSurveyed);
    let mut lab = Lab::new().fleet(|fleet| {
        fleet.nodes[1].migration_address = Some("10.0.0.2".into());
    });
    lab.0.facts[1] = None;
    let legs = [PUSH, leg(Lane::ColdPush, 1, 0), leg(Lane::ColdPush, 0, 2)];
    assert_eq!(
        predict(&lab.0, &legs),
        [unsurveyed, unsurveyed, Predicted::Works]
    );
}

#[test]
fn a_certificate_for_another_key_is_not_shown() {
    let foreign = ed25519(9).to_string();
    let lab = Lab::of(Form::Authority).server(|server| {
        server.host_keys[0].public = foreign;
    });
    // Without its certificate the host is one that nobody vouches for.
    lab.breaks(Reason::HostKeyUnknown);
}
