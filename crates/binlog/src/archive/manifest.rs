//! What the manifest of an archive says.

use std::collections::BTreeMap;
use std::path::Path;

use primacy_types::{BinlogPosition, Flavor, TransactionSet};
use serde::{Deserialize, Serialize};

use super::ArchiveError;

/// The manifest's name in the folder.
pub(super) const MANIFEST: &str = "manifest.json";

/// The form that is written and read.
pub(super) const VERSION: u32 = 1;

/// What is in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form of this file; 1.
    pub version: u32,
    /// Where it comes from, for people.
    pub source: String,
    /// MySQL or MariaDB.
    pub flavor: Flavor,
    /// Version of the server that wrote the original files, as it wrote it.
    pub server_version: String,
    /// The files in order.
    pub files: Vec<ArchivedFile>,
    /// How many transactions are in them.
    pub transactions: u64,
    /// How many events.
    pub events: u64,
    /// How many bytes these have, without the files' heads.
    pub bytes: u64,
    /// Which transactions; without GTIDs, the place up to which they go.
    pub contents: TransactionSet,
    /// Where the last complete transaction ends in the original files.
    pub until: Option<BinlogPosition>,
    /// The transaction after that, if the source had only a part of it. It is not in the archive.
    pub incomplete: Option<IncompleteTail>,
    /// Why the cut ended early, if it did: what is saved is what was before it.
    pub stopped_by: Option<String>,
    /// How many events each server wrote first. A replica passes over those with its own id.
    pub server_ids: BTreeMap<u32, u64>,
    /// SHA-256 over the bytes of the events in order, without the files' heads.
    pub sha256: String,
}

/// One saved file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchivedFile {
    /// Name of the original and of the saved file.
    pub name: String,
    /// Where in the original the first saved event begins.
    pub start: u64,
    /// Where in the original the last saved event ends.
    pub end: u64,
    /// How many transactions.
    pub transactions: u64,
    /// How many events, without the head.
    pub events: u64,
    /// Length of the head in the saved file: first bytes, format description, earlier GTIDs.
    pub head: u64,
    /// Length of the saved file.
    pub length: u64,
}

/// A transaction of which only the beginning was there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncompleteTail {
    /// Where it begins in the original files.
    pub start: BinlogPosition,
    /// Its GTID, if it has one.
    pub gtid: Option<String>,
    /// How many bytes of it were there.
    pub bytes: u64,
    /// Why it is not complete.
    pub why: String,
}

impl Manifest {
    pub(super) fn from_json(text: &[u8], path: &Path) -> Result<Self, ArchiveError> {
        let wrong = |reason| ArchiveError::Manifest { path: path.to_owned(), reason };
        let manifest: Self = serde_json::from_slice(text).map_err(|e| wrong(e.to_string()))?;
        if manifest.version != VERSION {
            let found = manifest.version;
            return Err(wrong(format!("expected version {VERSION}, found {found}")));
        }
        // The names become paths.
        match manifest.files.iter().find(|file| !is_base_name(&file.name)) {
            Some(file) => Err(wrong(format!("{:?} is no name of a file", file.name))),
            None => Ok(manifest),
        }
    }
}

/// Whether a name that came from a file may be one in a folder of ours.
pub(crate) fn is_base_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with('.')
        && name != MANIFEST
        && !name.contains(['/', '\\', '\0'])
        && !name.chars().any(char::is_control)
}
