//! Limits for calls into the kernel, which know none themselves.
//!
//! Each runs in a thread of its own: not in a runtime's pool, which may be full or frozen when an
//! address has to go. A thread belongs to the network namespace of the one that made it.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

/// The kernel does the work; ours needs little.
const STACK: usize = 256 << 10;

/// A moment until when something may be done, on the clock that runs through a suspend: a host
/// that slept must not go on with what was right before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Duration);

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self(since_boot().saturating_add(limit))
    }

    pub(crate) fn left(self) -> Duration {
        self.0.saturating_sub(since_boot())
    }

    pub(crate) fn is_over(self) -> bool {
        self.left() == Duration::ZERO
    }
}

fn since_boot() -> Duration {
    clock_gettime(ClockId::Boottime).try_into().unwrap_or(Duration::MAX)
}

/// Does the work, or gives up waiting for it: `None`. Then it may still be done later.
pub(crate) fn wait<T: Send + 'static>(
    limit: Duration,
    work: impl Fn() -> T + Clone + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let job = work.clone();
    if in_thread(move || drop(sender.send(job()))) {
        receiver.recv_timeout(limit).ok()
    } else {
        // No more threads: better without a limit than not at all.
        Some(work())
    }
}

/// The same without blocking the caller. Where it gives up, or is dropped, what the work
/// returns is dropped.
pub(crate) async fn wait_async<T: Send + 'static>(
    limit: Duration,
    work: impl Fn() -> T + Clone + Send + 'static,
) -> Option<T> {
    let (sender, receiver) = oneshot::channel();
    let job = work.clone();
    if in_thread(move || drop(sender.send(job()))) {
        tokio::time::timeout(limit, receiver).await.ok()?.ok()
    } else {
        Some(work())
    }
}

fn in_thread(work: impl FnOnce() + Send + 'static) -> bool {
    thread::Builder::new().name("primacy-vip".into()).stack_size(STACK).spawn(work).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_is_given_up() {
        let (release, block) = mpsc::channel::<()>();
        let block = std::sync::Arc::new(std::sync::Mutex::new(block));
        let work = move || block.lock().expect("the only user").recv().is_ok();
        assert_eq!(wait(Duration::from_millis(10), work), None);
        drop(release);
        assert_eq!(wait(Duration::from_secs(60), || 7), Some(7));
    }

    #[test]
    fn a_deadline_ends() {
        assert!(Deadline::after(Duration::ZERO).is_over());
        let later = Deadline::after(Duration::from_secs(60));
        assert!(!later.is_over() && later.left() <= Duration::from_secs(60));
    }
}
