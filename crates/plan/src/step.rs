//! The steps that plans are made of. A step says what shall be true afterwards; how that is done
//! on which server is the executor's business. Every step is idempotent.

use primacy_types::{Address, Epoch, FenceRung, Millis, TransactionSet};
use serde::{Deserialize, Serialize};

use crate::Origin;

/// One step of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub enum Step {
    /// The old primary can accept no more writes.
    Fence {
        /// The old primary.
        server: Address,
        /// The rung to use; `None` if there is no way (the plan's notes say what that means).
        rung: Option<FenceRung>,
    },
    /// The receivers of these servers are stopped, so that what each of them holds is final and
    /// no acknowledgement reaches the old primary any more. Their appliers go on.
    SealReceivers {
        /// The replicas.
        servers: Vec<Address>,
    },
    /// Everything is measured again and the rest of the plan is made from that.
    Measure,
    /// The server has applied everything that it received.
    Drain {
        /// The replica.
        server: Address,
    },
    /// The server holds and has applied what another replica has more than it.
    Level {
        /// Who receives.
        server: Address,
        /// Who gives, from its own binary log.
        from: Address,
        /// What the receiver has afterwards.
        until: TransactionSet,
    },
    /// What is complete in these files beyond `since` is cut out, checked and kept as files of the
    /// manager's own.
    Save {
        /// The files.
        from: Origin,
        /// What every server that will need some of it has already.
        since: TransactionSet,
    },
    /// The server fetches saved events over replication and has applied them.
    Rescue {
        /// Who receives.
        server: Address,
        /// Where they were saved from.
        from: Origin,
        /// What the receiver has afterwards.
        until: TransactionSet,
    },
    /// Without GTID: the place up to which the read-only winner has applied the old primary's log,
    /// and the place where its own log stands then, are put on record as a pair. Whoever has
    /// reached the one goes on at the other.
    PairPositions {
        /// The winner.
        server: Address,
        /// The old primary.
        source: Address,
    },
    /// These replicas read from the still read-only winner and are seen there as semi-sync
    /// clients, so that its first commit does not block.
    AttachAckers {
        /// The winner.
        source: Address,
        /// Replicas to attach; those beyond `needed` may fail.
        replicas: Vec<Address>,
        /// So many must be seen as clients.
        needed: u16,
    },
    /// Writes on the primary are blocked (read-only, application sessions ended) and its position
    /// stands still. Replicas stay attached.
    BlockWrites {
        /// The primary.
        server: Address,
        /// How long running transactions may take to end.
        grace: Millis,
    },
    /// The server has applied everything that the blocked primary holds.
    CatchUp {
        /// The winner.
        server: Address,
        /// The blocked primary.
        source: Address,
    },
    /// The server is a replica of nobody on the managed channel, and no old configuration is
    /// left.
    Detach {
        /// The winner.
        server: Address,
        /// Its threads are stopped and its configuration stays.
        #[serde(default)]
        keep: bool,
    },
    /// The way of applications to the old primary (an address, a catalogue) is taken away by a
    /// script.
    TakeAddress {
        /// The old primary.
        server: Address,
    },
    /// The way of applications leads to the winner, by a script that may open it for writes too.
    GiveAddress {
        /// The winner.
        server: Address,
    },
    /// The server plays (or no longer plays) the source's part in semi-sync.
    SemiSyncRole {
        /// The server.
        server: Address,
        /// It is (to be) the primary.
        source: bool,
        /// Acknowledgements each commit waits for; `None` switches semi-sync off.
        wait_count: Option<u16>,
    },
    /// The epoch and its primary are on record: in the store and, by policy, in the table of the
    /// still read-only winner.
    RecordEpoch {
        /// The winner.
        server: Address,
        /// Its reign.
        epoch: Epoch,
        /// Also write the row of `primacy.epoch`.
        table: bool,
    },
    /// Applications may write on the server.
    OpenWrites {
        /// The winner.
        server: Address,
        /// Its reign.
        epoch: Epoch,
    },
    /// Applications are sent to the server.
    Route {
        /// The winner.
        server: Address,
        /// Its reign.
        epoch: Epoch,
    },
    /// Scheduled events run on the winner and not on the demoted primary.
    MoveEvents {
        /// Where they run now.
        to: Address,
        /// Where they ran, if that server can be reached.
        from: Option<Address>,
    },
    /// The server replicates from this source over the managed channel.
    Repoint {
        /// The replica.
        server: Address,
        /// Its new source.
        source: Address,
        /// The move may be given up and retried later without failing the plan.
        may_lag: bool,
    },
    /// These servers have the source that they had before the operation: they were only given what
    /// they lacked.
    GiveBack {
        /// The replicas.
        servers: Vec<Address>,
    },
    /// All that the plan promised is seen to be so.
    Verify {
        /// The new primary.
        primary: Address,
        /// Its replicas.
        replicas: Vec<Address>,
    },
}

impl Step {
    /// The step's name in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Fence { .. } => "fence",
            Self::SealReceivers { .. } => "seal-receivers",
            Self::Measure => "measure",
            Self::Drain { .. } => "drain",
            Self::Level { .. } => "level",
            Self::Save { .. } => "save",
            Self::Rescue { .. } => "rescue",
            Self::PairPositions { .. } => "pair-positions",
            Self::AttachAckers { .. } => "attach-ackers",
            Self::BlockWrites { .. } => "block-writes",
            Self::CatchUp { .. } => "catch-up",
            Self::Detach { .. } => "detach",
            Self::TakeAddress { .. } => "take-address",
            Self::GiveAddress { .. } => "give-address",
            Self::SemiSyncRole { .. } => "semi-sync-role",
            Self::RecordEpoch { .. } => "record-epoch",
            Self::OpenWrites { .. } => "open-writes",
            Self::Route { .. } => "route",
            Self::MoveEvents { .. } => "move-events",
            Self::Repoint { .. } => "repoint",
            Self::GiveBack { .. } => "give-back",
            Self::Verify { .. } => "verify",
        }
    }

    /// What the step does, as a sentence for `--dry-run` and the timeline.
    pub fn sentence(&self) -> String {
        let list = crate::diagnosis::list;
        match self {
            Self::Fence { server, rung: Some(rung) } => {
                format!("fence {server} ({rung}): {}", rung.guarantee())
            }
            Self::Fence { server, rung: None } => {
                format!("go on without fencing {server}: there is no way to reach it")
            }
            Self::SealReceivers { servers } => {
                format!("stop the receivers of {}; their appliers go on", list(servers))
            }
            Self::Measure => "measure who holds what, and plan the rest from that".to_owned(),
            Self::Drain { server } => {
                format!("wait until {server} has applied everything that it received")
            }
            Self::Level { server, from, until } => {
                format!("let {server} fetch from {from} what it lacks, up to {until}")
            }
            Self::Save { from, since } if since.is_empty() => {
                format!("cut out and keep what {from} hold")
            }
            Self::Save { from, since } => {
                format!("cut out and keep what {from} hold beyond {since}")
            }
            Self::Rescue { server, from, until } => {
                format!("let {server} replicate what was saved of {from}, up to {until}")
            }
            Self::PairPositions { server, source } => {
                format!("note which place in the binary log of {server} continues that of {source}")
            }
            Self::AttachAckers { source, replicas, needed } => format!(
                "point {} to {source} and see at least {needed} of them as semi-sync clients",
                list(replicas)
            ),
            Self::BlockWrites { server, grace } => format!(
                "block writes on {server}: read-only after at most {grace}, application sessions \
                 ended, position seen to stand still"
            ),
            Self::CatchUp { server, source } => {
                format!("wait until {server} has applied everything that {source} holds")
            }
            Self::Detach { server, keep: false } => format!("end replication on {server}"),
            Self::Detach { server, keep: true } => {
                format!("stop replication on {server}, which keeps its settings")
            }
            Self::TakeAddress { server } => {
                format!("call the script that takes the applications' address from {server}")
            }
            Self::GiveAddress { server } => {
                format!("call the script that gives the applications' address to {server}")
            }
            Self::SemiSyncRole { server, source: true, wait_count: Some(n) } => {
                format!("make {server} wait for {n} semi-sync acknowledgement(s)")
            }
            Self::SemiSyncRole { server, source: true, wait_count: None } => {
                format!("switch semi-sync off on {server}: it waits for nobody")
            }
            Self::SemiSyncRole { server, source: false, .. } => {
                format!("make {server} acknowledge as a semi-sync replica")
            }
            Self::RecordEpoch { server, epoch, .. } => {
                format!("record epoch {epoch} with {server} as primary")
            }
            Self::OpenWrites { server, .. } => format!("let applications write on {server}"),
            Self::Route { server, epoch } => {
                format!("route applications to {server} (epoch {epoch})")
            }
            Self::MoveEvents { to, from: Some(from) } => {
                format!("enable scheduled events on {to} and disable them on {from}")
            }
            Self::MoveEvents { to, from: None } => format!("enable scheduled events on {to}"),
            Self::Repoint { server, source, .. } => format!("point {server} to {source}"),
            Self::GiveBack { servers } => {
                format!("leave {} with the source that it had before", list(servers))
            }
            Self::Verify { primary, replicas } => {
                format!("verify that {} replicate from {primary}", list(replicas))
            }
        }
    }
}
