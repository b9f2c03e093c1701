//! Whether a file follows the one before it.

use std::path::Path;

use primacy_types::TransactionSet;

use super::events::Seen;
use super::{Disorder, Note};
use crate::index::{base_name, number_of};
use crate::scan::FileSummary;

/// What is known of the file before.
pub(super) struct Chain {
    path: String,
    next: Option<String>,
    /// It says how it ended, or could not: it is torn or damaged.
    ended: bool,
    /// All transactions up to its end, if it lists those before it.
    known: Option<TransactionSet>,
    /// Whether it was read to its end.
    whole: bool,
    relay_log: bool,
    pub(super) seen: Seen,
}

impl Chain {
    pub(super) fn of(path: &str, summary: &FileSummary, seen: Seen) -> Self {
        let previous = summary.previous.as_ref();
        Self {
            path: path.to_owned(),
            next: summary.next_file.clone(),
            ended: summary.clean_stop
                || summary.next_file.is_some()
                || summary.torn.is_some()
                || summary.corrupt.is_some(),
            known: previous.map(|previous| previous.union(&summary.gtids)),
            whole: summary.corrupt.is_none() && summary.events > 0,
            relay_log: summary.relay_log,
            seen,
        }
    }

    /// Whether `path` may be meant to follow. Without `complete`, only the very next file is.
    pub(super) fn leads_to(&self, path: &str, complete: bool) -> bool {
        let (mine, other) = (Path::new(&self.path), Path::new(path));
        let series = mine.parent() == other.parent() && mine.file_stem() == other.file_stem();
        let next = match (number_of(&self.path), number_of(path)) {
            (Some(mine), Some(other)) => mine.checked_add(1) == Some(other),
            _ => false,
        };
        series && (next || complete)
    }

    /// Says what is wrong between the two files.
    pub(super) fn judge(
        &self,
        path: &str,
        summary: &FileSummary,
        disorders: &mut Vec<Disorder>,
        notes: &mut Vec<Note>,
    ) {
        let before = base_name(Path::new(&self.path));
        let name = base_name(Path::new(path));
        if !self.leads_to(path, false) {
            disorders.push(Disorder::FilesMissing { after: before });
            return;
        }
        match &self.next {
            Some(said) if *said != name && !self.relay_log => {
                let said = said.clone();
                disorders.push(Disorder::LeadsElsewhere { before: before.clone(), said });
            }
            _ if self.relay_log => {}
            None if !self.ended => notes.push(Note::AfterCrash { before: before.clone() }),
            _ => {}
        }
        if let (Some(known), Some(list), false) = (&self.known, &summary.previous, self.relay_log) {
            let lacking = known.beyond(list);
            if !lacking.is_empty() {
                let gtids = lacking.join(",");
                disorders.push(Disorder::ListLacks { before: before.clone(), gtids });
            }
            let more = list.beyond(known);
            if !more.is_empty() && self.whole {
                disorders.push(Disorder::ListHasMore { before, gtids: more.join(",") });
            }
        }
    }
}
