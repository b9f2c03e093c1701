//! What survives the agent's process: the highest epoch and term of each server, and which process
//! of the server was running.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use primacy_plan::lease::MemberRecord;
use primacy_types::{Address, VirtualAddress};
use serde::{Deserialize, Serialize};

use crate::AgentStartError;

/// What is kept of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerRecord {
    pub(crate) member: MemberRecord,
    /// Addresses that this host may hold, so that one that was restarted knows what to give up.
    #[serde(default)]
    pub(crate) vips: Vec<VirtualAddress>,
    /// Boot, pid and start time of its process when it was last seen.
    pub(crate) process: Option<(String, u32, u64)>,
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
            vips: vec!["10.0.0.100".parse().unwrap()],
            process: Some(("boot".to_owned(), 12, 34)),
        };
        RecordFile::open(folder.path()).unwrap().keep(&server, &record).unwrap();
        assert_eq!(RecordFile::open(folder.path()).unwrap().of(&server), record);
        std::fs::write(folder.path().join("agent.json"), "[[").unwrap();
        let error = RecordFile::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("highest epoch"), "{error}");
    }
}
