//! Whether a replica is so far behind in applying that others come first (`check_lag`).
//!
//! What it has received counts as little as what it has not: both must be applied before it can be
//! opened. Bytes of the primary's binary log are compared, because lag in seconds says nothing any
//! more once the primary is dead.

use primacy_types::{Address, BinlogPosition, ClusterSnapshot};

use crate::topology;

/// So many bytes are much to apply. MHA's limit.
const MUCH: u64 = 100_000_000;

/// Whether `server` is by a whole file, or by much of one, behind what any live replica of
/// `primary` has received.
pub(crate) fn is_far_behind(
    snapshot: &ClusterSnapshot,
    primary: &Address,
    server: &Address,
) -> bool {
    if topology::managed_source(snapshot, server).as_ref() != Some(primary) {
        return false;
    }
    let read = |a: &Address| snapshot.live_channel(a).and_then(|c| c.read.clone());
    let latest = topology::direct_replicas(snapshot, primary).filter_map(read).max();
    let applied = snapshot.live_channel(server).and_then(|c| c.applied.clone());
    matches!((latest, applied), (Some(latest), Some(applied)) if is_much(&latest, &applied))
}

/// A log that was only just rotated is no reason: what is left of the file before is not known.
fn is_much(latest: &BinlogPosition, applied: &BinlogPosition) -> bool {
    match latest.files_beyond(applied) {
        0 => latest.offset.saturating_sub(applied.offset) > MUCH,
        1 => latest.offset > MUCH,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_log_alone_is_not_much_and_a_whole_file_is() {
        let at = |file: u32, offset| BinlogPosition::new(format!("bin.{file:06}"), offset);
        for (latest, applied, much) in [
            (at(3, 500), at(3, 4), false),
            (at(3, MUCH + 5), at(3, 5), false),
            (at(3, MUCH + 6), at(3, 5), true),
            (at(3, 4), at(2, 900), false),
            (at(3, MUCH + 1), at(2, 900), true),
            (at(4, 4), at(2, 900), true),
            (at(1_000_000, 4), at(999_999, 900), false),
            (at(2, 4), at(3, 900), false),
        ] {
            assert_eq!(is_much(&latest, &applied), much, "{latest} and {applied}");
        }
    }
}
