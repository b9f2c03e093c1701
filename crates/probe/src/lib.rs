//! Which statement each server speaks, and what a server says of itself.
//!
//! [`Dialect`] is pure and the only place that compares versions. [`observe`] fills
//! `ServerFacts` in few round trips; [`precheck`] looks at what stands in the way of a switchover;
//! [`grants`] says which privileges all of it needs. Nothing here decides or changes anything.

mod classify;
mod dialect;
#[cfg(test)]
mod fixture;
pub mod grants;
mod observe;
pub mod precheck;

pub use classify::classify;
pub use dialect::{
    ChangeScope, ChangeSource, Dialect, EmptyTransaction, Event, EventState, FEATURES, FeatureRow,
    GtidWait, SemiSyncNames, SourceError, SourceSettings, Spelling, StartAt, Threads, Unfinished,
};
pub use observe::{Depth, Gap, Observation, observe};
