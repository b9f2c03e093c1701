//! Which transactions are taken, by what the receiver has already.

use primacy_types::{BinlogPosition, TransactionSet};

use super::CutFrom;
use crate::event::GtidOf;
use crate::place::compare;
use crate::transaction::{Fed, Part};

/// Whether an event is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// It is.
    Take,
    /// The receiver has it.
    Leave,
    /// Its transaction has no GTID, and that was asked for.
    Anonymous,
    /// The place that was asked for is not between transactions.
    InsideTransaction(BinlogPosition),
}

/// Decides for one event after another.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    from: Option<CutFrom>,
    /// Whether the place to start from was reached.
    started: bool,
    /// Whether the open transaction is taken.
    taking: bool,
}

impl Filter {
    /// `None` takes all.
    pub(crate) const fn new(from: Option<CutFrom>) -> Self {
        Self { from, started: false, taking: true }
    }

    /// Whether the place to start from was reached; always, if it is not a place.
    pub(crate) const fn has_started(&self) -> bool {
        self.started || !matches!(self.from, Some(CutFrom::Position(_)))
    }

    /// Judges an event that stood from `start` to `end`. `exact` says whether these are known:
    /// inside a transaction of MariaDB they may not be, and are not compared with anything.
    pub(crate) fn judge(
        &mut self,
        fed: &Fed,
        file: &str,
        (start, end): (u64, u64),
        exact: bool,
    ) -> Choice {
        match &self.from {
            None => Choice::Take,
            Some(CutFrom::Position(_)) if self.started => Choice::Take,
            Some(CutFrom::Position(_)) if !exact => Choice::Leave,
            Some(CutFrom::Position(from)) => {
                if compare(file, start, from).is_lt() {
                    let over = file == from.file && end > from.offset;
                    return match over {
                        true => Choice::InsideTransaction(from.clone()),
                        false => Choice::Leave,
                    };
                }
                self.started = true;
                match fed.part {
                    Part::Inside | Part::Ends | Part::Orphan => {
                        Choice::InsideTransaction(from.clone())
                    }
                    Part::Outside | Part::Begins | Part::Whole => Choice::Take,
                }
            }
            Some(CutFrom::Missing(set)) => {
                if fed.part == Part::Outside {
                    return Choice::Take;
                }
                if fed.part.opens() {
                    match fed.group.and_then(|group| group.gtid) {
                        None | Some(GtidOf::Anonymous) => return Choice::Anonymous,
                        Some(gtid) => self.taking = !holds(set, &gtid),
                    }
                }
                match self.taking {
                    true => Choice::Take,
                    false => Choice::Leave,
                }
            }
        }
    }
}

/// Whether the set holds the transaction. In a MariaDB domain what is before the last one counts
/// as held.
pub(crate) fn holds(set: &TransactionSet, gtid: &GtidOf) -> bool {
    match (set, gtid) {
        (TransactionSet::MySql(set), GtidOf::MySql(gtid)) => gtid.is_in(set),
        (TransactionSet::MariaDb(pos), GtidOf::MariaDb(gtid)) => {
            pos.last(gtid.domain).is_some_and(|last| last.sequence >= gtid.sequence)
        }
        _ => false,
    }
}
