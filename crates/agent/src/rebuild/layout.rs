//! Where the old data, the new data and the logs of a server are, and how they change places.
//!
//! The new data is made beside the data directory and gets its name by a rename. Where the data
//! directory is a mount point, or its parent is not ours to write, everything happens inside of it,
//! and the old content goes into a directory there. Every move can be done twice: what a crash
//! interrupted is done again, or put back.

mod moves;
mod removal;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use primacy_failpoint as failpoint;
use primacy_types::Address;
use serde::{Deserialize, Serialize};

use self::moves::{Taken, make_dir, move_all, remove_emptied, remove_mark, rename, set_mark};
use crate::logs::is_log_ending;

/// What the old data is called, after its directory's own name.
const BEFORE: &str = "before-rebuild-";
const MAKING: &str = "rebuild-";

/// Beside old logs: all of them are there.
const LOGS_MARK: &str = "old-logs-are-here";
/// What the new data's server wrote before it was given up.
const NOT_USED: &str = "not-used";

/// Files of the old data directory that belong to this server and not to its data: certificates,
/// settings that were made with SET PERSIST, notes of packages.
fn is_the_servers_own(name: &str) -> bool {
    name.ends_with(".pem")
        || name.ends_with(".flag")
        || ["mysqld-auto.cnf", "mysql_upgrade_info", "mariadb_upgrade_info"].contains(&name)
}

/// The places of one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    pub(super) data_dir: PathBuf,
    /// Everything happens inside the data directory.
    pub(super) inside: bool,
    /// Holds what is made, and nothing else.
    pub(super) making: PathBuf,
    /// The new data.
    pub(super) fresh: PathBuf,
    /// The old data, once it is not in place.
    pub(super) aside: PathBuf,
    /// Directories and beginnings of names of logs that are elsewhere.
    logs: Vec<(PathBuf, String)>,
    /// Tells old logs of this server from those of others in the same directory.
    #[serde(default)]
    label: String,
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Layout {
    /// `bases` are `@@log_bin_basename` and `@@relay_log_basename`; `at` tells this rebuild from
    /// others.
    pub(super) fn of(
        server: &Address,
        data_dir: &Path,
        bases: [&str; 2],
        id: &str,
        at: &str,
    ) -> io::Result<Self> {
        let data_dir = fs::canonicalize(data_dir)?;
        let about = fs::metadata(&data_dir)?;
        let parent = data_dir.parent().unwrap_or(Path::new("/"));
        let name = data_dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let writable = rustix::fs::access(parent, rustix::fs::Access::WRITE_OK).is_ok();
        let inside = !writable || is_mount_point(&data_dir, parent)?;
        let (making, aside) = if inside {
            (data_dir.join(format!(".{MAKING}{id}")), data_dir.join(format!(".{BEFORE}{at}")))
        } else {
            let beside = |what: &str| parent.join(format!("{name}.{what}"));
            (beside(&format!("{MAKING}{id}")), beside(&format!("{BEFORE}{at}")))
        };
        let logs = bases.iter().filter_map(|base| {
            let base = data_dir.join(base);
            let (dir, name) = (fs::canonicalize(base.parent()?).ok()?, base.file_name()?);
            let named = !name.is_empty() && !dir.starts_with(&data_dir);
            named.then(|| (dir, name.to_string_lossy().into_owned()))
        });
        let logs = logs.collect();
        let fresh = making.join("data");
        let (uid, gid, mode) = (about.uid(), about.gid(), about.mode() & 0o7777);
        let host = server.host().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let label = format!("{host}-{}", server.port());
        Ok(Self { data_dir, inside, making, fresh, aside, logs, label, uid, gid, mode })
    }

    /// Makes room. The directory of the new data itself is made if `fresh` says so; a server that
    /// writes it insists on making it.
    pub(super) fn make(&self, fresh: bool) -> io::Result<()> {
        for dir in std::iter::once(self.aside.clone()).chain(self.logs_aside()) {
            if dir.try_exists()? {
                let text = format!("{} is there already; try again", dir.display());
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
        }
        fs::create_dir(&self.making)?;
        fs::set_permissions(&self.making, fs::Permissions::from_mode(0o700))?;
        if fresh {
            fs::create_dir(&self.fresh)?;
            fs::set_permissions(&self.fresh, fs::Permissions::from_mode(0o700))?;
        }
        self.own(&self.making)
    }

    /// User and group of the old data.
    pub(super) const fn owner(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Bytes that are free where the new data is made.
    pub(super) fn free(&self) -> io::Result<u64> {
        let place = if self.inside {
            &self.data_dir
        } else {
            self.data_dir.parent().unwrap_or(&self.data_dir)
        };
        let about = rustix::fs::statvfs(place)?;
        Ok(about.f_bavail.saturating_mul(about.f_frsize))
    }

    /// Gives the new data the owner and mode of the old, and the server's own files.
    pub(super) fn finish(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.data_dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let own = name.to_str().is_some_and(is_the_servers_own);
            if own && entry.file_type()?.is_file() && !self.fresh.join(&name).exists() {
                fs::copy(entry.path(), self.fresh.join(&name))?;
            }
        }
        // So that it gets an identity of its own.
        match fs::remove_file(self.fresh.join("auto.cnf")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.own_all(&self.fresh)?;
        fs::set_permissions(&self.fresh, fs::Permissions::from_mode(self.mode))?;
        rustix::fs::syncfs(File::open(&self.fresh)?)?;
        Ok(())
    }

    fn own(&self, path: &Path) -> io::Result<()> {
        let about = fs::symlink_metadata(path)?;
        if (about.uid(), about.gid()) == (self.uid, self.gid) {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(self.uid), Some(self.gid))
    }

    /// Gives everything there to the owner of the old data.
    pub(super) fn own_all(&self, path: &Path) -> io::Result<()> {
        self.own(path)?;
        if fs::symlink_metadata(path)?.is_dir() {
            for entry in fs::read_dir(path)? {
                self.own_all(&entry?.path())?;
            }
        }
        Ok(())
    }

    /// Puts the new data in place of the old.
    pub(super) fn exchange(&self) -> io::Result<()> {
        if self.inside {
            make_dir(&self.aside)?;
            // From the mark on what lies in the data directory is new.
            let (from, to) = (&self.data_dir, &self.aside);
            if !self.mark().try_exists()? {
                move_all(from, to, "swap-old", Taken::Refused, |name| !is_ours(name))?;
                failpoint::hit("after", "swap-old");
                set_mark(&self.mark(), from)?;
            }
            move_all(&self.fresh, from, "swap-new", Taken::Refused, |_| true)?;
        } else {
            if !self.aside.try_exists()? {
                rename(&self.data_dir, &self.aside)?;
                failpoint::hit("after", "swap-old");
            }
            // What somebody has made there meanwhile is not replaced, unless it is empty.
            if self.fresh.try_exists()? {
                rename(&self.fresh, &self.data_dir)?;
            }
        }
        failpoint::hit("after", "swap-new");
        for dir in self.log_dirs() {
            let aside = self.log_aside(dir);
            make_dir(&aside)?;
            let mark = aside.join(LOGS_MARK);
            // From the mark on what lies in the directory is of the new data's server.
            if !mark.try_exists()? {
                let is_log = |name: &str| self.is_log_in(dir, name);
                move_all(dir, &aside, "swap-logs", Taken::Refused, is_log)?;
                set_mark(&mark, dir)?;
            }
        }
        self.sync()
    }

    /// Puts the old data back in its place; what is there goes to where it was made. Nothing old is
    /// removed, nor a directory that holds anything.
    pub(super) fn put_back(&self) -> io::Result<()> {
        if !self.aside.try_exists()? {
            return Ok(());
        }
        make_dir(&self.making)?;
        for dir in self.log_dirs() {
            let aside = self.log_aside(dir);
            if !aside.try_exists()? {
                continue;
            }
            let (mark, not_used) = (aside.join(LOGS_MARK), aside.join(NOT_USED));
            let is_log = |name: &str| self.is_log_in(dir, name);
            if mark.try_exists()? {
                // What the new data's server began to write.
                make_dir(&not_used)?;
                move_all(dir, &not_used, "back-new-logs", Taken::Replaced, is_log)?;
                remove_mark(&mark, dir)?;
            }
            move_all(&aside, dir, "back-old-logs", Taken::Replaced, is_log)?;
            File::open(dir)?.sync_all()?;
            if let Err(error) = removal::remove(&not_used) {
                tracing::warn!(%error, "new logs that are not used stay");
            }
            remove_emptied(&aside)?;
        }
        if self.inside {
            if self.mark().try_exists()? {
                let (from, to) = (&self.data_dir, self.unused()?);
                make_dir(&to)?;
                move_all(from, &to, "back-new", Taken::Refused, |name| !is_ours(name))?;
                failpoint::hit("after", "back-new");
                remove_mark(&self.mark(), from)?;
            }
            move_all(&self.aside, &self.data_dir, "back-old", Taken::Replaced, |_| true)?;
            File::open(&self.data_dir)?.sync_all()?;
            remove_emptied(&self.aside)?;
        } else {
            if self.data_dir.try_exists()? {
                rename(&self.data_dir, &self.unused()?)?;
                failpoint::hit("after", "back-new");
            }
            rename(&self.aside, &self.data_dir)?;
        }
        failpoint::hit("after", "back-old");
        self.sync()
    }

    /// A place for new data that is not used; an interruption may have left an earlier one.
    fn unused(&self) -> io::Result<PathBuf> {
        let mut number = 0;
        loop {
            number += 1;
            let place = self.making.join(format!("{NOT_USED}-{number}"));
            if !place.try_exists()? {
                return Ok(place);
            }
        }
    }

    /// Removes what was made and is not in place.
    pub(super) fn clear(&self) -> io::Result<()> {
        removal::remove(&self.making)
    }

    /// Removes the old data of this rebuild.
    pub(super) fn remove_old(&self) -> io::Result<()> {
        for aside in self.logs_aside() {
            removal::remove(&aside)?;
        }
        failpoint::hit("amid", "remove-old");
        removal::remove(&self.aside)
    }

    /// Removes what earlier rebuilds left; that of this one stays.
    pub(super) fn remove_older(&self) -> io::Result<Vec<PathBuf>> {
        let mut removed = Vec::new();
        for keep in std::iter::once(self.aside.clone()).chain(self.logs_aside()) {
            let (Some(parent), Some(name)) = (keep.parent(), keep.file_name()) else { continue };
            let name = name.to_string_lossy().into_owned();
            let Some(begin) = name.rfind(BEFORE).and_then(|at| name.get(..at + BEFORE.len()))
            else {
                continue;
            };
            for other in names(parent)? {
                // Only what is named as we name it: the rest of the name is a moment.
                let moment = other.strip_prefix(begin).unwrap_or_default();
                if other < name
                    && !moment.is_empty()
                    && moment.bytes().all(|b| b.is_ascii_digit() || b == b'T' || b == b'Z')
                {
                    let path = parent.join(&other);
                    removal::remove(&path)?;
                    removed.push(path);
                }
            }
        }
        Ok(removed)
    }

    /// Says that all of the old content was moved away.
    fn mark(&self) -> PathBuf {
        self.making.join("old-is-aside")
    }

    /// Directories of logs, each once: binary and relay logs may share one.
    fn log_dirs(&self) -> BTreeSet<&PathBuf> {
        self.logs.iter().map(|(dir, _)| dir).collect()
    }

    fn is_log_in(&self, dir: &Path, name: &str) -> bool {
        self.logs.iter().any(|(of, base)| of == dir && is_log_of(name, base))
    }

    fn log_aside(&self, dir: &Path) -> PathBuf {
        let name = self.aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let at = name.rfind(BEFORE).and_then(|at| name.get(at..)).unwrap_or(&name);
        // An earlier version had no label.
        match self.label.as_str() {
            "" => dir.join(at),
            label => dir.join(format!("{label}.logs-{at}")),
        }
    }

    fn logs_aside(&self) -> impl Iterator<Item = PathBuf> {
        self.log_dirs().into_iter().map(|dir| self.log_aside(dir))
    }

    fn sync(&self) -> io::Result<()> {
        let parent = self.data_dir.parent().unwrap_or(&self.data_dir);
        File::open(&self.data_dir)?.sync_all()?;
        File::open(parent)?.sync_all()
    }
}

fn is_ours(name: &str) -> bool {
    let rest = name.strip_prefix('.').unwrap_or_default();
    rest.starts_with(BEFORE) || rest.starts_with(MAKING)
}

/// A log, its index, or MariaDB's note of what it holds.
fn is_log_of(name: &str, base: &str) -> bool {
    name.strip_prefix(base).is_some_and(|rest| rest == ".state" || is_log_ending(rest))
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Ok(name) = entry?.file_name().into_string() {
            all.push(name);
        }
    }
    Ok(all)
}

/// Whether something is mounted at this directory (proc(5), mountinfo: the fifth field).
fn is_mount_point(dir: &Path, parent: &Path) -> io::Result<bool> {
    if fs::metadata(dir)?.dev() != fs::metadata(parent)?.dev() {
        return Ok(true);
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let dir = dir.to_string_lossy().replace(' ', "\\040");
    Ok(mounts.lines().any(|line| line.split(' ').nth(4) == Some(&dir)))
}

#[cfg(test)]
mod tests;
