//! What a replica's relay logs hold, transactions that are spread over several files included.

use std::collections::BTreeMap;
use std::path::PathBuf;

use primacy_types::{BinlogPosition, TransactionSet};

use super::{RelayReader, SourceHint};
use crate::error::{Corrupt, Damage, ReadError, Torn};
use crate::event::{EventKind, GtidOf};
use crate::gtids::Collector;
use crate::place::compare;
use crate::scan::Incomplete;
use crate::transaction::{Grouper, Part};

/// What relay logs hold, in the coordinates of the source.
#[derive(Clone, Debug)]
pub struct RelaySummary {
    /// Where the first complete transaction begins; `None` if there is none, or its file at the
    /// source is not known.
    pub from: Option<BinlogPosition>,
    /// Where the last complete transaction ends.
    pub until: Option<BinlogPosition>,
    /// All complete transactions.
    pub gtids: TransactionSet,
    /// How many these are, those without GTID counted.
    pub transactions: u64,
    /// The one at the end that is not complete. Its start is a place at the source.
    pub incomplete: Option<Incomplete>,
    /// How many transactions were given up in between: the receiver got them again, or the source
    /// died.
    pub abandoned: u64,
    /// How many events belong to a transaction whose beginning is in relay logs that are gone.
    pub orphans: u64,
    /// How many events came twice.
    pub repeated: u64,
    /// The last file ends in the middle of an event.
    pub torn: Option<Torn>,
    /// A file is damaged; what is behind the damage was not read.
    pub corrupt: Option<Corrupt>,
    /// How many events each server wrote first.
    pub server_ids: BTreeMap<u32, u64>,
}

/// Reads relay logs to their end, oldest first, with every checksum.
pub fn summarize(files: &[PathBuf], hint: Option<SourceHint>) -> Result<RelaySummary, ReadError> {
    let mut reader = RelayReader::open(files, hint)?;
    let mut summary = RelaySummary {
        from: None,
        until: None,
        gtids: TransactionSet::UpTo(None),
        transactions: 0,
        incomplete: None,
        abandoned: 0,
        orphans: 0,
        repeated: 0,
        torn: None,
        corrupt: None,
        server_ids: BTreeMap::new(),
    };
    let mut walk =
        Walk { grouper: Grouper::from_anywhere(), gtids: Collector::default(), start: 0 };
    match walk.run(&mut reader, &mut summary) {
        Ok(()) => {}
        Err(ReadError::Corrupt(corrupt)) => summary.corrupt = Some(corrupt),
        Err(other) => return Err(other),
    }
    summary.torn = reader.torn().cloned();
    summary.repeated = reader.repeated();
    summary.gtids = walk.gtids.finish(&TransactionSet::UpTo(summary.until.clone()));
    if summary.gtids.is_empty() {
        summary.gtids = TransactionSet::UpTo(summary.until.clone());
    }
    summary.incomplete = walk.grouper.open().map(|open| Incomplete {
        start: walk.start,
        bytes: open.bytes.saturating_add(summary.torn.as_ref().map_or(0, |torn| torn.have)),
        gtid: open.gtid,
        why: match (&summary.corrupt, &summary.torn) {
            (Some(corrupt), _) => corrupt.to_string(),
            (None, Some(torn)) => torn.to_string(),
            (None, None) => "the relay logs end before it does".to_owned(),
        },
    });
    Ok(summary)
}

struct Walk {
    grouper: Grouper,
    gtids: Collector,
    /// Where at the source the open transaction begins.
    start: u64,
}

impl Walk {
    fn run(&mut self, reader: &mut RelayReader, all: &mut RelaySummary) -> Result<(), ReadError> {
        let mut file: Option<String> = None;
        while let Some(relayed) = reader.next()? {
            if file.as_deref() != relayed.source_file {
                file = relayed.source_file.map(str::to_owned);
                all.abandoned += u64::from(self.grouper.at_boundary().is_some());
            }
            let header = relayed.event.header();
            if header.kind == EventKind::FORMAT_DESCRIPTION
                && header.end_position != 0
                && self.grouper.open().is_none()
            {
                // The head of a file of the source: a transaction begins after it.
                self.grouper.at_boundary();
            }
            let fed =
                self.grouper.feed(&relayed.event, relayed.format).map_err(|body| Corrupt {
                    file: relayed.relay_log.to_owned(),
                    offset: relayed.event.offset(),
                    why: Damage::Body(body),
                })?;
            all.abandoned += u64::from(fed.abandoned.is_some());
            all.orphans += u64::from(fed.part == Part::Orphan);
            if fed.part.opens() {
                self.start = relayed.start;
            }
            if fed.group.is_some() {
                *all.server_ids.entry(relayed.event.header().server_id).or_default() += 1;
            }
            if !fed.part.completes() {
                continue;
            }
            let name = relayed.source_file.unwrap_or_default();
            let again = |until: &BinlogPosition| compare(name, self.start, until).is_lt();
            if all.until.as_ref().is_some_and(again) {
                continue;
            }
            all.transactions += 1;
            if let Some(gtid) = fed.group.and_then(|group| group.gtid)
                && gtid != GtidOf::Anonymous
            {
                self.gtids.add(gtid);
            }
            let place = |offset| file.clone().map(|file| BinlogPosition::new(file, offset));
            all.from = all.from.take().or_else(|| place(self.start));
            all.until = place(relayed.end);
        }
        Ok(())
    }
}
