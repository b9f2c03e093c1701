//! Small worlds as the manager would show them.

use std::collections::BTreeMap;

use primacy_api::{ClusterView, Explanation, OperationView};
use primacy_dcs::{LockStatus, ServerLock};
use primacy_plan::testing::World;
use primacy_plan::{decide, diagnose};
use primacy_types::{Address, WallClock};

/// 2026-11-20 21:12:03.045 UTC.
pub(crate) const BEGAN: WallClock = WallClock(1_795_209_123_045);

/// The text without its colours.
pub(crate) fn stripped(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// A cluster as commands show it.
pub(crate) fn view(world: &World) -> ClusterView {
    ClusterView::of(&world.snapshot, &diagnose(&world.snapshot))
}

/// A failover under way.
pub(crate) fn operation() -> OperationView {
    OperationView {
        id: "019aa2d6-5c85-7000-8000-000000000001".into(),
        kind: "failover".into(),
        started: BEGAN,
    }
}

/// What the manager would explain.
pub(crate) fn explanation(world: &World) -> Explanation {
    let diagnosis = diagnose(&world.snapshot);
    let decision = decide(&world.snapshot, &diagnosis);
    let held = |a: &Address| (a.clone(), ServerLock::Held { connection: 12 });
    let servers: BTreeMap<_, _> = world.snapshot.servers.keys().map(held).collect();
    Explanation {
        cluster: world.snapshot.cluster.clone(),
        diagnosis,
        decision,
        lock: LockStatus { servers },
        snapshot: world.snapshot.clone(),
        operation: None,
    }
}
