//! The checks: code, grade, words for people, function.

use super::view::{Hit, View};
use super::{
    Severity, capacity, channels, crash, identity, links, logging, operations, replication, rescue,
    roles, semi_sync, versions,
};
use crate::{Exclusion, OperationKind};

/// How much the findings of a check matter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grade {
    /// These operations are refused.
    Refuses(&'static [OperationKind]),
    /// The server cannot be promoted for such a reason: a risk, which blocks everything where no
    /// other server is left.
    Excludes(fn(&Exclusion) -> bool),
    /// A risk, which refuses a switchover where it is about the server that would be chosen.
    HindersWinner,
    /// Refusals of this operation that no finding before has explained.
    LastResort(OperationKind),
    /// Nothing is refused.
    Is(Severity),
}

/// One check.
pub(super) struct Check {
    /// Its name in output and documentation.
    pub(super) code: &'static str,
    pub(super) grade: Grade,
    /// What is wrong, in a few words.
    pub(super) title: &'static str,
    /// What follows from it.
    pub(super) doc: &'static str,
    pub(super) find: fn(&View<'_>) -> Vec<Hit>,
}

const FAILOVER: &[OperationKind] = &[OperationKind::Failover];
const SWITCHOVER: &[OperationKind] = &[OperationKind::Switchover];
const BOTH: &[OperationKind] = &[OperationKind::Failover, OperationKind::Switchover];

impl Grade {
    /// The operations that are refused because of a finding about `server`.
    pub(super) fn refuses(
        &self,
        view: &View<'_>,
        server: Option<&primacy_types::Address>,
    ) -> &'static [OperationKind] {
        match self {
            Self::Refuses(kinds) => kinds,
            Self::Excludes(reason) if view.candidates.is_empty() => {
                let judged = view.judged.iter().find(|j| Some(&j.server) == server);
                match judged {
                    Some(judged) if judged.exclusions.iter().any(reason) => BOTH,
                    _ => &[],
                }
            }
            Self::HindersWinner if view.would_be_chosen(server) => SWITCHOVER,
            Self::LastResort(OperationKind::Failover) => FAILOVER,
            Self::LastResort(_) => SWITCHOVER,
            Self::Excludes(_) | Self::HindersWinner | Self::Is(_) => &[],
        }
    }

    /// How much a finding matters that refuses these operations.
    pub(super) fn severity(&self, refuses: &[OperationKind]) -> Severity {
        match self {
            Self::Is(severity) => *severity,
            _ if refuses.is_empty() => Severity::Risk,
            _ => Severity::Blocks,
        }
    }

    /// The same for the reference.
    pub(super) fn sentence(&self) -> String {
        match self {
            Self::Refuses(kinds) => {
                let words: Vec<_> = kinds.iter().map(|k| k.word()).collect();
                format!("blocks ({} refused)", words.join(" and "))
            }
            Self::Excludes(_) => {
                "risk; blocks (failover and switchover refused) if no other server can be promoted"
                    .to_owned()
            }
            Self::HindersWinner => {
                "risk; blocks (switchover refused) if the server is the one that would be chosen"
                    .to_owned()
            }
            Self::LastResort(kind) => {
                format!("blocks ({kind} refused); only where no other finding says why")
            }
            Self::Is(severity) => severity.to_string(),
        }
    }
}

const fn check(
    code: &'static str,
    grade: Grade,
    find: fn(&View<'_>) -> Vec<Hit>,
    title: &'static str,
    doc: &'static str,
) -> Check {
    Check { code, grade, title, doc, find }
}

/// All checks, in the order in which findings of the same severity are shown.
#[rustfmt::skip]
pub(super) static CHECKS: &[Check] = {
    use Exclusion as E;
    use Grade::{Excludes, HindersWinner, Is, LastResort, Refuses};
    use Severity::{Advice, Risk};
    &[
        // Roles.
        check("primary-unknown", Refuses(BOTH), roles::primary_unknown,
            "No primary is known",
            "None is on record and the servers do not show a single one, so there is nothing to replace or to move."),
        check("several-writable", Refuses(SWITCHOVER), roles::several_writable,
            "More than one server accepts writes",
            "Writes on different servers drift apart. With a primary on record the manager closes the others."),
        check("primary-read-only", Refuses(SWITCHOVER), roles::primary_read_only,
            "The primary is read-only",
            "Applications cannot write. One that was restarted is opened by the manager; one that somebody closed is left so."),
        check("single-server", Refuses(BOTH), roles::single_server,
            "The cluster has one server",
            "Nothing can take over from it."),
        check("no-candidate", Refuses(BOTH), roles::no_candidate,
            "No server can be promoted",
            "Every other server is excluded for a reason that the finding names."),
        check("reluctant-candidates", Is(Risk), roles::reluctant_candidates,
            "Only delayed or unwanted servers can be promoted",
            "A delayed replica must first apply what it holds back; `promotion = \"last\"` says that it does not suit."),
        check("read-only-off", Is(Risk), roles::read_only_off,
            "A replica accepts writes",
            "What an application writes there is errant: it is on no other server and keeps this one from being promoted."),
        check("super-read-only-off", Is(Advice), roles::super_read_only_off,
            "Accounts with SUPER can write on a replica",
            "`read_only` does not stop them, and what they write is errant."),
        check("co-primary", Is(Advice), roles::co_primary,
            "Two servers replicate from each other",
            "The pair is treated as a primary and its replica; after the role has moved it is not restored."),
        // Servers.
        check("unreachable", Excludes(|e| matches!(e, E::Silent)), links::unreachable,
            "A server does not answer",
            "It is neither watched nor a candidate, and what only it received cannot be had."),
        check("server-listed-twice", Is(Risk), identity::listed_twice,
            "Two addresses lead to the same server",
            "It would be counted twice as replica, candidate and writer."),
        check("duplicate-server-uuid", Is(Risk), identity::duplicate_uuid,
            "Two servers have the same `server_uuid`",
            "A copied `auto.cnf`: sources end the connection of the one when the other connects, and GTIDs of both cannot be told apart."),
        check("duplicate-server-id", Is(Risk), identity::duplicate_id,
            "Two servers have the same `server_id`",
            "A replica skips events that carry its own id, and a source ends the connection of the one when the other connects."),
        check("other-flavour", Excludes(|e| matches!(e, E::OtherFlavor)), versions::other_flavour,
            "A replica is of another flavour than the primary",
            "MySQL and MariaDB number transactions differently, so that it cannot take over."),
        check("replica-older-than-source", Is(Risk), versions::older_than_source,
            "A replica is of an older series than its source",
            "It may meet events that it does not know; replication is supported only from older to newer."),
        check("replica-newer-than-primary", Is(Advice), versions::newer_than_primary,
            "A replica is of a newer series than the primary",
            "Usual during an upgrade; once it is promoted, servers of the older series cannot safely follow it."),
        check("connections-nearly-exhausted", Is(Risk), capacity::connections,
            "Almost all connections are in use",
            "When none is left, the manager's own may be refused, too."),
        // Replication.
        check("not-a-replica", Excludes(|e| matches!(e, E::NotAReplica)), links::not_a_replica,
            "A server does not replicate from the primary",
            "It is no candidate and is not repointed."),
        check("left-behind", Is(Risk), links::left_behind,
            "A server that is back waits for a person",
            "A former primary that has transactions of its own, or cannot follow the new one, is left as it is and out of replication; the cluster has one replica less until somebody decides."),
        check("unknown-source", Excludes(|e| matches!(e, E::NotAReplica)), links::unknown_source,
            "A replica reads from a server that is not listed",
            "It hangs on a server that nobody watches; what that one has is not known."),
        check("unlisted-replica", Is(Advice), links::unlisted_replica,
            "A replica is connected that is not listed",
            "It is not watched and not repointed when the role moves."),
        check("external-channel", Refuses(SWITCHOVER), links::external_channel,
            "The primary itself replicates from outside the cluster",
            "The password of that channel cannot be read, so it cannot be moved to a new primary; after a failover it is gone until somebody sets it up again."),
        check("receiver-stopped", HindersWinner, replication::receiver_stopped,
            "A receiver is not connected",
            "What the primary writes now is not on this replica, and it cannot tell whether the primary lives."),
        check("applier-stopped", HindersWinner, replication::applier_stopped,
            "An applier does not run",
            "What was received waits and must be applied before the server can be promoted."),
        check("applier-broken", Excludes(|e| matches!(e, E::ApplierBroken(_))), replication::applier_broken,
            "An applier stopped with an error",
            "While transactions wait that it cannot apply, the server is no candidate and gives others nothing."),
        check("lag", Is(Risk), capacity::lag,
            "A replica is far behind",
            "It must apply all of it before it can be promoted; writes are blocked for that long."),
        check("replication-filters", Excludes(|e| matches!(e, E::Filters(_))), replication::filters,
            "A replica filters replication",
            "It lacks what it leaves out, so it is no candidate. Nothing is said where all replicas (two or more) filter alike, or with `check_filters = false`."),
        check("filters-differ", Is(Risk), replication::filters_differ,
            "Replicas filter differently",
            "Each holds another part of the data."),
        check("errant-transactions", Excludes(|e| matches!(e, E::Errant(_))), replication::errant,
            "A replica has transactions of its own",
            "No primary gave them to it. Promoted, it would spread them, or break siblings that cannot fetch them any more."),
        check("outside-transactions", Excludes(|e| matches!(e, E::OutsideSource(_))), replication::outside,
            "A replica has transactions of an outside source",
            "Another channel of it brings in what the rest of the cluster does not have; promoted, it would spread them."),
        check("heartbeat-slow", Is(Risk), channels::heartbeat_slow,
            "Heartbeats are rare or off",
            "A replica whose source fell silent can say so only after one and a half periods; servers ship 30 s."),
        check("heartbeat-unknown", Is(Risk), channels::heartbeat_unknown,
            "Heartbeats cannot be seen",
            "The silence of this replica's source proves nothing, so a hanging primary may not be recognised."),
        check("connect-retry-long", Is(Risk), channels::connect_retry,
            "A receiver waits long before it connects again",
            "After a short interruption the replica stays without its source for so long; servers ship 60 s."),
        // Logs and GTIDs.
        check("log-bin-off", Excludes(|e| matches!(e, E::NoBinlog)), logging::log_bin_off,
            "A server writes no binary log",
            "Nobody can replicate from it."),
        check("log-replica-updates-off", Excludes(|e| matches!(e, E::NoReplicaUpdates)), logging::log_replica_updates_off,
            "A server does not log what it replicates",
            "Siblings could not get from it what it received."),
        check("gtid-off", Excludes(|e| matches!(e, E::NoGtid)), logging::gtid_off,
            "GTIDs are switched off on a server",
            "It cannot take the place of servers that replicate by GTID. Nothing is said where the whole cluster replicates by file and position."),
        check("channel-by-position", Excludes(|e| matches!(e, E::NoGtid)), logging::channel_by_position,
            "A channel finds its place by file and position, and others by GTID",
            "What it has cannot be compared with what the others have."),
        check("file-and-position", Is(Advice), logging::file_and_position,
            "The whole cluster replicates by file and position",
            "Failover and switchover work. But errant transactions cannot be told, replicas of replicas are no candidates, and siblings that lack something can be levelled from files only."),
        check("gtid-strict-mode-off", Is(Risk), logging::gtid_strict_off,
            "`gtid_strict_mode` is off",
            "MariaDB then takes transactions out of order, and a write of a replica's own hides behind what it receives."),
        // What survives a crash.
        check("log-not-synced", Is(Risk), crash::log_not_synced,
            "Commits are not forced to disk",
            "Without `sync_binlog = 1` and `innodb_flush_log_at_trx_commit = 1` a crash of the host loses transactions that were acknowledged, or leaves a primary behind its own replicas."),
        check("positions-in-files", Is(Risk), crash::positions_in_files,
            "A replica by file and position keeps its place in files",
            "After a crash the file may be behind the data, and transactions are applied twice."),
        check("parallel-without-order", Is(Risk), crash::parallel_without_order,
            "Appliers commit out of order",
            "After a crash there are gaps among the applied transactions, and the last position says nothing of them."),
        check("unsafe-tables", Is(Risk), crash::unsafe_tables,
            "Tables neither roll back nor recover",
            "A crash in the middle of a statement leaves them half changed, differently on each server. Only tables that the manager's account sees are looked at, and none on MySQL 5.6."),
        // Rescue.
        check("relay-logs-purged", Is(Risk), rescue::relay_logs_purged,
            "A replica by file and position removes the relay logs that it has applied",
            "Without GTID the siblings of the most advanced replica can get what they lack only from its relay logs."),
        check("relay-log-recovery", Is(Risk), rescue::relay_log_recovery,
            "A replica by file and position throws away its relay logs when it restarts",
            "What it received and had not applied is fetched again from the primary; from a dead one it cannot be."),
        check("binlog-encrypted", Is(Risk), rescue::binlog_encrypted,
            "Binary logs are encrypted on disk",
            "If the server dies, what nobody received cannot be read from its files, only over SQL when it runs again."),
        check("no-file-access", Is(Risk), rescue::no_file_access,
            "The files of the primary's host cannot be read",
            "If the primary dies, what it had written and nobody received stays on its disk."),
        // Semi-sync.
        check("semi-sync-plugin-missing", Excludes(|e| matches!(e, E::NoSemiSync)), semi_sync::plugin_missing,
            "A server cannot do the source's part of semi-sync",
            "The policy demands semi-sync, so it cannot be promoted."),
        check("semi-sync-off", Is(Risk), semi_sync::off,
            "The primary does not wait for acknowledgements",
            "The policy demands semi-sync; rows that are acknowledged now may be on no replica."),
        check("semi-sync-degraded", Is(Risk), semi_sync::degraded,
            "Semi-sync is switched on and not in force",
            "The primary gave up waiting and acknowledges rows that no replica has confirmed."),
        check("semi-sync-few-clients", Is(Risk), semi_sync::few_clients,
            "Fewer replicas acknowledge than the primary waits for",
            "Commits wait until the timeout, or for ever."),
        check("semi-sync-wait-count", Is(Risk), semi_sync::wait_count,
            "The primary waits for another number of acknowledgements than the policy says",
            "With fewer, a loss of servers that the policy allows for may cost rows."),
        check("semi-sync-timeout-short", Is(Risk), semi_sync::timeout_short,
            "Semi-sync gives up soon",
            "A commit is let through without acknowledgement after the timeout. Shorter than ten times `ping_interval` x `ping_failures`, that may happen while a death is being confirmed."),
        check("semi-sync-after-commit", Is(Risk), semi_sync::after_commit,
            "Semi-sync waits after the engine commit",
            "Other sessions read rows that no replica has; after a failover they are gone."),
        check("semi-sync-unacknowledged", Is(Risk), semi_sync::unacknowledged,
            "Commits were let through without acknowledgement",
            "It cannot be proved any more that the replicas hold everything; `on_possible_loss` says what a failover does then."),
        check("semi-sync-replica-off", Is(Advice), semi_sync::replica_off,
            "A replica does not acknowledge",
            "It does not count among those that prove that nothing is lost."),
        check("semi-sync-source-on-replica", Is(Risk), semi_sync::source_on_replica,
            "A replica waits for acknowledgements itself",
            "No replica acknowledges to it, so its applier waits for the timeout at each transaction."),
        check("semi-sync-after-failover", Is(Risk), semi_sync::after_failover,
            "Too few replicas are left to acknowledge after a failover",
            "The new primary's commits would wait until more return."),
        check("semi-sync-unwanted", Is(Risk), semi_sync::unwanted,
            "Semi-sync is in force although the policy says none",
            "A new primary would not have it, and a failover is refused where rows may be missing."),
        // Operations.
        check("no-fence", Refuses(FAILOVER), operations::no_fence,
            "The primary cannot be fenced",
            "A primary that falls silent might still accept writes, so it is not replaced while `unfenced = \"refuse\"`. One whose process is gone, or whose host refuses the connection, is."),
        check("no-fence-proceed", Is(Risk), operations::no_fence_proceed,
            "The primary cannot be fenced and would be replaced all the same",
            "`unfenced = \"proceed\"`: a primary that only fell silent may accept writes beside the new one."),
        check("process-unknown", Is(Risk), operations::process_unknown,
            "The process of a local server is not found",
            "`host_access = \"local\"` promises that it runs on this machine; without its process it cannot be fenced."),
        check("epoch-ahead", Is(Risk), operations::epoch_ahead,
            "A server records a later epoch than the manager",
            "Another manager promoted a primary, or this one lost its history."),
        check("paused", Is(Risk), operations::paused,
            "The cluster is paused",
            "A dead primary is not replaced until somebody resumes it."),
        check("failover-blocked", Is(Risk), operations::failover_blocked,
            "A second failover so soon is refused",
            "A guard against flapping: `timing.failover_block`."),
        check("automatic-failover-off", Is(Advice), operations::automatic_failover_off,
            "Automatic failover is off",
            "A dead primary is reported and replaced only by hand."),
        check("write-probe-off", Is(Advice), operations::write_probe_off,
            "Nobody notices a primary that answers and cannot commit",
            "With a full disk or storage that hangs a server goes on answering, so it does not count as dead. `write_probe` in `policy` has the manager commit a small row every second."),
        check("writes-held-up", Is(Risk), operations::writes_held_up,
            "The primary does not commit the manager's own write",
            "A lock or a backup, semi-sync without a replica that acknowledges, a missing privilege, or a disk that is full. Only the last is replaced."),
        check("failover-held", Refuses(FAILOVER), operations::failover_held,
            "A failover now would wait",
            "A server holds transactions that it cannot pass on, and nothing is promoted without them."),
        check("failover-refused", LastResort(OperationKind::Failover), operations::failover_refused,
            "A failover would be refused",
            "The planner's own reasons, asked as if the primary had fallen silent now."),
        check("switchover-refused", LastResort(OperationKind::Switchover), operations::switchover_refused,
            "A switchover would be refused",
            "The planner's own reasons, for the server that it would choose."),
    ]
};
