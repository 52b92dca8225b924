//! What the lab's processes tell their owner while they come up.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::cmsg_space;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials, recvmsg,
    setsockopt, socketpair, sockopt,
};
use nix::unistd::Pid;

use crate::error::{During, Result};

/// The owner's end. The lab lives as long as it is open.
#[derive(Debug)]
pub(crate) struct Reports(OwnedFd);

/// One message of the lab.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// The hub routes; it is this process.
    Hub(Pid),
    /// sshd of the node with this number listens; its first process is this one.
    Node(usize, Pid),
    /// Something could not be done; the text says who and what.
    Failed(String),
    /// Nobody is left to send a message.
    Ended,
    /// Nothing was said in time.
    Silence,
}

impl Reports {
    /// The owner's end and the lab's end.
    pub(crate) fn channel() -> Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .during(|| "making a socket pair".into())?;
        // The kernel translates the sender's process id from its namespace to ours.
        setsockopt(&ours, sockopt::PassCred, &true)
            .during(|| "asking for credentials on a socket".into())?;
        Ok((Self(ours), theirs))
    }

    pub(crate) fn next(&self, deadline: Instant) -> Result<Report> {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = left.max(Duration::from_millis(1));
        let mut watched = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut watched, timeout) {
            Ok(0) => return Ok(Report::Silence),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error).during(|| "waiting for the lab".into()),
        }
        self.receive()
            .during(|| "receiving a message of the lab".into())
    }

    fn receive(&self) -> io::Result<Report> {
        let mut bytes = [0; 4096];
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let mut control = cmsg_space!(UnixCredentials);
        let received = recvmsg::<()>(
            self.0.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::MSG_DONTWAIT,
        )?;
        let length = received.bytes;
        let sender = received.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(who) => Some(Pid::from_raw(who.pid())),
            _ => None,
        });
        if length == 0 {
            return Ok(Report::Ended);
        }
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let Some(sender) = sender else {
            return Ok(Report::Failed(format!("message without a sender: {text}")));
        };
        Ok(match text.strip_prefix("ready ") {
            Some("hub") => Report::Hub(sender),
            Some(number) => match number.parse() {
                Ok(number) => Report::Node(number, sender),
                Err(_) => Report::Failed(text),
            },
            None => Report::Failed(text),
        })
    }
}
