//! Cutting out what somebody lacks, and keeping it.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use primacy_binlog::{Archive, CutError, CutFrom, CutRequest, CutSource, cut};
use primacy_host::HostAccess;
use primacy_types::{BinlogPosition, TransactionSet};

use crate::bring::{blocking, bring, forget_damaged_copies, make_private};
use crate::files::{LogFile, LogFiles};
use crate::{RescueError, disk};

/// What was saved.
#[derive(Clone, Debug)]
pub struct Saved {
    archive: Archive,
}

impl Saved {
    /// Opens what was saved earlier and verifies all of it.
    pub async fn open(folder: &Path) -> Result<Self, RescueError> {
        let folder = folder.to_owned();
        blocking(move || Ok(Self { archive: Archive::open(&folder)? })).await
    }

    /// Opens what this process has saved itself.
    pub async fn reopen(folder: &Path) -> Result<Self, RescueError> {
        let folder = folder.to_owned();
        blocking(move || Ok(Self { archive: Archive::open_unverified(&folder)? })).await
    }

    pub(crate) fn into_archive(self) -> Archive {
        self.archive
    }

    /// Where it is kept.
    pub fn folder(&self) -> &Path {
        self.archive.folder()
    }

    /// What a server must have to have had all of it. `wanted` is what was expected to be in it: a
    /// transaction of which the files have only a part does not count.
    pub fn all_of_it(&self, wanted: &TransactionSet) -> TransactionSet {
        match (wanted, self.archive.until_position()) {
            (TransactionSet::UpTo(wanted), until) => {
                TransactionSet::UpTo(wanted.as_ref().min(until).cloned())
            }
            _ => self.archive.transactions().clone(),
        }
    }

    /// What is in it. On MySQL with GTID only what was cut out, else everything up to its end.
    pub fn transactions(&self) -> &TransactionSet {
        self.archive.transactions()
    }

    /// Whether the last transaction of the files is there in part only.
    pub fn is_incomplete(&self) -> bool {
        self.archive.manifest().incomplete.is_some()
    }

    /// How many of its events this server wrote first.
    pub fn events_of(&self, server_id: u32) -> u64 {
        self.archive.manifest().server_ids.get(&server_id).copied().unwrap_or(0)
    }

    /// The servers that wrote its events first.
    pub fn server_ids(&self) -> Vec<u32> {
        self.archive.manifest().server_ids.keys().copied().collect()
    }

    /// What it is, for people.
    pub fn sentence(&self) -> String {
        let manifest = self.archive.manifest();
        let mut text = format!(
            "{} transaction(s), {} bytes, saved in {}",
            manifest.transactions,
            manifest.bytes,
            self.folder().display()
        );
        if let Some(until) = &manifest.until {
            text.push_str(&format!(", up to {until}"));
        }
        if let Some(tail) = &manifest.incomplete {
            text.push_str(&format!(
                "; the transaction at {} is not complete and was left out ({}, {} bytes are there)",
                tail.start, tail.why, tail.bytes
            ));
        }
        text
    }
}

/// Cuts everything complete beyond `since` out of the files and saves it in a new folder below
/// `to`. Files of another machine are copied to `scratch` first. `stall` is the limit of a host
/// that gives nothing.
///
/// # Errors
/// If the files cannot be read, are damaged, or begin after what is needed.
pub async fn save(
    host: &dyn HostAccess,
    files: &LogFiles,
    since: &TransactionSet,
    scratch: &Path,
    to: &Path,
    stall: Duration,
) -> Result<Saved, RescueError> {
    let all = disk::find(host, files, scratch, stall).await?;
    let paths = match files.are_relay_logs() {
        true => bring_all(host, &all, scratch, stall).await?,
        false => needed(host, files, &all, since, scratch, stall).await?,
    };
    let from = match since {
        TransactionSet::UpTo(Some(place)) => CutFrom::Position(place.clone()),
        TransactionSet::UpTo(None) => {
            CutFrom::Position(BinlogPosition::new(all[0].name.clone(), 4))
        }
        gtids => CutFrom::Missing(gtids.clone()),
    };
    let source = match files.are_relay_logs() {
        true => CutSource::RelayLogs { files: paths, hint: files.hint() },
        false => CutSource::Binlogs(paths),
    };
    let (what, base) = (files.what(), files.base().display());
    let description = match files.known() {
        Some(_) => format!("{what} at {base} on {}", host.server().host()),
        None => format!("{what} of {} at {base}", host.server()),
    };
    make_private(to)?;
    let folder = free_folder(to);
    let cut_here = folder.clone();
    let saved = blocking(move || {
        let request = CutRequest { from, until: None };
        let report = cut(&source, &request, &cut_here, &description)?;
        Ok(Saved { archive: report.archive })
    })
    .await;
    match saved {
        Err(error) => {
            forget_damaged_copies(host, scratch, &error).await;
            Err(put_aside(error, folder, to).await)
        }
        saved => saved,
    }
}

/// What was cut out before the cut failed: what stands before damage is kept for people, once;
/// everything else is of no use, and may be what filled the disk.
async fn put_aside(error: RescueError, folder: PathBuf, to: &Path) -> RescueError {
    let aside = to.join("before-the-damage");
    let work = move || match error {
        RescueError::Cut(CutError::Stopped { error, .. }) => {
            let moved = match fs::remove_dir_all(&aside) {
                Err(gone) if gone.kind() != io::ErrorKind::NotFound => Err(gone),
                _ => fs::rename(&folder, &aside),
            };
            let at = if moved.is_ok() { aside } else { folder };
            match Archive::open_unverified(&at) {
                Ok(saved) => CutError::Stopped { error, saved: Box::new(saved) }.into(),
                Err(error) => error.into(),
            }
        }
        error => {
            let _ = fs::remove_dir_all(&folder);
            error
        }
    };
    blocking(move || Ok(work())).await.unwrap_or_else(|error| error)
}

/// A folder that is not there yet.
fn free_folder(below: &Path) -> PathBuf {
    let mut number = 1;
    loop {
        let folder = below.join(number.to_string());
        if !folder.exists() {
            return folder;
        }
        number += 1;
    }
}

async fn bring_all(
    host: &dyn HostAccess,
    files: &[LogFile],
    scratch: &Path,
    stall: Duration,
) -> Result<Vec<PathBuf>, RescueError> {
    let mut paths = Vec::new();
    for file in files {
        paths.push(bring(host, file, scratch, stall).await?);
    }
    Ok(paths)
}

/// The binary logs from the one on in which the first missing transaction stands.
async fn needed(
    host: &dyn HostAccess,
    files: &LogFiles,
    all: &[LogFile],
    since: &TransactionSet,
    scratch: &Path,
    stall: Duration,
) -> Result<Vec<PathBuf>, RescueError> {
    let too_late = || RescueError::BeginsTooLate {
        what: files.what(),
        base: files.base().to_owned(),
        needed: since.said(),
    };
    if let TransactionSet::UpTo(place) = since {
        let first = match place {
            Some(place) => all.iter().position(|f| f.name == place.file).ok_or_else(too_late)?,
            None => 0,
        };
        return bring_all(host, &all[first..], scratch, stall).await;
    }
    let mut paths = Vec::new();
    for file in all.iter().rev() {
        let path = bring(host, file, scratch, stall).await?;
        let read = path.clone();
        let previous = blocking(move || disk::previous(&read)).await?;
        paths.insert(0, path);
        if previous.is_some_and(|previous| since.covers(&previous)) {
            return Ok(paths);
        }
    }
    // The oldest file of all may begin with the first transaction: the cut will say.
    Ok(paths)
}
