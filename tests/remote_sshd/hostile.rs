//! Servers that stall, drop, flood or are none.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clearway::domain::Why;
use clearway::remote::{Connector, ControlError, Deadlines};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::sshd::*;

/// A listener that treats every connection alike, and counts them.
async fn fake<F: Future<Output = ()> + Send + 'static>(
    treat: impl Fn(TcpStream, usize) -> F + Send + 'static,
) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(treat(stream, counted.fetch_add(1, Ordering::SeqCst)));
        }
    });
    (port, count)
}

async fn failure(port: u16) -> ControlError {
    failure_within(port, deadlines()).await
}

async fn failure_within(port: u16, deadlines: Deadlines) -> ControlError {
    let connector = Connector::new(environment(Path::new("/nonexistent"), None), deadlines);
    let node = node("127.0.0.1", port);
    connector.connect(&node).await.unwrap_err()
}

#[tokio::test]
async fn nobody_listens() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let error = failure(port).await;
    assert_eq!(
        (error.why, error.detail.as_str()),
        (Why::ControlUnreachable, "connection refused")
    );
    assert!(std::error::Error::source(&error).is_some());
    let mut nowhere = node("no-such-name.invalid", 22);
    nowhere.control.identities = vec![keys().path("user_ed25519")];
    let error = connector().connect(&nowhere).await.unwrap_err();
    assert_eq!(
        (error.why, error.detail.as_str()),
        (Why::ControlUnreachable, "the name has no address")
    );
}

#[tokio::test]
async fn a_connection_dropped_before_the_banner_is_tried_once_more() {
    let (port, count) = fake(async |_, _| {}).await;
    assert_eq!(failure(port).await.why, Why::ControlDropped);
    assert_eq!(count.load(Ordering::SeqCst), 2);
    for line in ["Exceeded MaxStartups\r\n", "Not allowed at this time\r\n"] {
        let (port, count) = fake(async |mut stream: TcpStream, _| {
            stream.write_all(line.as_bytes()).await.unwrap();
        })
        .await;
        let error = failure(port).await;
        assert_eq!(error.why, Why::ControlDropped, "{error}");
        assert!(error.detail.contains(line.trim()), "{error}");
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn the_second_attempt_counts() {
    if !can_run("the_second_attempt_counts") {
        return;
    }
    let server = Sshd::start();
    let real = server.port;
    let (port, count) = fake(move |mut stream: TcpStream, number| async move {
        if number > 0 {
            let mut server = TcpStream::connect(("127.0.0.1", real)).await.unwrap();
            // Whoever closes first ends both.
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
        }
    })
    .await;
    assert_logs_in(&connector(), &node("127.0.0.1", port)).await;
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn stalls_are_cut_off_and_leave_no_connection_behind() {
    for (sent, phase) in [
        ("", "no identification line"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "no key exchange"),
    ] {
        let (closed, mut was_closed) = tokio::sync::mpsc::unbounded_channel();
        let (port, count) = fake(move |mut stream: TcpStream, _| {
            let closed = closed.clone();
            async move {
                stream.write_all(sent.as_bytes()).await.unwrap();
                let mut received = Vec::new();
                // Reading ends when the client closes, however it does.
                let _ = stream.read_to_end(&mut received).await;
                closed.send(()).unwrap();
            }
        })
        .await;
        let short = Deadlines {
            banner: Duration::from_millis(600),
            key_exchange: Duration::from_millis(600),
            ..deadlines()
        };
        let error = failure_within(port, short).await;
        assert_eq!(error.why, Why::ControlTimedOut, "{error}");
        assert!(error.detail.starts_with(phase), "{error}");
        tokio::time::timeout(Duration::from_secs(10), was_closed.recv())
            .await
            .unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn what_is_not_ssh_is_garbage() {
    for answer in [
        &b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[2J\r\n\r\n"[..],
        b"SSH-1.5-old\r\n",
        &[b'x'; 5000],
    ] {
        let answer = answer.to_vec();
        let (port, count) = fake(move |mut stream: TcpStream, _| {
            let answer = answer.clone();
            async move {
                let mut said = [0; 64];
                let _ = stream.read(&mut said).await;
                let _ = stream.write_all(&answer).await;
            }
        })
        .await;
        let error = failure(port).await;
        assert_eq!(error.why, Why::ControlGarbage, "{error}");
        assert!(!error.to_string().contains('\x1b'));
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn garbage_and_floods_after_the_banner_are_garbage() {
    for chunk in [vec![0xff; 1024], vec![0; 1024], ignore_packets()] {
        let (port, _) = fake(move |mut stream: TcpStream, _| {
            let chunk = chunk.clone();
            async move {
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
                while stream.write_all(&chunk).await.is_ok() {}
            }
        })
        .await;
        let error = failure(port).await;
        assert_eq!(error.why, Why::ControlGarbage, "{error} {error:?}");
    }
}

/// Well-formed SSH_MSG_IGNORE packets (RFC 4253, section 11.2), which are legal at any time and never end.
fn ignore_packets() -> Vec<u8> {
    let mut packet = vec![0, 0, 0, 12, 6, 2, 0, 0, 0, 0];
    packet.extend_from_slice(&[0; 6]);
    packet.repeat(64)
}
