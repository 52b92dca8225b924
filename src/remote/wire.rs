//! The byte stream under an SSH connection, watched: whether a banner has come, how much was sent before the login,
//! and a switch that ends it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{oneshot, watch};

/// What a server may send before the login is done. A real one needs less than 10 kB; the bound keeps a server that
/// floods replies from filling the queues of the SSH library.
const BEFORE_LOGIN: u64 = 256 * 1024;

/// How much is kept of what came before the banner, to tell a dropped connection from something that is not SSH.
const PREAMBLE: usize = 512;

/// What is known of the bytes received so far; shared between the stream and those who wait for it.
#[derive(Debug)]
pub(super) struct Progress {
    received: AtomicU64,
    allowed: AtomicU64,
    preamble: Mutex<Vec<u8>>,
    banner: watch::Sender<bool>,
    closed: AtomicBool,
}

impl Progress {
    /// Resolves when the identification line of an SSH server (RFC 4253, section 4.2) has begun.
    pub(super) async fn banner_seen(&self) {
        // An error would mean that the sender is gone, and it lives in `self`.
        let _ = self.banner.subscribe().wait_for(|seen| *seen).await;
    }

    /// Whether that line has begun.
    pub(super) fn has_banner(&self) -> bool {
        *self.banner.borrow()
    }

    /// The first bytes that came, as long as they were not a banner.
    pub(super) fn preamble(&self) -> Vec<u8> {
        self.preamble
            .lock()
            .map(|bytes| bytes.clone())
            .unwrap_or_default()
    }

    /// Whether the server closed the connection, or it broke.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether the server sent more than a login needs.
    pub(super) fn is_exhausted(&self) -> bool {
        self.received.load(Ordering::Relaxed) > self.allowed.load(Ordering::Relaxed)
    }

    /// The login is done: programs have limits of their own.
    pub(super) fn lift_limit(&self) {
        self.allowed.store(u64::MAX, Ordering::Relaxed);
    }

    fn note(&self, bytes: &[u8]) -> io::Result<()> {
        let before = self
            .received
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if !self.has_banner()
            && let Ok(mut preamble) = self.preamble.lock()
        {
            let room = PREAMBLE.saturating_sub(preamble.len());
            preamble.extend_from_slice(&bytes[..bytes.len().min(room)]);
            if preamble
                .split(|byte| *byte == b'\n')
                .any(|line| line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-"))
            {
                self.banner.send_replace(true);
            }
        }
        if before + bytes.len() as u64 > self.allowed.load(Ordering::Relaxed) {
            return Err(io::Error::other(
                "more data before the login than a login needs",
            ));
        }
        Ok(())
    }
}

/// Ends the stream when dropped, unless [`released`](Self::release): the SSH library keeps a task of its own alive
/// while a key exchange stalls, also when nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Leash(Option<oneshot::Sender<()>>);

impl Leash {
    /// From now on the stream lives as long as the SSH library wants.
    pub(super) fn release(mut self) {
        if let Some(sender) = self.0.take() {
            // The stream may be gone already; then there is nothing to release.
            let _ = sender.send(());
        }
    }
}

/// A stream that reports to [`Progress`] and reads as ended once its [`Leash`] is dropped.
#[derive(Debug)]
pub(super) struct Watched<S> {
    inner: S,
    progress: Arc<Progress>,
    leash: Option<oneshot::Receiver<()>>,
    ended: bool,
}

impl<S> Watched<S> {
    pub(super) fn new(inner: S) -> (Self, Arc<Progress>, Leash) {
        let progress = Arc::new(Progress {
            received: AtomicU64::new(0),
            allowed: AtomicU64::new(BEFORE_LOGIN),
            preamble: Mutex::default(),
            banner: watch::Sender::new(false),
            closed: AtomicBool::new(false),
        });
        let (sender, receiver) = oneshot::channel();
        let watched = Self {
            inner,
            progress: progress.clone(),
            leash: Some(receiver),
            ended: false,
        };
        (watched, progress, Leash(Some(sender)))
    }

    fn poll_leash(&mut self, cx: &mut Context<'_>) {
        if let Some(leash) = &mut self.leash
            && let Poll::Ready(outcome) = Pin::new(leash).poll(cx)
        {
            self.leash = None;
            self.ended = outcome.is_err();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_leash(cx);
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
        match outcome {
            Poll::Ready(Ok(())) if !is_end => {
                let noted = self.progress.note(&buffer.filled()[before..]);
                if noted.is_err() {
                    // A reader may rely on an error leaving its buffer as it was.
                    buffer.set_filled(before);
                }
                Poll::Ready(noted)
            }
            Poll::Ready(ended) => {
                self.progress.closed.store(true, Ordering::Relaxed);
                Poll::Ready(ended)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_banner_is_seen_after_other_lines_and_across_reads() {
        let (mut server, client) = tokio::io::duplex(64);
        let (mut watched, progress, _leash) = Watched::new(client);
        server.write_all(b"hello\r\nSSH-2").await.unwrap();
        watched.read_exact(&mut [0; 12]).await.unwrap();
        assert!(!progress.has_banner());
        server.write_all(b".0-x\r\n").await.unwrap();
        watched.read_exact(&mut [0; 6]).await.unwrap();
        progress.banner_seen().await;
        assert!(progress.preamble().starts_with(b"hello"));
    }

    #[tokio::test]
    async fn a_server_cannot_send_without_end_before_the_login() {
        let (mut server, client) = tokio::io::duplex(64 * 1024);
        let (mut watched, progress, _leash) = Watched::new(client);
        let flood =
            tokio::spawn(async move { while server.write_all(&[b'x'; 4096]).await.is_ok() {} });
        let mut taken = Vec::new();
        assert!(watched.read_to_end(&mut taken).await.is_err());
        assert!(progress.is_exhausted());
        assert!(taken.len() as u64 <= BEFORE_LOGIN + 64 * 1024);
        drop(watched);
        flood.await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_leash_ends_a_stream_that_stalls() {
        let (_server, client) = tokio::io::duplex(64);
        let (mut watched, _progress, leash) = Watched::new(client);
        let reading = tokio::spawn(async move { watched.read(&mut [0; 8]).await });
        tokio::task::yield_now().await;
        drop(leash);
        assert_eq!(reading.await.unwrap().unwrap(), 0);
    }
}
