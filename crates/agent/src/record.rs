//! What survives the agent's process: the highest epoch and term of each server, whether a manager
//! has fenced it, and which process of the server was running.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use primacy_host::ServerIdentity;
use primacy_plan::lease::MemberRecord;
use primacy_types::{Address, VirtualAddress};
use serde::{Deserialize, Serialize};

use crate::AgentStartError;

/// What is kept of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerRecord {
    pub(crate) member: MemberRecord,
    /// A manager keeps it down.
    #[serde(default)]
    pub(crate) fenced: bool,
    /// Addresses that this host may hold, so that one that was restarted knows what to give up.
    #[serde(default)]
    pub(crate) vips: Vec<VirtualAddress>,
    /// The same for addresses for readers.
    #[serde(default)]
    pub(crate) reader_vips: BTreeSet<VirtualAddress>,
    /// Boot, pid and start time of its process when it was last seen.
    pub(crate) process: Option<(String, u32, u64)>,
    /// What its process was recognised by when it answered last.
    #[serde(default)]
    pub(crate) former: Option<Former>,
}

/// What a server's process is recognised by while it does not answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Former {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) pid_file: Option<PathBuf>,
    pub(crate) binlog_base: Option<PathBuf>,
    #[serde(default)]
    pub(crate) relay_log_base: Option<PathBuf>,
    pub(crate) unit: Option<String>,
    /// Settings that put some of its data outside of the data directory, with the places.
    #[serde(default)]
    pub(crate) outside: Vec<String>,
}

impl Former {
    pub(crate) fn of(server: &ServerIdentity, relay_log_base: &str) -> Self {
        Self {
            data_dir: server.data_dir.clone(),
            pid_file: server.pid_file.clone(),
            binlog_base: server.binlog_base.clone(),
            relay_log_base: Some(relay_log_base.into()).filter(|_| !relay_log_base.is_empty()),
            ..Self::default()
        }
    }

    pub(crate) fn identity(&self, server: &Address) -> ServerIdentity {
        let mut identity = ServerIdentity::new(server.clone());
        identity.data_dir.clone_from(&self.data_dir);
        identity.pid_file.clone_from(&self.pid_file);
        identity.binlog_base.clone_from(&self.binlog_base);
        identity.unit.clone_from(&self.unit);
        identity
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct RecordFile {
    path: PathBuf,
    all: BTreeMap<Address, ServerRecord>,
}

impl RecordFile {
    pub(crate) fn open(folder: &Path) -> Result<Self, AgentStartError> {
        let failed = |source| AgentStartError::State { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join("agent.json");
        let all = match std::fs::read(&path) {
            Ok(bytes) => {
                let list: Vec<(Address, ServerRecord)> =
                    serde_json::from_slice(&bytes).map_err(|error| AgentStartError::Record {
                        path: path.clone(),
                        reason: error.to_string(),
                    })?;
                list.into_iter().collect()
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(failed(error)),
        };
        let file = Self { path, all };
        // A disk that cannot be written is found now, not at the first promotion.
        file.write().map_err(failed)?;
        Ok(file)
    }

    pub(crate) fn of(&self, server: &Address) -> ServerRecord {
        self.all.get(server).cloned().unwrap_or_default()
    }

    /// Writes it if it has changed; on disk when this returns.
    pub(crate) fn keep(&mut self, server: &Address, record: &ServerRecord) -> std::io::Result<()> {
        if self.all.get(server) == Some(record) {
            return Ok(());
        }
        let before = self.all.insert(server.clone(), record.clone());
        let written = self.write();
        if written.is_err() {
            match before {
                Some(before) => self.all.insert(server.clone(), before),
                None => self.all.remove(server),
            };
        }
        written
    }

    fn write(&self) -> std::io::Result<()> {
        let list: Vec<_> = self.all.iter().collect();
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(&list)?)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        let folder = self.path.parent().map(File::open).transpose()?;
        folder.map_or(Ok(()), |folder| folder.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_types::Epoch;

    #[test]
    fn what_was_kept_is_there_after_a_restart_and_damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let server = Address::new("db1", 3306);
        let record = ServerRecord {
            member: MemberRecord { epoch: Epoch(7), term: 9, held: Epoch(7) },
            fenced: true,
            vips: vec!["10.0.0.100".parse().unwrap()],
            reader_vips: BTreeSet::from(["10.0.0.101".parse().unwrap()]),
            process: Some(("boot".to_owned(), 12, 34)),
            former: Some(Former { unit: Some("db.service".to_owned()), ..Former::default() }),
        };
        RecordFile::open(folder.path()).unwrap().keep(&server, &record).unwrap();
        assert_eq!(RecordFile::open(folder.path()).unwrap().of(&server), record);
        std::fs::write(folder.path().join("agent.json"), "[[").unwrap();
        let error = RecordFile::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("highest epoch"), "{error}");
    }
}
