//! Copies of whole files, and what breaks in the middle of them.

use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use primacy_host::{HostAccess, HostError};
use rustix::process::Signal;
use tokio::io::AsyncWrite;

use crate::far_side::{FarSide, LIMIT, Tools};

/// A writer that does something to the far side once it has so many bytes.
struct Interrupting<'a, F: FnMut()> {
    kept: &'a mut Vec<u8>,
    at: usize,
    act: Option<F>,
}

impl<F: FnMut() + Unpin> AsyncWrite for Interrupting<'_, F> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.kept.extend_from_slice(bytes);
        if self.kept.len() >= self.at
            && let Some(mut act) = self.act.take()
        {
            act();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn large() -> Vec<u8> {
    (0..8_000_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect()
}

#[tokio::test]
async fn a_whole_file_is_copied_byte_for_byte() {
    for tools in [Tools::Usual, Tools::Busybox, Tools::Posix] {
        let Some(far) = FarSide::with(tools, "") else { return };
        let content = large();
        let path = far.write("binlog.000001", &content);
        let host = far.host();
        for offset in [0, 1, 4_000_003, content.len() as u64, content.len() as u64 + 5] {
            let mut copy = Vec::new();
            let copied = host.fetch(&path, offset, &mut copy, LIMIT).await.unwrap();
            let from = usize::try_from(offset).unwrap().min(content.len());
            assert!(copy == content[from..], "{tools:?} from {offset}: {} bytes", copy.len());
            assert_eq!(copied, copy.len() as u64);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_is_no_end_of_the_file() {
    let Some(far) = FarSide::start() else { return };
    let content = large();
    far.write("binlog.000001", &content);
    let host = far.host();
    let mut kept = Vec::new();
    let kill = || far.signal(Signal::KILL);
    let mut to = Interrupting { kept: &mut kept, at: 1_000_000, act: Some(kill) };
    let error = host.fetch(Path::new("binlog.000001"), 0, &mut to, LIMIT).await.unwrap_err();
    assert!(matches!(error, HostError::Ssh { .. }), "{error}");
    assert!(error.to_string().contains("the connection was cut"), "{error}");
    assert!(kept.len() < content.len() && kept == content[..kept.len()]);
}

#[tokio::test]
async fn a_far_side_that_hangs_is_left_at_the_limit_and_read_again_when_it_goes_on() {
    let Some(far) = FarSide::start() else { return };
    let content = large();
    far.write("binlog.000001", &content);
    let host = far.host();
    let name = Path::new("binlog.000001");
    let mut kept = Vec::new();
    let stop = || far.signal(Signal::STOP);
    let mut to = Interrupting { kept: &mut kept, at: 1_000_000, act: Some(stop) };
    let begun = Instant::now();
    let error = host.fetch(name, 0, &mut to, Duration::from_millis(700)).await.unwrap_err();
    let HostError::Stalled { copied, .. } = error else { panic!("{error}") };
    assert_eq!(copied, kept.len() as u64);
    assert!(kept == content[..kept.len()]);
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());

    let begun = Instant::now();
    let error = host.file_len(name, Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(error, HostError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());

    far.signal(Signal::CONT);
    let copied = host.fetch(name, kept.len() as u64, &mut kept, LIMIT).await.unwrap();
    assert!(kept == content && copied > 0);
}

#[tokio::test]
async fn a_local_disk_that_is_full_ends_the_copy() {
    let Some(far) = FarSide::start() else { return };
    far.write("binlog.000001", large());
    let host = far.host();
    let mut full = tokio::fs::OpenOptions::new().write(true).open("/dev/full").await.unwrap();
    let error = host.fetch(Path::new("binlog.000001"), 0, &mut full, LIMIT).await.unwrap_err();
    assert!(matches!(error, HostError::Copy { .. }), "{error}");
}
