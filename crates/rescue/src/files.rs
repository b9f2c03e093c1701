//! Which files of a host are a server's binary logs or relay logs, in their order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_binlog::SourceHint;
use primacy_host::HostAccess;
use primacy_types::{BinlogPosition, Flavor};

use crate::RescueError;

/// A server's binary logs or the relay logs of one of its channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFiles {
    /// What all their paths begin with: `/var/lib/mysql/binlog`.
    base: PathBuf,
    kind: Kind,
    hint: Option<SourceHint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Binlogs,
    /// Files that somebody else has copied, of which this one is certain to belong to them.
    Copies(String),
    RelayLogs,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFile {
    /// `binlog.000007`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) number: u64,
    pub(crate) len: u64,
}

impl LogFiles {
    /// Binary logs with this base (`log_bin_basename`).
    pub const fn binlogs(base: PathBuf) -> Self {
        Self { base, kind: Kind::Binlogs, hint: None }
    }

    /// Copies of a server's binary logs in a folder that may have files of others too. `known` is one of
    /// the server's own; what belongs together with it is taken.
    pub fn copies(folder: &Path, known: &str) -> Self {
        let base = known.rsplit_once('.').map_or(known, |(base, _)| base);
        Self { base: folder.join(base), kind: Kind::Copies(known.to_owned()), hint: None }
    }

    /// Relay logs of a channel, with the server's base (`relay_log_basename`). A named channel has
    /// its name in theirs (MySQL 5.7: `base-channel.000001`; MariaDB: the same, in lower case).
    pub fn relay_logs(base: PathBuf, channel: &str, flavor: Flavor) -> Self {
        let channel = match flavor {
            Flavor::MySql => channel.to_owned(),
            Flavor::MariaDb => channel.to_lowercase(),
        };
        let mut base = base;
        if !channel.is_empty() {
            let mut name = base.file_name().map(std::ffi::OsStr::to_owned).unwrap_or_default();
            name.push("-");
            name.push(&channel);
            base.set_file_name(name);
        }
        Self { base, kind: Kind::RelayLogs, hint: None }
    }

    /// Relay logs need not say which file of the source their events are from; the replica's status
    /// does, for the place where its applier stands.
    #[must_use]
    pub fn known_from(self, applier: &BinlogPosition, source_file: &str) -> Self {
        let hint = SourceHint {
            relay_log: applier.file.clone(),
            offset: applier.offset,
            source_file: source_file.to_owned(),
        };
        Self { hint: Some(hint), ..self }
    }

    pub(crate) fn hint(&self) -> Option<SourceHint> {
        self.hint.clone()
    }

    /// Whether they are relay logs.
    pub(crate) fn are_relay_logs(&self) -> bool {
        self.kind == Kind::RelayLogs
    }

    /// Of copies the file that is certain to be the server's own.
    pub(crate) fn known(&self) -> Option<&str> {
        match &self.kind {
            Kind::Copies(known) => Some(known),
            Kind::Binlogs | Kind::RelayLogs => None,
        }
    }

    /// What they are called.
    pub(crate) const fn what(&self) -> &'static str {
        match self.kind {
            Kind::Binlogs => "binary logs",
            Kind::Copies(_) => "copies of binary logs",
            Kind::RelayLogs => "relay logs",
        }
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// The files that are there, oldest first. The index file is not asked: after a crash it may
    /// lack the newest file.
    pub(crate) async fn find(
        &self,
        host: &dyn HostAccess,
        limit: Duration,
    ) -> Result<Vec<LogFile>, RescueError> {
        let folder = self.base.parent().unwrap_or(Path::new("/"));
        let base = self.base.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
        let mut found: Vec<LogFile> = host
            .list(folder, limit)
            .await?
            .into_iter()
            .filter_map(|entry| {
                let number = number_of(&entry.name, &base)?;
                let path = folder.join(&entry.name);
                Some(LogFile { name: entry.name, path, number, len: entry.len })
            })
            .collect();
        found.sort_by_key(|file| file.number);
        if let Some(known) = self.known() {
            let at = found.iter().position(|file| file.name == known);
            let at = at.ok_or_else(|| RescueError::NotCopied {
                file: known.to_owned(),
                folder: folder.to_owned(),
            })?;
            let gap = found[at..].windows(2).position(|pair| pair[1].number != pair[0].number + 1);
            found.truncate(gap.map_or(found.len(), |gap| at + gap + 1));
        }
        // After a RESET old numbers may be left behind; a gap ends what belongs together.
        let last_gap = found.windows(2).rposition(|pair| pair[1].number != pair[0].number + 1);
        if let Some(gap) = last_gap {
            found.drain(..=gap);
        }
        if found.is_empty() {
            let (what, base) = (self.what(), self.base.clone());
            return Err(RescueError::NoFiles { what, base });
        }
        Ok(found)
    }
}

/// The number of a file of this base: `binlog.000007`, `binlog.1000000`.
fn number_of(name: &str, base: &str) -> Option<u64> {
    let digits = name.strip_prefix(base)?.strip_prefix('.')?;
    let is_number = digits.len() >= 6 && digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_base_and_number() {
        assert_eq!(number_of("binlog.000007", "binlog"), Some(7));
        assert_eq!(number_of("binlog.1000000", "binlog"), Some(1_000_000));
        for other in ["binlog.index", "binlog.7", "binlog.~rec~", "binlog.000007.bak", "x.000007"] {
            assert_eq!(number_of(other, "binlog"), None, "{other}");
        }
    }

    #[test]
    fn a_channels_relay_logs_have_its_name() {
        let files = LogFiles::relay_logs("/d/relay".into(), "East", Flavor::MySql);
        assert_eq!(files.base(), Path::new("/d/relay-East"));
        let files = LogFiles::relay_logs("/d/relay".into(), "East", Flavor::MariaDb);
        assert_eq!(files.base(), Path::new("/d/relay-east"));
        let files = LogFiles::relay_logs("/d/relay".into(), "", Flavor::MariaDb);
        assert_eq!(files.base(), Path::new("/d/relay"));
    }
}
