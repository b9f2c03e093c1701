//! `save_binary_logs`: one file with what binary logs (or relay logs) hold after a place.
//!
//! Events are copied byte for byte after their checksums were verified. A transaction of which only
//! a part is there is kept: what another file holds may complete it.

use std::path::{Path, PathBuf};

use primacy_binlog::{FileKind, ReadError, Reader};

use crate::logs::{self, Log};
use crate::output::{Output, is_about_the_log};
use crate::statements::Translator;
use crate::{NodeError, Say};

/// From where on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaveFrom {
    /// `mysql-bin.000007`.
    pub file: String,
    /// A place in it that is between events.
    pub offset: u64,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveAs {
    /// As a binary log.
    Events,
    /// As statements for the servers' command line client.
    Statements,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// So many events and bytes were written.
    Written {
        /// Events.
        events: u64,
        /// Bytes of the file.
        bytes: u64,
    },
    /// There is nothing after the place, and no file.
    Nothing,
}

/// Whether the logs are there and the file could be written. `prefix` is what their names begin
/// with. Answers with the newest log.
///
/// # Errors
/// Why not.
pub fn test(
    folders: &str,
    prefix: &str,
    file: Option<&str>,
    output: &Path,
) -> Result<PathBuf, NodeError> {
    let logs = logs::find(folders, prefix, file)?;
    let newest = logs.last().map(|log| log.path.clone()).unwrap_or_default();
    readable(&newest)?;
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|e| NodeError::io("make", folder, e))?;
    let probe = folder.join(format!(".primacy-test-{}", std::process::id()));
    std::fs::write(&probe, b"").map_err(|e| NodeError::io("write to", folder, e))?;
    std::fs::remove_file(&probe).map_err(|e| NodeError::io("remove", &probe, e))?;
    Ok(newest)
}

/// Writes what is after the place.
///
/// # Errors
/// If the logs are not there, cannot be read, or have a hole. Of a log that is damaged, what is before
/// the damage is written, and `say` told.
pub fn save(
    folders: &str,
    from: &SaveFrom,
    output: &Path,
    how: SaveAs,
    say: Say<'_>,
) -> Result<Saved, NodeError> {
    let Some((prefix, number)) = logs::split(&from.file) else {
        return Err(NodeError::refused(format!("{:?} is no name of a log", from.file)));
    };
    let logs = logs::find(folders, prefix, Some(&from.file))?;
    let logs = logs::without_holes(logs, number)?;
    let mut run = Run {
        out: Output::create(output)?,
        how,
        translator: Translator::for_text(),
        damaged: false,
    };
    for (nth, log) in logs.iter().enumerate() {
        let start = if nth == 0 { from.offset } else { 0 };
        run.take(log, start, nth + 1 == logs.len(), say)?;
        if run.damaged {
            break;
        }
    }
    if run.out.events == 0 {
        return match run.damaged {
            true => Err(NodeError::refused("nothing could be read before the damage")),
            false => Ok(Saved::Nothing),
        };
    }
    if how == SaveAs::Statements {
        let end = run.translator.end();
        run.statements(&end)?;
    }
    let events = run.out.events;
    Ok(Saved::Written { events, bytes: run.out.finish()? })
}

/// Opens a log that can be read.
pub(crate) fn readable(path: &Path) -> Result<Reader<std::fs::File>, NodeError> {
    let reader = Reader::open(path)?;
    match reader.kind() {
        FileKind::Plain | FileKind::Empty => Ok(reader),
        FileKind::NotABinlog => {
            Err(NodeError::refused(format!("{} is no binary log", path.display())))
        }
        FileKind::EncryptedMySql | FileKind::EncryptedMariaDb { .. } => Err(NodeError::refused(
            format!("{} is encrypted by its server; only that can read it", path.display()),
        )),
    }
}

struct Run {
    out: Output,
    how: SaveAs,
    translator: Translator,
    damaged: bool,
}

impl Run {
    fn take(&mut self, log: &Log, start: u64, newest: bool, say: Say<'_>) -> Result<(), NodeError> {
        let mut reader = readable(&log.path)?;
        loop {
            let (kind, at, bytes) = match reader.next_in_format() {
                Ok(Some((event, format))) => {
                    let wanted = event.offset() >= start && !is_about_the_log(event.kind());
                    if wanted && self.how == SaveAs::Statements {
                        self.out.events += 1;
                        let statements = self.translator.take(&event, format)?;
                        self.statements(&statements)?;
                        continue;
                    }
                    (event.kind(), event.offset(), event.bytes())
                }
                Ok(None) => break,
                Err(ReadError::Torn(torn)) => {
                    say(&format!(
                        "the end is left out, nobody was told that it is committed: {torn}"
                    ));
                    break;
                }
                Err(ReadError::Corrupt(corrupt)) => {
                    say(&format!("damaged; only what is before it is saved: {corrupt}"));
                    self.damaged = true;
                    break;
                }
                Err(other) => return Err(other.into()),
            };
            if kind == primacy_binlog::EventKind::FORMAT_DESCRIPTION {
                let text = self.how == SaveAs::Statements;
                if text {
                    let statements = self.translator.format(bytes);
                    self.statements(&statements)?;
                } else {
                    self.out.head(bytes)?;
                }
            } else if at >= start && !is_about_the_log(kind) {
                self.out.event(bytes)?;
            } else if at < start && at + bytes.len() as u64 > start {
                return Err(NodeError::refused(format!(
                    "{start} is inside the event at {at} of {}: is it another server's file?",
                    log.path.display()
                )));
            }
        }
        let end = reader.offset();
        if start > end && !self.damaged {
            return beyond(log, start, end, newest, say);
        }
        Ok(())
    }

    fn statements(&mut self, statements: &[crate::statements::Statement]) -> Result<(), NodeError> {
        for statement in statements {
            self.out.put(&statement.sql)?;
            self.out.put(b"\n/*!*/;\n")?;
        }
        Ok(())
    }
}

/// A replica may have received what the server's disk lost: then nothing is missing there.
fn beyond(log: &Log, start: u64, end: u64, newest: bool, say: Say<'_>) -> Result<(), NodeError> {
    let text = format!("{} ends at {end}, before {start}", log.path.display());
    if !newest {
        return Err(NodeError::refused(format!(
            "{text}, and the server went on in another file: what is after the place is not known"
        )));
    }
    say(&format!("{text}: the replica has more than the disk"));
    Ok(())
}
