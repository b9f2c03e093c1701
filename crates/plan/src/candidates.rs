//! Which replica should become primary.
//!
//! Every server is judged: excluded with its reasons, or ranked. Preference comes before the
//! amount received, because a preferred replica can be levelled from a better one first. Between
//! equals the order of the configuration decides.

use std::cmp::Reverse;
use std::fmt;

use primacy_types::{
    Address, ClusterSnapshot, GtidMode, Positioning, Promotion, ServerFacts, TransactionSet,
};
use serde::{Deserialize, Serialize};

use crate::holdings::members;
use crate::places::replicates_by_place;
use crate::{backlog, errant, filters, topology};

/// Why a server may not become primary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "exclusion")]
pub enum Exclusion {
    /// It does not answer.
    Silent,
    /// It keeps binary logs and has no tables.
    BinlogServer,
    /// The configuration says `promotion = "never"`.
    Never,
    /// It does not replicate from this primary.
    NotAReplica,
    /// It writes no binary log.
    NoBinlog,
    /// It does not log what it replicates, so siblings could not get it from here.
    NoReplicaUpdates,
    /// The cluster replicates by GTID, and it does not.
    NoGtid,
    /// The cluster replicates by file and position, and it reads from another replica: its places
    /// are those of another log.
    Indirect,
    /// Its applier stopped with an error while received transactions wait.
    ApplierBroken(String),
    /// It reads from another replica, and the policy leaves such servers alone.
    LowerTier,
    /// It leaves out transactions by replication filters.
    Filters(Vec<String>),
    /// It has transactions of its own that no primary gave it.
    Errant(Vec<String>),
    /// It stands in another site, and the policy says to stay.
    OtherSite(String),
    /// It is of another flavour than the old primary.
    OtherFlavor,
    /// It has transactions from a source outside the cluster, over another channel.
    OutsideSource(Vec<String>),
    /// The policy demands semi-sync and it cannot do the source's part.
    NoSemiSync,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("it does not answer"),
            Self::BinlogServer => f.write_str("it is a binlog server"),
            Self::Never => f.write_str("promotion = \"never\""),
            Self::NotAReplica => f.write_str("it does not replicate from the primary"),
            Self::NoBinlog => f.write_str("it writes no binary log (log_bin is off)"),
            Self::NoReplicaUpdates => {
                f.write_str("it does not log what it replicates (log_replica_updates is off)")
            }
            Self::NoGtid => f.write_str("it does not replicate by GTID"),
            Self::Indirect => f.write_str(
                "it reads from another replica, and without GTID that cannot be compared",
            ),
            Self::LowerTier => f.write_str("it reads from another replica (multi_tier)"),
            Self::ApplierBroken(text) => {
                write!(f, "its applier stopped with an error before applying all: {text}")
            }
            Self::Filters(names) => write!(f, "it filters replication ({})", names.join(", ")),
            Self::Errant(gtids) => write!(f, "it has errant transactions: {}", gtids.join(", ")),
            Self::OtherSite(site) => write!(f, "it stands in site {site:?} (stay_in_site)"),
            Self::OtherFlavor => f.write_str("it is of another flavour than the primary"),
            Self::OutsideSource(gtids) => {
                write!(f, "it has transactions of an outside source: {}", gtids.join(", "))
            }
            Self::NoSemiSync => f.write_str("it has no semi-sync source plugin"),
        }
    }
}

/// A server and why it is (or is not) a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The server.
    pub server: Address,
    /// Empty for a candidate.
    pub exclusions: Vec<Exclusion>,
}

/// Judges every server other than the primary, in the order of their addresses.
pub fn judge(snapshot: &ClusterSnapshot, primary: &Address) -> Vec<Judged> {
    snapshot
        .servers
        .keys()
        .filter(|a| *a != primary)
        .map(|server| Judged {
            server: server.clone(),
            exclusions: exclusions(snapshot, primary, server),
        })
        .collect()
}

fn exclusions(snapshot: &ClusterSnapshot, primary: &Address, server: &Address) -> Vec<Exclusion> {
    let policy = &snapshot.policy;
    let wish = policy.server(server);
    let mut why = Vec::new();
    if wish.promotion == Promotion::Never {
        why.push(Exclusion::Never);
    }
    let by_place = replicates_by_place(snapshot);
    let Some(facts) = snapshot.live(server) else {
        why.push(Exclusion::Silent);
        return why;
    };
    if facts.binlog_server {
        return vec![Exclusion::BinlogServer];
    }
    let channel = match facts.channel(&policy.channel) {
        Some(channel) if topology::descends_from(snapshot, server, primary) => channel,
        _ => {
            why.push(Exclusion::NotAReplica);
            return why;
        }
    };
    if !facts.log_bin {
        why.push(Exclusion::NoBinlog);
    } else if !facts.log_replica_updates && !by_place {
        // Without GTID everybody is brought to the same place before the winner's own log begins.
        why.push(Exclusion::NoReplicaUpdates);
    }
    if by_place {
        if topology::managed_source(snapshot, server).as_ref() != Some(primary) {
            why.push(Exclusion::Indirect);
        }
    } else if facts.gtid_mode == GtidMode::Off
        || channel.positioning == Positioning::FileAndPosition
    {
        why.push(Exclusion::NoGtid);
    }
    if let Some(error) = &channel.applier_error
        && !facts.executed.covers(&facts.holds(&policy.channel))
    {
        why.push(Exclusion::ApplierBroken(format!("{} {}", error.code, error.message)));
    }
    if topology::is_lower_tier(snapshot, server, primary) {
        why.push(Exclusion::LowerTier);
    }
    if filters::stand_against(snapshot, server) {
        why.push(Exclusion::Filters(channel.filters.iter().cloned().collect()));
    }
    let own = errant::of(snapshot, primary, server);
    if !policy.allow_errant && !own.errant.is_empty() {
        why.push(Exclusion::Errant(errant::named(&own.errant)));
    }
    if !own.foreign.is_empty() {
        why.push(Exclusion::OutsideSource(errant::named(&own.foreign)));
    }
    let home = policy.server(primary).site;
    if policy.stay_in_site && wish.site != home {
        why.push(Exclusion::OtherSite(wish.site.unwrap_or_default()));
    }
    let flavor = snapshot.server(primary).and_then(|s| s.facts.as_ref()).map(|f| f.version.flavor);
    if flavor.is_some_and(|flavor| flavor != facts.version.flavor) {
        why.push(Exclusion::OtherFlavor);
    }
    if policy.semi_sync.is_some() && !facts.semi_sync.available {
        why.push(Exclusion::NoSemiSync);
    }
    why
}

/// The candidates, best first. The order depends on nothing but the snapshot's content.
pub fn ranked(snapshot: &ClusterSnapshot, primary: &Address) -> Vec<Address> {
    let policy = &snapshot.policy;
    let home = policy.server(primary).site;
    let place = |server: &Address| policy.order.iter().position(|other| other == server);
    let empty = TransactionSet::MariaDb(primacy_types::MariaDbGtidPos::default());
    let mut candidates: Vec<_> = judge(snapshot, primary)
        .into_iter()
        .filter(|j| j.exclusions.is_empty())
        .filter_map(|j| {
            let facts = snapshot.live(&j.server)?;
            let wish = policy.server(&j.server);
            let delayed =
                wish.delayed || facts.channel(&policy.channel).is_some_and(|c| c.delay_seconds > 0);
            // A replica cannot follow a source of a newer series than its own.
            let too_new_for = members(snapshot, primary)
                .filter(|(_, other)| series(other) < series(facts))
                .count();
            let promotion = match wish.promotion {
                Promotion::Prefer => 0,
                Promotion::Neutral => 1,
                Promotion::Last | Promotion::Never => 2,
            };
            let far_behind =
                policy.check_lag && backlog::is_far_behind(snapshot, primary, &j.server);
            let has = |set: &TransactionSet| {
                policy.prefer_latest.then(|| Reverse(set.count_beyond(&empty)))
            };
            let key = (
                delayed,
                far_behind,
                promotion,
                wish.site != home,
                too_new_for,
                has(&facts.holds(&policy.channel)),
                has(&facts.executed),
                place(&j.server).unwrap_or(usize::MAX),
                j.server.clone(),
            );
            Some((key, j.server))
        })
        .collect();
    candidates.sort();
    candidates.into_iter().map(|(_, server)| server).collect()
}

fn series(facts: &ServerFacts) -> (u16, u16) {
    (facts.version.number.0, facts.version.number.1)
}
