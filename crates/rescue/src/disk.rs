//! What a dead server's binary logs hold, read to their end.

use std::path::Path;
use std::time::Duration;

use primacy_binlog::scan::previous_of;
use primacy_binlog::{FileKind, FileSummary, ReadError, Reader, Thoroughness, scan};
use primacy_host::HostAccess;
use primacy_types::{BinlogPosition, BinlogsOnDisk, MySqlGtidSet, TransactionSet};

use crate::RescueError;
use crate::bring::{blocking, bring, forget_damaged_copies};
use crate::files::{LogFile, LogFiles};

/// How what is held is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// As a set of GTIDs.
    Gtids,
    /// As the place where the last whole transaction ends.
    Places,
}

/// Reads the binary logs of a server that does not run. Files of another machine are copied to
/// `scratch` first. `stall` is the limit of a host that gives nothing; whoever is `patient` counts
/// one that does not even tell its files as late, not as lost.
pub async fn read_to_the_end(
    host: &dyn HostAccess,
    files: &LogFiles,
    numbering: Numbering,
    scratch: &Path,
    stall: Duration,
    patient: bool,
) -> BinlogsOnDisk {
    let unreadable = |error: RescueError, passing| BinlogsOnDisk::Unreadable {
        reason: error.to_string(),
        passing,
    };
    let all = match find(host, files, scratch, stall).await {
        Ok(all) => all,
        Err(error) => {
            let passing = patient && error.is_passing();
            return unreadable(error, passing);
        }
    };
    match read(host, &all, numbering, scratch, stall).await {
        Ok(found) => found,
        Err(error) => {
            forget_damaged_copies(host, scratch, &error).await;
            let passing = error.is_passing();
            unreadable(error, passing)
        }
    }
}

/// The files that belong together, oldest first. Of copies those after the one that is known only as far
/// as each begins with what the one before it ends with: the copier of a former primary may have left
/// files of the same names.
pub(crate) async fn find(
    host: &dyn HostAccess,
    files: &LogFiles,
    scratch: &Path,
    stall: Duration,
) -> Result<Vec<LogFile>, RescueError> {
    let mut all = files.find(host, stall).await?;
    let Some(known) = files.known().and_then(|known| all.iter().position(|f| f.name == known))
    else {
        return Ok(all);
    };
    for next in known + 1..all.len() {
        let before = bring(host, &all[next - 1], scratch, stall).await?;
        let before = blocking(move || summary(&before)).await?;
        let ends = before.previous.map(|previous| previous.union(&before.gtids));
        let after = bring(host, &all[next], scratch, stall).await?;
        let begins = blocking(move || previous(&after)).await.unwrap_or_default();
        if ends.is_none() || ends != begins {
            all.truncate(next);
            break;
        }
    }
    Ok(all)
}

async fn read(
    host: &dyn HostAccess,
    all: &[LogFile],
    numbering: Numbering,
    scratch: &Path,
    stall: Duration,
) -> Result<BinlogsOnDisk, RescueError> {
    let mut holds: Option<TransactionSet> = None;
    let mut length = None;
    let mut incomplete = None;
    for file in all.iter().rev() {
        let path = bring(host, file, scratch, stall).await?;
        let summary = blocking(move || summary(&path)).await?;
        length.get_or_insert_with(|| BinlogPosition::new(file.name.clone(), file.len));
        incomplete = incomplete.or_else(|| said_incomplete(file, &summary));
        let here = summary.previous.iter().fold(summary.gtids.clone(), |all, p| all.union(p));
        holds = Some(match holds {
            Some(later) => later.union(&here),
            None => here,
        });
        // Without a list of earlier GTIDs (the crash came while the file was begun) the file
        // before it has to be read too; without a whole transaction, to find where one ends.
        let known = match numbering {
            Numbering::Gtids => summary.previous.is_some(),
            Numbering::Places => true,
        };
        if known && (summary.transactions > 0 || file.number == all[0].number) {
            return Ok(found(file, &summary, numbering, holds, length, incomplete));
        }
    }
    let oldest = &all[0];
    let path = bring(host, oldest, scratch, stall).await?;
    let summary = blocking(move || summary(&path)).await?;
    Ok(found(oldest, &summary, numbering, holds, length, incomplete))
}

fn found(
    file: &LogFile,
    summary: &FileSummary,
    numbering: Numbering,
    holds: Option<TransactionSet>,
    length: Option<BinlogPosition>,
    incomplete: Option<String>,
) -> BinlogsOnDisk {
    let end = BinlogPosition::new(file.name.clone(), summary.end_of_last_complete);
    let holds = match numbering {
        Numbering::Places => TransactionSet::UpTo(Some(end.clone())),
        Numbering::Gtids => holds.unwrap_or(TransactionSet::MySql(MySqlGtidSet::default())),
    };
    BinlogsOnDisk::Read { holds, length: length.unwrap_or_else(|| end.clone()), end, incomplete }
}

fn said_incomplete(file: &LogFile, summary: &FileSummary) -> Option<String> {
    if let Some(tail) = &summary.incomplete {
        return Some(format!(
            "the transaction at {}:{} is not complete ({}): nobody was told that it is committed",
            file.name, tail.start, tail.why
        ));
    }
    let torn = summary.torn.as_ref()?;
    Some(format!("{torn}: nobody was told that this was committed"))
}

/// Reads one file. What is damaged is an error: a rescue that leaves out what stands behind the
/// damage is for a person to decide.
fn summary(path: &Path) -> Result<FileSummary, RescueError> {
    let mut summary = scan(&mut Reader::open(path)?, Thoroughness::Quick)?;
    let file = || path.display().to_string();
    match summary.kind {
        FileKind::Plain | FileKind::Empty => {}
        FileKind::EncryptedMySql | FileKind::EncryptedMariaDb { .. } => {
            return Err(ReadError::Encrypted { file: file(), offset: 0 }.into());
        }
        FileKind::NotABinlog => {
            return Err(ReadError::NotABinlog { file: file(), found: "other bytes".into() }.into());
        }
    }
    match summary.corrupt.take() {
        Some(corrupt) => Err(ReadError::Corrupt(corrupt).into()),
        None => Ok(summary),
    }
}

/// The transactions of all files before this one, if it says.
pub(crate) fn previous(path: &Path) -> Result<Option<TransactionSet>, RescueError> {
    Ok(previous_of(path)?)
}
