//! What a binlog server remembers of itself: written so that a crash leaves the old or the new.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use primacy_types::{BinlogPosition, Flavor, Positioning, ServerVersion};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::StoreError;

/// Its name in the folder of the cluster.
pub(crate) const STATE: &str = "state.json";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Its own.
    pub(crate) server_id: u32,
    /// Its own; shown where the cluster is MySQL.
    pub(crate) server_uuid: Uuid,
    /// As what it presents itself.
    pub(crate) upstream: Option<Upstream>,
    /// The source that it was told.
    pub(crate) channel: Option<Told>,
    /// The manager has switched acknowledging on or off.
    pub(crate) semi_sync: bool,
}

/// Of the server that it follows, or followed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upstream {
    /// Flavour and version.
    pub(crate) version: ServerVersion,
    /// As it writes it.
    pub(crate) version_text: String,
    /// MySQL: `gtid_mode` is ON.
    pub(crate) gtid_mode: bool,
}

impl Upstream {
    pub(crate) fn is_mariadb(&self) -> bool {
        self.version.flavor == Flavor::MariaDb
    }
}

/// The last CHANGE, without a password: it is that of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) positioning: Positioning,
    /// A place from which it has not begun to read yet.
    pub(crate) at: Option<BinlogPosition>,
    pub(crate) heartbeat_millis: u64,
    pub(crate) connect_retry: u32,
    pub(crate) tls: bool,
}

/// Reads a description; `None` if there is none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StoreError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| {
            StoreError::Description { path: path.to_owned(), reason: error.to_string() }
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// Writes a description beside the old one, forces it to disk, and puts it in the old one's place.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let text = serde_json::to_vec_pretty(value).map_err(|error| StoreError::Description {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    replace(path, &text)
}

/// The same for any content.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let new = path.with_extension("new");
    let mut file = File::create(&new).map_err(StoreError::io("make", &new))?;
    file.write_all(content).map_err(StoreError::io("write", &new))?;
    file.sync_all().map_err(StoreError::io("put on disk", &new))?;
    fs::rename(&new, path).map_err(StoreError::io("replace", path))?;
    match path.parent() {
        Some(folder) => sync_folder(folder),
        None => Ok(()),
    }
}

/// Forces the names in a folder to disk.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io("put on disk", folder))
}
