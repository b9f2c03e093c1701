//! Which statement each flavour and version speaks: the one place that compares versions.
//!
//! A [`Dialect`] is pure: it turns a wish ("stop the receiver of this channel") into the
//! statement of one server. Running statements is the business of others; so is deciding which.
//! What a version can do stands in one table, [`features`]; names follow from it.

mod applier;
mod columns;
mod empty;
mod epoch;
mod events;
pub(crate) mod features;
mod gtid;
mod locks;
mod read_only;
mod relay_logs;
mod replication;
mod rewind;
mod safety;
mod semi_sync;
mod settings;
mod source;
mod write_probe;

use primacy_types::ServerVersion;

pub use applier::Unfinished;
pub(crate) use applier::{ENDED_IN_THE_MIDDLE, waits_for_more};
pub(crate) use columns::{Column, FILTERS};
pub use empty::EmptyTransaction;
pub use events::{Event, EventState};
pub use features::{FEATURES, FeatureRow};
pub use gtid::GtidWait;
pub use replication::Threads;
pub(crate) use safety::SafetyVariable;
pub use semi_sync::{SemiSyncNames, Spelling};
pub(crate) use settings::read_settings;
pub use source::{ChangeScope, ChangeSource, SourceError, SourceSettings, StartAt};

pub(crate) use features::Feature;

/// The statements of one flavour and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    version: ServerVersion,
}

impl Dialect {
    /// The dialect of a server.
    pub const fn of(version: ServerVersion) -> Self {
        Self { version }
    }

    /// The server's flavour and version.
    pub const fn version(self) -> ServerVersion {
        self.version
    }

    pub(crate) fn is_mariadb(self) -> bool {
        self.version.is_mariadb()
    }

    /// Whether this server has a feature of the table.
    pub(crate) fn has(self, feature: Feature) -> bool {
        let (mysql, mariadb) = features::since(feature);
        let since = if self.is_mariadb() { mariadb } else { mysql };
        since.is_some_and(|(major, minor, patch)| self.version.at_least(major, minor, patch))
    }

    /// `modern` where the server has the feature, `old` where not.
    pub(crate) fn pick<T>(self, feature: Feature, modern: T, old: T) -> T {
        if self.has(feature) { modern } else { old }
    }
}

impl From<ServerVersion> for Dialect {
    fn from(version: ServerVersion) -> Self {
        Self::of(version)
    }
}

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;
