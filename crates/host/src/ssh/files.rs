//! Reading files with what every host has: `dd`, `tail`, `ls`, and `stat` where there is one.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::SshHost;
use super::client::Answer;
use super::failure::shortened;
use super::quote;
use crate::{FileEntry, HostError};

/// Whole blocks around the wanted range: `dd` counts in blocks, and what is too much is cut off
/// here. It reads regular files in full blocks, and its `skip` seeks.
const READ: &str = "LC_ALL=C; export LC_ALL; exec dd if=\"$1\" bs=\"$2\" skip=\"$3\" count=\"$4\"";
const BLOCK: u64 = 32 * 1024;

/// POSIX fixes the columns of `ls -ln`: mode, links, owner, group, length. `wc -c` would do, too,
/// but some read the whole file for it.
const LENGTH: &str = "LC_ALL=C; export LC_ALL; exec ls -dnL -- \"$1\"";

/// Each file as `mode in hex/length/name//`: no name holds a slash, so that it does not matter
/// what else it holds. Files that vanish meanwhile are left out.
const LIST: &str = "LC_ALL=C; export LC_ALL; \
    ls -A -- \"$1\" >/dev/null || exit 1; cd -- \"$1\" || exit 1; \
    if stat -L -c %s . >/dev/null 2>&1; \
    then stat -L -c %f/%s/%n// -- * .[!.]* ..?* 2>/dev/null; \
    else for f in * .[!.]* ..?*; do [ -f \"$f\" ] || continue; \
        set -f; set -- $(ls -dnL -- \"$f\"); set +f; \
        printf \"%s/%s/%s//\\n\" 8000 \"$5\" \"$f\"; done; fi; exit 0";

/// From an offset (counted from 1) to the end of the file.
const FETCH: &str = "LC_ALL=C; export LC_ALL; exec tail -c \"+$2\" -- \"$1\"";

impl SshHost {
    pub(super) async fn read(
        &self,
        path: &Path,
        offset: u64,
        len: usize,
        limit: Duration,
    ) -> Result<Vec<u8>, HostError> {
        let path = self.path(path);
        let before = offset % BLOCK;
        let wanted = u64::try_from(len).unwrap_or(u64::MAX);
        let blocks = before.saturating_add(wanted).div_ceil(BLOCK).max(1);
        let numbers = [BLOCK, offset / BLOCK, blocks].map(|n| OsString::from(n.to_string()));
        let [size, skip, count] = &numbers;
        let remote = quote::command(READ, &[path.as_os_str(), size, skip, count]);
        let mut bytes = self.ask(&path, &remote, limit).await?.output;
        let before = usize::try_from(before).unwrap_or(usize::MAX).min(bytes.len());
        bytes.drain(..before);
        bytes.truncate(len);
        Ok(bytes)
    }

    pub(super) async fn len(&self, path: &Path, limit: Duration) -> Result<u64, HostError> {
        let path = self.path(path);
        let remote = quote::command(LENGTH, &[path.as_os_str()]);
        let answer = self.ask(&path, &remote, limit).await?;
        length(&answer.output).ok_or_else(|| self.not_understood(path, &answer.output))
    }

    pub(super) async fn files(
        &self,
        dir: &Path,
        limit: Duration,
    ) -> Result<Vec<FileEntry>, HostError> {
        let dir = self.path(dir);
        let remote = quote::command(LIST, &[dir.as_os_str()]);
        let answer = self.ask(&dir, &remote, limit).await?;
        entries(&answer.output).ok_or_else(|| self.not_understood(dir, &answer.output))
    }

    /// Copies from an offset to the end of the file in one command.
    pub(super) async fn copy(
        &self,
        path: &Path,
        offset: u64,
        to: &mut (dyn AsyncWrite + Send + Unpin),
        stall: Duration,
    ) -> Result<u64, HostError> {
        let path = self.path(path);
        let from = OsString::from(offset.saturating_add(1).to_string());
        let remote = quote::command(FETCH, &[path.as_os_str(), &from]);
        let mut copied = 0;
        let server = || self.client.server().clone();
        let stalled = |copied| HostError::Stalled {
            server: server(),
            path: path.clone(),
            copied,
            limit: stall,
        };
        let begun = Instant::now() + stall;
        let mut call = self.client.start(&remote, begun).await?.ok_or_else(|| stalled(0))?;
        let over = call.over.clone();
        let mut piece = Vec::new();
        // The first piece has what is left of the time in which the connection stood.
        let mut deadline = begun;
        loop {
            let Ok(read) = timeout_at(deadline, call.read(&mut piece)).await else {
                self.client.suspect(over.as_ref());
                return Err(stalled(copied));
            };
            let failed = |source| HostError::File { server: server(), path: path.clone(), source };
            let read = read.map_err(failed)?;
            if read == 0 {
                break;
            }
            let written = timeout(stall, to.write_all(&piece)).await;
            written.map_err(|_| stalled(copied))?.map_err(|source| HostError::Copy {
                server: server(),
                path: path.clone(),
                copied,
                source,
            })?;
            copied += read as u64;
            piece.clear();
            deadline = Instant::now() + stall;
        }
        to.flush().await.map_err(|source| HostError::Copy {
            server: server(),
            path: path.clone(),
            copied,
            source,
        })?;
        // That the output ended says nothing yet: the connection may have been cut.
        let Ok(ended) = timeout_at(deadline, call.ended()).await else {
            self.client.suspect(over.as_ref());
            return Err(stalled(copied));
        };
        let ended = ended.map_err(|source| HostError::File {
            server: server(),
            path: path.clone(),
            source,
        })?;
        match self.client.status(&ended)? {
            0 => Ok(copied),
            _ => Err(self.refused(path, &shortened(&ended.said))),
        }
    }

    /// Runs a command that reads a file or directory; an error if it says that it could not.
    pub(super) async fn ask(
        &self,
        path: &Path,
        remote: &OsString,
        limit: Duration,
    ) -> Result<Answer, HostError> {
        let what = format!("reading {}", path.display());
        let answer = self.client.run(&what, remote, limit).await?;
        if answer.status == 0 {
            Ok(answer)
        } else {
            Err(self.refused(path.to_owned(), &answer.said))
        }
    }

    /// An absolute path, or one that cannot be taken for an option.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        let path = self.server.path(path);
        if path.is_absolute() { path } else { Path::new(".").join(path) }
    }

    fn refused(&self, path: PathBuf, said: &str) -> HostError {
        let kind = io_kind(said);
        let source = io::Error::new(kind, said.to_owned());
        HostError::File { server: self.client.server().clone(), path, source }
    }

    fn not_understood(&self, path: PathBuf, output: &[u8]) -> HostError {
        let text = format!("the host's answer is not understood: {}", shortened(output));
        let source = io::Error::new(io::ErrorKind::InvalidData, text);
        HostError::File { server: self.client.server().clone(), path, source }
    }
}

/// What the far side's words mean (strerror(3) in the C locale).
fn io_kind(said: &str) -> io::ErrorKind {
    const KINDS: &[(&str, io::ErrorKind)] = &[
        ("No such file", io::ErrorKind::NotFound),
        ("Permission denied", io::ErrorKind::PermissionDenied),
        ("Not a directory", io::ErrorKind::NotADirectory),
        ("Is a directory", io::ErrorKind::IsADirectory),
    ];
    KINDS.iter().find(|(words, _)| said.contains(words)).map_or(io::ErrorKind::Other, |(_, k)| *k)
}

/// The length in one line of `ls -ln`, if it is of an ordinary file.
fn length(line: &[u8]) -> Option<u64> {
    let line = String::from_utf8_lossy(line);
    let mut columns = line.split_ascii_whitespace();
    columns.next().filter(|mode| mode.starts_with('-'))?;
    columns.nth(3)?.parse().ok()
}

/// The ordinary files among the records, by name; names that are not text are left out.
fn entries(output: &[u8]) -> Option<Vec<FileEntry>> {
    let mut found = Vec::new();
    let mut rest = output;
    while !rest.is_empty() {
        let end = rest.windows(3).position(|three| three == b"//\n")?;
        let (record, after) = rest.split_at_checked(end)?;
        rest = after.get(3..)?;
        let mut parts = record.splitn(3, |byte| *byte == b'/');
        let mode = u32::from_str_radix(std::str::from_utf8(parts.next()?).ok()?, 16).ok()?;
        let len = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let name = parts.next()?;
        // inode(7): S_IFMT and S_IFREG.
        if mode & 0xf000 == 0x8000
            && let Ok(name) = std::str::from_utf8(name)
        {
            found.push(FileEntry { name: name.to_owned(), len });
        }
    }
    found.sort();
    Some(found)
}

/// The path as an argument.
pub(super) fn argument(path: Option<&PathBuf>) -> &OsStr {
    path.map_or(OsStr::new(""), |path| path.as_os_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_line_breaks_and_blanks_is_one_file() {
        let listed = entries(
            b"81a0/120/bin log.000001//\n41ed/4096/mysql//\n\
                               81a0/7/x\n81a0 0 y//\n8000/0/-a//\n",
        )
        .unwrap();
        let names: Vec<_> = listed.iter().map(|entry| (entry.name.as_str(), entry.len)).collect();
        assert_eq!(names, [("-a", 0), ("bin log.000001", 120), ("x\n81a0 0 y", 7)]);
        assert!(entries(b"81a0/120/torn").is_none());
        assert!(entries(b"motd of the day\n").is_none());
    }

    #[test]
    fn the_length_stands_in_the_fifth_column_of_an_ordinary_file() {
        assert_eq!(length(b"-rw-r-----. 1 999 999 1048576 Nov 21 00:22 /a b\n-x"), Some(1_048_576));
        assert_eq!(length(b"crw-rw-rw- 1 0 0 1, 3 Nov 21 00:22 /dev/null\n"), None);
        assert_eq!(length(b"drwx------ 1 0 0 4096 Nov 21 00:22 /\n"), None);
    }
}
