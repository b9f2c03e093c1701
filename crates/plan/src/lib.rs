//! The decisions: snapshots in, a diagnosis out; a diagnosis in, a plan or a refusal out.
//!
//! Pure: no clock, no network, no randomness. The manager, the property tests and the simulator
//! all run this code. [`diagnose`] says what is the matter, [`decide`] what the manager does about
//! it by itself, [`plan_failover`] and [`plan_switchover`] how, and [`violations`] checks any plan
//! against the promises before it runs.

mod backlog;
mod broken;
mod candidates;
mod coverage;
mod decide;
mod detached;
mod diagnose;
mod diagnosis;
mod donors;
mod election;
mod errant;
mod evidence;
mod failover;
mod filters;
mod findings;
mod holdings;
mod hosts;
mod invariants;
mod kept;
pub mod lease;
mod newcomer;
mod operation;
mod origin;
mod places;
mod preview;
mod rebuild;
pub mod rejoin;
mod relay_logs;
mod repoint;
mod rescue;
mod restart;
mod secondary;
mod step;
mod switchover;
#[doc(hidden)]
pub mod testing;
mod topology;
mod witness;
mod writes;

pub use candidates::{Exclusion, Judged, judge, ranked};
pub use coverage::{Coverage, coverage};
pub use decide::{Decision, decide};
pub use diagnose::diagnose;
pub use diagnosis::{Death, Diagnosis};
pub use errant::errant_of;
pub use evidence::{Evidence, Observer, Weight};
pub use failover::{FailoverRequest, Stage, plan_failover};
pub use findings::{Finding, Severity, findings, findings_reference, host_findings};
pub use holdings::held_by_all;
pub use hosts::{AgentSeen, Can, HostSeen, HostsSeen, promises};
pub use invariants::{Violation, violations};
pub use kept::without_kept_settings;
pub use newcomer::newcomer_reasons;
pub use operation::{OperationKind, Plan, PlannedStep, Reason, Refusal};
pub use origin::Origin;
pub use places::{has_everything, reattach, replicates_by_place};
pub use rebuild::{
    CopyMethod, MethodChoice, RebuildPlan, RebuildRefusal, RebuildRequest, plan_rebuild,
};
pub use relay_logs::{keeps_all_relay_logs, keeps_relay_logs, received_place, siblings_behind};
pub use restart::{against_replacing, against_restart, held_by_nobody_else};
pub use step::Step;
pub use switchover::{SwitchoverRequest, plan_reopen, plan_switchover};
pub use topology::{
    NoPrimary, descends_from, direct_replicas, find_primary, is_fed_by, managed_source, source_of,
};
pub use writes::{WriteCause, write_cause};
