//! Can it be proved that the reachable replicas hold every row that was acknowledged?
//!
//! Semi-sync proves it: with K replicas that acknowledged and W acknowledgements awaited, any
//! K - W + 1 of them together hold everything, because at least one of them took part in each
//! acknowledgement. It proves nothing where commits were let through without acknowledgement,
//! where it was not in force, or where a replica's relay log may have been dropped.

use primacy_types::{Address, ClusterSnapshot, GtidSet};
use serde::{Deserialize, Serialize};

use crate::{candidates, topology};

/// What is known about acknowledged rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Semi-sync was in force on the primary when it was last seen.
    pub semi_sync: bool,
    /// Why every acknowledged row is held, or why that is not proved, as a sentence.
    pub sentence: String,
    /// It is proved that nothing acknowledged is missing.
    pub proved: bool,
    /// Transactions that the primary was seen to have and no reachable replica holds.
    pub known_missing: Vec<String>,
}

/// Judges what the reachable replicas of `primary` hold.
pub fn coverage(snapshot: &ClusterSnapshot, primary: &Address) -> Coverage {
    let Some(old) = snapshot.server(primary).and_then(|s| s.facts.as_ref()) else {
        return Coverage {
            semi_sync: false,
            sentence: "the primary was never seen, so nothing is known of what it acknowledged"
                .to_owned(),
            proved: false,
            known_missing: Vec::new(),
        };
    };
    let held = candidates::held_by_all(snapshot, primary);
    let known_missing = match &held {
        Some(held) => old.executed.beyond(held),
        None => old.executed.beyond(&GtidSet::MariaDb(primacy_types::MariaDbGtidPos::default())),
    };
    let semi = &old.semi_sync;
    let (proved, sentence) = if !semi.source_active {
        (
            false,
            "replication is asynchronous: the primary acknowledged rows without waiting for \
                 a replica"
                .to_owned(),
        )
    } else if semi.unacknowledged > 0 {
        (
            false,
            format!(
                "the primary let {} commit(s) through without acknowledgement since it started",
                semi.unacknowledged
            ),
        )
    } else {
        let reachable = topology::direct_replicas(snapshot, primary)
            .filter_map(|a| snapshot.live(a))
            .filter(|f| f.semi_sync.replica_enabled)
            .count() as u32;
        let needed = (semi.clients + 1).saturating_sub(u32::from(semi.wait_count)).max(1);
        if semi.clients == 0 {
            (false, "no replica was acknowledging when the primary was last seen".to_owned())
        } else if reachable >= needed {
            (
                true,
                format!(
                    "{reachable} of {} acknowledging replicas are reachable and {needed} suffice \
                 (each commit waited for {})",
                    semi.clients, semi.wait_count
                ),
            )
        } else {
            (
                false,
                format!(
                    "only {reachable} of {} acknowledging replicas are reachable and {needed} would \
                 be needed (each commit waited for {})",
                    semi.clients, semi.wait_count
                ),
            )
        }
    };
    Coverage {
        semi_sync: semi.source_active,
        sentence,
        proved: proved && known_missing.is_empty(),
        known_missing,
    }
}
