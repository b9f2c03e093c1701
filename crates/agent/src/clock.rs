//! The clock that leases are counted on: it runs through suspend, and is the same for every process
//! of one boot (clock_gettime(2), CLOCK_BOOTTIME).

use primacy_types::{Moment, WallClock};
use rustix::time::{ClockId, clock_gettime};

/// Now.
pub(crate) fn now() -> Moment {
    let at = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(at.tv_sec).unwrap_or_default();
    let millis = u64::try_from(at.tv_nsec).unwrap_or_default() / 1_000_000;
    Moment(seconds.saturating_mul(1000).saturating_add(millis))
}

/// The wall clock, which people may set.
pub(crate) fn wall() -> WallClock {
    let at = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(at.tv_sec).unwrap_or_default();
    let millis = u64::try_from(at.tv_nsec).unwrap_or_default() / 1_000_000;
    WallClock(seconds.saturating_mul(1000).saturating_add(millis))
}

/// The kernel's id of this boot: moments of another one say nothing.
pub(crate) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}
