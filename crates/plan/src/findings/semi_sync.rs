//! Semi-sync as the policy wants it against semi-sync as it is.

use primacy_types::{Millis, Promotion, SemiSyncPolicy, WithoutAcker};

use super::view::{Hit, View};
use super::words::{Side, Threads, Words};
use crate::topology;

/// A timeout that no outage reaches: 49 days, which every version takes.
const NEVER: &str = "4294967295";

fn wish(view: &View<'_>) -> Option<SemiSyncPolicy> {
    view.policy().semi_sync
}

/// Under which name the variable goes where the older plugin is loaded.
fn spelling(words: Words, side: Side) -> &'static str {
    match side {
        _ if !words.mysql_since(8, 0, 26) => "",
        Side::Source => " (rpl_semi_sync_master_... with the older plugin)",
        Side::Replica => " (rpl_semi_sync_slave_... with the older plugin)",
    }
}

pub(super) fn plugin_missing(view: &View<'_>) -> Vec<Hit> {
    if wish(view).is_none() {
        return Vec::new();
    }
    let without = view.promotable().filter(|(_, f)| !f.semi_sync.available);
    without
        .map(|(address, facts)| {
            let words = Words::of(facts);
            let install = if words.is_mariadb() {
                "upgrade it: MariaDB has semi-sync built in since 10.3"
            } else if words.mysql_since(8, 0, 26) {
                "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'; \
                 INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'"
            } else {
                "INSTALL PLUGIN rpl_semi_sync_master SONAME 'semisync_master.so'; \
                 INSTALL PLUGIN rpl_semi_sync_slave SONAME 'semisync_slave.so'"
            };
            // INSTALL PLUGIN writes a table, which super_read_only forbids (MySQL 9.7).
            let mend = if facts.super_read_only == Some(true) {
                format!(
                    "SET GLOBAL super_read_only = OFF; {install}; SET GLOBAL super_read_only = ON"
                )
            } else {
                install.to_owned()
            };
            Hit::on(address, format!("{address} has no semi-sync source plugin"), mend)
        })
        .collect()
}

pub(super) fn off(view: &View<'_>) -> Vec<Hit> {
    let (Some(wish), Some((primary, facts))) = (wish(view), view.live_primary()) else {
        return Vec::new();
    };
    if !facts.semi_sync.available || facts.semi_sync.source_enabled {
        return Vec::new();
    }
    let words = Words::of(facts);
    let enabled = words.semi_sync(Side::Source, "enabled");
    vec![Hit::on(
        primary,
        format!(
            "the primary {primary} does not wait for acknowledgements (semi_sync_wait_count is {})",
            wish.wait_count
        ),
        format!(
            "when replicas acknowledge: SET GLOBAL {enabled} = ON{}",
            spelling(words, Side::Source)
        ),
    )]
}

pub(super) fn degraded(view: &View<'_>) -> Vec<Hit> {
    let Some((primary, facts)) = view.live_primary().filter(|_| wish(view).is_some()) else {
        return Vec::new();
    };
    if !facts.semi_sync.source_enabled || facts.semi_sync.source_active {
        return Vec::new();
    }
    vec![Hit::on(
        primary,
        format!("semi-sync on the primary {primary} is switched on and not in force"),
        "bring back replicas that acknowledge (see semi-sync-replica-off and receiver-stopped); \
         it is in force again once they have caught up",
    )]
}

pub(super) fn few_clients(view: &View<'_>) -> Vec<Hit> {
    let (Some(_), Some((primary, facts))) = (wish(view), view.live_primary()) else {
        return Vec::new();
    };
    let semi = &facts.semi_sync;
    if !semi.source_enabled || semi.clients >= u32::from(semi.wait_count) {
        return Vec::new();
    }
    vec![Hit::on(
        primary,
        format!(
            "the primary {primary} waits for {} acknowledgement(s) and {} replica(s) acknowledge",
            semi.wait_count, semi.clients
        ),
        "bring back replicas that acknowledge (see semi-sync-replica-off and receiver-stopped)",
    )]
}

pub(super) fn wait_count(view: &View<'_>) -> Vec<Hit> {
    let (Some(wish), Some((primary, facts))) = (wish(view), view.live_primary()) else {
        return Vec::new();
    };
    let (is, wanted) = (facts.semi_sync.wait_count, wish.wait_count);
    if !facts.semi_sync.available || is == wanted {
        return Vec::new();
    }
    let words = Words::of(facts);
    let mend = match words.semi_sync_wait_count() {
        Some(variable) => {
            let caution = if is > wanted {
                "while no commit waits, because it lets waiting ones through: "
            } else {
                ""
            };
            format!(
                "{caution}{}{}",
                words.set(&variable, &wanted.to_string()),
                spelling(words, Side::Source)
            )
        }
        None => format!(
            "{} always waits for one: semi_sync_wait_count = 1 in `policy`",
            words.version()
        ),
    };
    let sentence = format!(
        "the primary {primary} waits for {is} acknowledgement(s) and the policy for {wanted}"
    );
    vec![Hit::on(primary, sentence, mend)]
}

pub(super) fn timeout_short(view: &View<'_>) -> Vec<Hit> {
    let timing = &view.policy().timing;
    let silence = timing.ping_interval.times(timing.ping_failures.into());
    let enough: Millis = silence.times(10);
    let short = view.promotable().filter(|(_, f)| f.semi_sync.available);
    short
        .filter(|(_, f)| wish(view).is_some() && f.semi_sync.timeout < enough)
        .map(|(address, facts)| {
            let words = Words::of(facts);
            let timeout = facts.semi_sync.timeout;
            let set = words.set(&words.semi_sync(Side::Source, "timeout"), NEVER);
            Hit::on(
                address,
                format!(
                    "{address} lets commits through after {timeout} without acknowledgement; it \
                     should be {enough} or more"
                ),
                format!(
                    "{set}{}; then commits wait as long as it takes",
                    spelling(words, Side::Source)
                ),
            )
        })
        .collect()
}

pub(super) fn after_commit(view: &View<'_>) -> Vec<Hit> {
    let late = view.promotable().filter(|(_, f)| f.semi_sync.available && !f.semi_sync.after_sync);
    late.filter(|_| wish(view).is_some())
        .map(|(address, facts)| {
            let words = Words::of(facts);
            let mend = if words.is_mariadb() || words.mysql_since(5, 7, 2) {
                let variable = words.semi_sync(Side::Source, "wait_point");
                format!("{}{}", words.set(&variable, "'AFTER_SYNC'"), spelling(words, Side::Source))
            } else {
                "upgrade to MySQL 5.7.2 or later, which can wait before the commit".to_owned()
            };
            let sentence =
                format!("{address} waits for acknowledgements after the commit (AFTER_COMMIT)");
            Hit::on(address, sentence, mend)
        })
        .collect()
}

pub(super) fn unacknowledged(view: &View<'_>) -> Vec<Hit> {
    let (Some(_), Some((primary, facts))) = (wish(view), view.live_primary()) else {
        return Vec::new();
    };
    let count = facts.semi_sync.unacknowledged;
    if !facts.semi_sync.source_enabled || count == 0 {
        return Vec::new();
    }
    vec![Hit::on(
        primary,
        format!(
            "the primary {primary} let {count} commit(s) through without acknowledgement since \
             its counters began"
        ),
        "when all replicas have caught up, begin anew: FLUSH LOCAL STATUS",
    )]
}

pub(super) fn replica_off(view: &View<'_>) -> Vec<Hit> {
    let Some(primary) = view.primary().filter(|_| wish(view).is_some()) else {
        return Vec::new();
    };
    let mut hits = Vec::new();
    for (address, facts, channel) in view.replicas().filter(|(_, f, _)| !f.semi_sync.replica_active)
    {
        if topology::managed_source(view.snapshot(), address).as_ref() != Some(primary) {
            continue;
        }
        let words = Words::of(facts);
        let restart = words.restart(Threads::Receiver, &channel.name);
        let mend = if facts.semi_sync.replica_enabled {
            restart
        } else {
            let enabled = words.semi_sync(Side::Replica, "enabled");
            format!(
                "{}{}; then {restart}",
                words.set(&enabled, "ON"),
                spelling(words, Side::Replica)
            )
        };
        let mend = if channel.applier_running {
            mend
        } else {
            format!("first see applier-stopped; then {mend}")
        };
        let sentence = format!("{address} does not acknowledge what it receives");
        hits.push(Hit::on(address, sentence, mend));
    }
    hits
}

pub(super) fn source_on_replica(view: &View<'_>) -> Vec<Hit> {
    let waiting = view.replicas().filter(|(_, f, _)| {
        f.semi_sync.source_enabled && f.semi_sync.source_active && f.semi_sync.clients == 0
    });
    waiting
        .filter(|_| view.primary().is_some())
        .map(|(address, facts, _)| {
            let words = Words::of(facts);
            let enabled = words.semi_sync(Side::Source, "enabled");
            Hit::on(
                address,
                format!(
                    "the applier of {address} waits for acknowledgements that no replica sends it"
                ),
                format!("SET GLOBAL {enabled} = OFF{}", spelling(words, Side::Source)),
            )
        })
        .collect()
}

pub(super) fn after_failover(view: &View<'_>) -> Vec<Hit> {
    // Where the policy refuses, the planner's own words are shown.
    let Some(wish) = wish(view).filter(|w| w.without_acker != WithoutAcker::Refuse) else {
        return Vec::new();
    };
    if view.candidates.is_empty() {
        return Vec::new();
    }
    let left = view.replicas().filter(|(_, f, _)| f.semi_sync.replica_enabled).count();
    // One of them is promoted.
    let left = left.saturating_sub(1);
    if left >= usize::from(wish.wait_count) {
        return Vec::new();
    }
    let then = match wish.without_acker {
        WithoutAcker::Degrade => "semi-sync is off until more return",
        _ => "commits wait until more return",
    };
    let spare = view
        .replicas()
        .find(|(a, f, _)| {
            !f.semi_sync.replica_enabled && view.policy().server(a).promotion != Promotion::Prefer
        })
        .map(|(a, _, _)| format!(", or let {a} acknowledge (semi-sync-replica-off)"));
    vec![Hit::cluster(
        format!(
            "after a failover {left} replica(s) would be left to acknowledge and each commit \
             waits for {}: {then}",
            wish.wait_count
        ),
        format!(
            "add a replica{}, or lower semi_sync_wait_count in `policy`",
            spare.unwrap_or_default()
        ),
    )]
}

pub(super) fn unwanted(view: &View<'_>) -> Vec<Hit> {
    let Some((primary, facts)) = view.live_primary().filter(|_| wish(view).is_none()) else {
        return Vec::new();
    };
    if !facts.semi_sync.source_active {
        return Vec::new();
    }
    let words = Words::of(facts);
    let enabled = words.semi_sync(Side::Source, "enabled");
    vec![Hit::on(
        primary,
        format!(
            "semi-sync is in force on the primary {primary}, and the policy says nothing of it: a \
             new primary would not have it"
        ),
        format!(
            "semi_sync_wait_count = {} in `policy`; or, which lets waiting commits through, on \
             {primary}: SET GLOBAL {enabled} = OFF{}",
            facts.semi_sync.wait_count.max(1),
            spelling(words, Side::Source)
        ),
    )]
}
