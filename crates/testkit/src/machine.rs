//! Whether the machine gave its processes their processor time.
//!
//! What Primacy promises in time (a lease is renewed, a probe is answered within 0.48 s) it can keep
//! only where processes run when they are due. A virtual machine on a busy host may stand still for
//! seconds; then a lease runs out as it should, and a test that says "no outage" has lost its premise.
//! So this is measured beside every test.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// How often a processor is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A processor that comes so late has not given the test what it takes for granted: half of the
/// shortest limit that the programs under test have for an answer (a manager waits 0.48 s for what it tells
/// an agent), since who asks and who answers may both be so late.
pub(crate) const STILL: Duration = Duration::from_millis(240);

/// Watches every processor that this process may use, until it is dropped.
pub(crate) struct Watch {
    latest: Arc<AtomicU64>,
    done: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start() -> Self {
        let (latest, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let usable = sched_getaffinity(None).unwrap_or_default();
        let processors = (0..CpuSet::MAX_CPU).filter(|&cpu| usable.is_set(cpu));
        let watch = |cpu| {
            let (latest, done) = (Arc::clone(&latest), Arc::clone(&done));
            std::thread::spawn(move || {
                let mut only = CpuSet::new();
                only.set(cpu);
                // Where that is not allowed it watches whichever processor it is given.
                let _ = sched_setaffinity(None, &only);
                while !done.load(Ordering::Relaxed) {
                    let begin = Instant::now();
                    std::thread::sleep(LOOK);
                    let late = begin.elapsed().saturating_sub(LOOK).as_micros();
                    latest.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
                }
            })
        };
        let threads = processors.map(watch).collect();
        Self { latest, done, threads }
    }

    /// By how much the latest of them came too late.
    pub(crate) fn latest(&self) -> Duration {
        Duration::from_micros(self.latest.load(Ordering::Relaxed))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_processor_is_watched_until_the_end() {
        let watch = Watch::start();
        let end = Instant::now() + Duration::from_secs(60);
        while watch.latest().is_zero() {
            assert!(Instant::now() < end, "nobody watches");
            std::thread::sleep(LOOK);
        }
        assert!(!watch.threads.is_empty());
    }
}
