//! The lab's network: each node a /32 behind a veth pair, all routed by the hub.
//!
//! A bridge would be simpler and breaks at about 32 nodes: the neighbour table's limit is shared by every namespace
//! of the machine. Routed, a node has one neighbour.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use nix::sys::socket::{self, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType};

use crate::error::{During, Result};

/// The address that the hub answers at, every node's way out.
pub(crate) const HUB: Ipv4Addr = Ipv4Addr::new(10, 77, 255, 254);

const LOOPBACK_INDEX: u32 = 1;
const NODE_LINK_INDEX: u32 = 2;
/// Hub links are numbered from here; below are lo and whatever the kernel makes by itself (sit0, tunl0).
const FIRST_HUB_INDEX: u32 = 1000;

/// A conversation with the kernel about one network namespace: the one in which it was opened.
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    pub(crate) fn open() -> Result<Self> {
        let fd = socket::socket(
            socket::AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )
        .during(|| "opening an rtnetlink socket".into())?;
        socket::bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))
            .during(|| "binding an rtnetlink socket".into())?;
        Ok(Self(fd))
    }

    fn ask(&self, what: &str, flags: u16, message: RouteNetlinkMessage) -> Result<()> {
        let mut packet = NetlinkMessage::from(message);
        packet.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.exchange(&bytes).during(|| what.to_owned())
    }

    fn exchange(&self, request: &[u8]) -> io::Result<()> {
        let fd = self.0.as_raw_fd();
        socket::send(fd, request, MsgFlags::empty())?;
        let mut answer = [0; 8192];
        let length = socket::recv(fd, &mut answer, MsgFlags::empty())?;
        let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer[..length])
            .map_err(io::Error::other)?;
        match answer.payload {
            NetlinkPayload::Error(error) => match error.code {
                Some(code) => Err(io::Error::from_raw_os_error(-code.get())),
                None => Ok(()),
            },
            other => Err(io::Error::other(format!("unexpected answer {other:?}"))),
        }
    }

    fn up(&self, what: &str, index: u32) -> Result<()> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        self.ask(what, 0, RouteNetlinkMessage::SetLink(link))
    }

    fn address(&self, index: u32, address: Ipv4Addr) -> Result<()> {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet;
        message.header.prefix_len = 32;
        message.header.index = index;
        message.attributes = vec![
            AddressAttribute::Local(IpAddr::V4(address)),
            AddressAttribute::Address(IpAddr::V4(address)),
        ];
        self.ask(
            &format!("adding address {address}"),
            NLM_F_CREATE | NLM_F_EXCL,
            RouteNetlinkMessage::NewAddress(message),
        )
    }

    /// `to` is None for the default route; without a gateway the destination is on the link.
    fn route(&self, to: Option<Ipv4Addr>, via: Option<Ipv4Addr>, link: u32) -> Result<()> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: AddressFamily::Inet,
            destination_prefix_length: if to.is_some() { 32 } else { 0 },
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Boot,
            scope: if via.is_some() {
                RouteScope::Universe
            } else {
                RouteScope::Link
            },
            kind: RouteType::Unicast,
            ..Default::default()
        };
        message.attributes.push(RouteAttribute::Oif(link));
        message
            .attributes
            .extend(to.map(|to| RouteAttribute::Destination(RouteAddress::Inet(to))));
        message
            .attributes
            .extend(via.map(|via| RouteAttribute::Gateway(RouteAddress::Inet(via))));
        self.ask(
            &format!("adding a route to {to:?}"),
            NLM_F_CREATE | NLM_F_EXCL,
            RouteNetlinkMessage::NewRoute(message),
        )
    }
}

/// Makes the calling namespace the router of the lab.
pub(crate) fn set_up_hub() -> Result<()> {
    let hub = Netlink::open()?;
    hub.up("bringing lo up", LOOPBACK_INDEX)?;
    hub.address(LOOPBACK_INDEX, HUB)?;
    // The hub has no use for IPv6, and its router solicitations would be noise on every link.
    for (file, value) in [
        ("/proc/sys/net/ipv4/ip_forward", "1"),
        ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
    ] {
        match std::fs::write(file, value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.contains("ipv6") => {}
            done => done.during(|| format!("writing {file}"))?,
        }
    }
    Ok(())
}

/// Connects the calling namespace, a node's, to the hub whose socket is given.
///
/// `number` counts nodes from 1 and names the hub's end of the cable, `v1` and so on.
pub(crate) fn set_up_node(hub: &Netlink, number: usize, address: Ipv4Addr) -> Result<()> {
    let node = Netlink::open()?;
    let here = File::open("/proc/self/ns/net").during(|| "opening the network namespace".into())?;
    let hub_index = FIRST_HUB_INDEX + u32::try_from(number).expect("node counts are small");

    let mut peer = LinkMessage::default();
    peer.header.index = NODE_LINK_INDEX;
    peer.attributes = vec![
        LinkAttribute::IfName("eth0".into()),
        LinkAttribute::NetNsFd(here.as_raw_fd()),
    ];
    let mut link = LinkMessage::default();
    link.header.index = hub_index;
    link.attributes = vec![
        LinkAttribute::IfName(format!("v{number}")),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]),
    ];
    hub.ask(
        "adding a veth pair",
        NLM_F_CREATE | NLM_F_EXCL,
        RouteNetlinkMessage::NewLink(link),
    )?;
    hub.up("bringing the hub's end up", hub_index)?;
    node.up("bringing lo up", LOOPBACK_INDEX)?;
    node.up("bringing eth0 up", NODE_LINK_INDEX)?;
    node.address(NODE_LINK_INDEX, address)?;
    node.route(Some(HUB), None, NODE_LINK_INDEX)?;
    node.route(None, Some(HUB), NODE_LINK_INDEX)?;
    hub.route(Some(address), None, hub_index)
}
