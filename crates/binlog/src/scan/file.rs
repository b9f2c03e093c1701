//! What one file holds.

use std::collections::BTreeMap;
use std::io::Read;

use primacy_types::{Flavor, MariaDbGtidPos, MySqlGtidSet, TransactionSet};

use crate::error::{Corrupt, Damage, ReadError, Torn};
use crate::event::{
    EventHeader, EventKind, FormatDescription, GtidList, GtidOf, PreviousGtids, RawEvent, Rotate,
};
use crate::gtids::Collector;
use crate::reader::{FileKind, Reader};
use crate::transaction::{Fed, Grouper};

/// How closely a file is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoroughness {
    /// Every checksum is computed.
    Verified,
    /// Only headers are read, and the bodies that say where transactions begin and end.
    Quick,
}

/// Whether the bytes are those that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// All checksums were right, up to where the file was read.
    Verified,
    /// They were not looked at.
    NotVerified,
    /// The file has none.
    None,
}

/// A transaction at the end of a file that is not complete there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Where it begins.
    pub start: u64,
    /// How many bytes of it are there.
    pub bytes: u64,
    /// Its GTID, if it has one.
    pub gtid: Option<GtidOf>,
    /// Why it is not complete. In a relay log the next file may have the rest.
    pub why: String,
}

/// What one file holds.
#[derive(Clone, Debug)]
pub struct FileSummary {
    /// The file.
    pub file: String,
    /// What kind of file it is. Of one that is encrypted or no binary log nothing else is known.
    pub kind: FileKind,
    /// Version of the server that wrote it, as it wrote it.
    pub server_version: String,
    /// Whether it is a relay log.
    pub relay_log: bool,
    /// Whether its server is writing it, or died while it wrote it.
    pub in_use: bool,
    /// Where its first transaction begins.
    pub first: Option<u64>,
    /// Where its last whole event ends.
    pub last: u64,
    /// The transactions of all earlier files, if it says.
    pub previous: Option<TransactionSet>,
    /// All transactions that are complete in it.
    pub gtids: TransactionSet,
    /// How many these are, those without GTID counted.
    pub transactions: u64,
    /// How many of them have no GTID.
    pub anonymous: u64,
    /// Where the last complete one ends.
    pub end_of_last_complete: u64,
    /// The one after it that is not complete.
    pub incomplete: Option<Incomplete>,
    /// How many events at its start belong to a transaction that began in an earlier relay log.
    pub orphans: u64,
    /// It ends in the middle of an event.
    pub torn: Option<Torn>,
    /// It is damaged; what is behind the damage was not read.
    pub corrupt: Option<Corrupt>,
    /// The next file, if the server closed this one by going on in another.
    pub next_file: Option<String>,
    /// Whether the server closed it by shutting down.
    pub clean_stop: bool,
    /// How many events each server wrote first.
    pub server_ids: BTreeMap<u32, u64>,
    /// How many events it has.
    pub events: u64,
    /// Seconds since 1970 of the first and last event in a transaction.
    pub times: Option<(u32, u32)>,
    /// Whether the bytes are those that were written.
    pub checksums: Checksums,
}

/// Reads to the end of the file and says what it holds. Damage and a torn end are part of the
/// answer; an error is that the file could not be read.
pub fn scan<R: Read>(
    reader: &mut Reader<R>,
    thoroughness: Thoroughness,
) -> Result<FileSummary, ReadError> {
    scan_watched(reader, thoroughness, &mut |_, _, _| {})
}

/// Sees each event, its format, and what it is to its transaction; with [`Thoroughness::Quick`]
/// not those of which only the header was read.
pub(crate) type Watch<'w> = dyn FnMut(&RawEvent<'_>, &FormatDescription, &Fed) + 'w;

/// The same, and somebody looks on.
pub(crate) fn scan_watched<R: Read>(
    reader: &mut Reader<R>,
    thoroughness: Thoroughness,
    watch: &mut Watch<'_>,
) -> Result<FileSummary, ReadError> {
    reader.set_verification(thoroughness == Thoroughness::Verified);
    let mut scan = Scan::new(reader);
    let ended = scan.run(reader, thoroughness, watch);
    match ended {
        Ok(()) | Err(ReadError::Encrypted { .. } | ReadError::NotABinlog { .. }) => {}
        Err(ReadError::Torn(torn)) => scan.summary.torn = Some(torn),
        Err(ReadError::Corrupt(corrupt)) => scan.summary.corrupt = Some(corrupt),
        Err(other) => return Err(other),
    }
    Ok(scan.finish(reader, thoroughness))
}

struct Scan {
    summary: FileSummary,
    grouper: Grouper,
    gtids: Collector,
    flavor: Flavor,
    /// The server of the last event and how many in a row it wrote.
    server: (u32, u64),
    checksummed: bool,
}

impl Scan {
    fn new<R: Read>(reader: &Reader<R>) -> Self {
        let summary = FileSummary {
            file: reader.file().to_owned(),
            kind: reader.kind(),
            server_version: String::new(),
            relay_log: false,
            in_use: false,
            first: None,
            last: 0,
            previous: None,
            gtids: TransactionSet::UpTo(None),
            transactions: 0,
            anonymous: 0,
            end_of_last_complete: 0,
            incomplete: None,
            orphans: 0,
            torn: None,
            corrupt: None,
            next_file: None,
            clean_stop: false,
            server_ids: BTreeMap::new(),
            events: 0,
            times: None,
            checksums: Checksums::None,
        };
        Self {
            summary,
            grouper: Grouper::new(),
            gtids: Collector::default(),
            flavor: Flavor::MySql,
            server: (0, 0),
            checksummed: false,
        }
    }

    fn run<R: Read>(
        &mut self,
        reader: &mut Reader<R>,
        thoroughness: Thoroughness,
        watch: &mut Watch<'_>,
    ) -> Result<(), ReadError> {
        while let Some(header) = reader.peek()? {
            let offset = reader.offset();
            let quick = match (thoroughness, reader.format()) {
                (Thoroughness::Quick, Some(format)) => {
                    self.grouper.feed_header(&header, offset, format)
                }
                _ => None,
            };
            if let Some(fed) = quick {
                reader.skip(&header)?;
                self.count(&header, offset, &fed);
                continue;
            }
            let Some((event, format)) = reader.next_in_format()? else {
                return Ok(());
            };
            let looked = self.look(&event, format, watch);
            if let Err(body) = looked {
                let file = reader.file().to_owned();
                return Err(Corrupt { file, offset, why: Damage::Body(body) }.into());
            }
        }
        Ok(())
    }

    fn look(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        watch: &mut Watch<'_>,
    ) -> Result<(), crate::BodyError> {
        let summary = &mut self.summary;
        match event.kind() {
            EventKind::FORMAT_DESCRIPTION => {
                let own = FormatDescription::decode(event)?;
                self.checksummed |= own.has_checksums();
                self.flavor = own.flavor;
                if summary.events == 0 {
                    (summary.in_use, summary.relay_log) = (own.in_use, own.relay_log);
                    summary.end_of_last_complete = event.end();
                    if own.relay_log {
                        self.grouper = Grouper::from_anywhere();
                    }
                    summary.server_version = own.server_version;
                }
            }
            EventKind::PREVIOUS_GTIDS if summary.previous.is_none() => {
                let previous = PreviousGtids::decode(event, format)?;
                summary.previous = Some(TransactionSet::MySql(previous.set));
                summary.end_of_last_complete = event.end();
            }
            EventKind::GTID_LIST if summary.previous.is_none() && !summary.relay_log => {
                let list = GtidList::decode(event, format)?;
                summary.previous = Some(TransactionSet::MariaDb(list.position()));
                summary.end_of_last_complete = event.end();
            }
            EventKind::ROTATE => {
                let rotate = Rotate::decode(event, format)?;
                summary.next_file = (!rotate.artificial).then(|| rotate.file_name());
            }
            _ => {}
        }
        let fed = self.grouper.feed(event, format)?;
        watch(event, format, &fed);
        self.count(&event.header(), event.offset(), &fed);
        Ok(())
    }

    fn count(&mut self, header: &EventHeader, offset: u64, fed: &Fed) {
        let summary = &mut self.summary;
        summary.events += 1;
        summary.last = offset.saturating_add(u64::from(header.length));
        summary.clean_stop = header.kind == EventKind::STOP;
        if self.server.0 == header.server_id {
            self.server.1 += 1;
        } else {
            note_server(summary, self.server);
            self.server = (header.server_id, 1);
        }
        let Some(group) = fed.group else {
            summary.orphans += u64::from(fed.part == crate::Part::Orphan);
            return;
        };
        if header.timestamp != 0 {
            let first = summary.times.map_or(header.timestamp, |(first, _)| first);
            summary.times = Some((first, header.timestamp));
        }
        summary.first.get_or_insert(group.start);
        if fed.part.completes() {
            summary.transactions += 1;
            summary.end_of_last_complete = summary.last;
            match group.gtid {
                None | Some(GtidOf::Anonymous) => summary.anonymous += 1,
                Some(gtid) => self.gtids.add(gtid),
            }
        }
    }

    fn finish<R: Read>(self, reader: &Reader<R>, thoroughness: Thoroughness) -> FileSummary {
        let mut summary = self.summary;
        note_server(&mut summary, self.server);
        summary.kind = reader.kind();
        summary.incomplete = self.grouper.open().map(|open| Incomplete {
            start: open.start,
            bytes: open.bytes.saturating_add(summary.torn.as_ref().map_or(0, |torn| torn.have)),
            gtid: open.gtid,
            why: match (&summary.corrupt, &summary.torn) {
                (Some(corrupt), _) => corrupt.to_string(),
                (None, Some(torn)) => torn.to_string(),
                (None, None) => "the file ends before it does".to_owned(),
            },
        });
        let nothing = match self.flavor {
            Flavor::MySql => TransactionSet::MySql(MySqlGtidSet::default()),
            Flavor::MariaDb => TransactionSet::MariaDb(MariaDbGtidPos::default()),
        };
        summary.gtids = self.gtids.finish(&nothing);
        summary.checksums = match (self.checksummed, thoroughness) {
            (false, _) => Checksums::None,
            (true, Thoroughness::Verified) => Checksums::Verified,
            (true, Thoroughness::Quick) => Checksums::NotVerified,
        };
        summary
    }
}

fn note_server(summary: &mut FileSummary, (server, events): (u32, u64)) {
    if events > 0 {
        let count = summary.server_ids.entry(server).or_default();
        *count = count.saturating_add(events);
    }
}
