//! What one replica is sent: the events of a feed, those that it has already left out, and the
//! events around them that a server makes up. No sockets here: items in, packets out.

use std::sync::Arc;

use primacy_binlog::event::{EventHeader, EventKind, GtidList, MariaDbGtidEvent};
use primacy_binlog::{BodyError, FormatDescription, RawEvent};
use primacy_types::{BinlogPosition, MariaDbGtid};

use super::feed::{FeedError, FeedItem, StartAt};
use super::skip::Has;
use crate::event::{Checksum, Maker, sent_format};

/// Why a replica gets no (more) events. It is told the text, as error 1236.
#[derive(Debug, thiserror::Error)]
pub(super) enum DumpError {
    #[error("{0}")]
    Refused(String),
    #[error("an event cannot be understood: {0}")]
    Body(#[from] BodyError),
    #[error(transparent)]
    Feed(#[from] FeedError),
}

/// Takes the events that are to be sent. Each comes in parts that belong together.
pub(super) trait Out {
    fn event(&mut self, parts: &[&[u8]]);
}

/// What is known of a replica when it asks for events.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) server_id: u32,
    /// What it said of checksums; `None` if nothing: it does not know them.
    pub(super) checksum: Option<Checksum>,
    /// Whether it wants the texts of statements (MariaDB).
    pub(super) annotate: bool,
    pub(super) heartbeat: HeartbeatForm,
    pub(super) start: StartAt,
}

/// The three forms of heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeartbeatForm {
    /// MySQL up to 8.0.25.
    First,
    /// MySQL 8.0.26 and later, which ask for it.
    Second,
    MariaDb,
}

/// Counts of what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) transactions: u64,
    /// Events with the replica's own server id, which it passes over without a word.
    pub(super) own: u64,
}

/// One replica's way through the feed.
pub(super) struct Dump {
    replica: Replica,
    server_id: u32,
    has: Has,
    file: Arc<str>,
    format: Option<FormatDescription>,
    /// The same as it stands in the file.
    head: Option<FeedItem>,
    /// End of the last event, sent or not, in the file.
    end: u64,
    /// The event that ends the file, until the next file begins. A receiver that has got it is in
    /// the next file, and understands nothing but that file's format description.
    held: Option<FeedItem>,
    /// Whether the current transaction is one that the replica has.
    skipping: bool,
    /// Events were left out and the replica has not been told how far.
    untold: bool,
    /// MariaDB: a domain's wait has ended, so that the replica is to be told the position.
    reached: bool,
    /// MariaDB: the last transaction of each server in each domain, up to here.
    last: Vec<MariaDbGtid>,
    sent: Sent,
}

impl Dump {
    pub(super) fn new(replica: Replica, server_id: u32) -> Self {
        let has = match &replica.start {
            StartAt::MySqlGtids(set) => Has::MySql(set.clone()),
            StartAt::MariaDbGtids(pos) => Has::mariadb(pos),
            _ => Has::Before,
        };
        Self {
            replica,
            server_id,
            has,
            file: Arc::from(""),
            format: None,
            head: None,
            end: 0,
            held: None,
            skipping: false,
            untold: false,
            reached: false,
            last: Vec::new(),
            sent: Sent::default(),
        }
    }

    /// Where the replica is now.
    pub(super) fn position(&self) -> BinlogPosition {
        BinlogPosition::new(&*self.file, self.end)
    }

    pub(super) fn sent(&self) -> Sent {
        self.sent
    }

    /// Sends the head of the feed: everything up to and including the first GTID event or the
    /// first event after the format description, as the caller has collected it. Whether the
    /// replica begins in the middle of the file shows only there.
    pub(super) fn begin(&mut self, head: &[FeedItem], out: &mut impl Out) -> Result<(), DumpError> {
        let Some(first) = head.first() else {
            return Err(DumpError::Refused("there are no saved events".to_owned()));
        };
        let mut from = first.start;
        let mut in_the_middle = false;
        match &self.replica.start {
            StartAt::Position(place) => {
                from = place.offset;
                in_the_middle = place.offset > first.start;
            }
            StartAt::Beginning => {
                // The file may have been saved from the middle on.
                if let Some(second) = head.get(1) {
                    in_the_middle = second.start > first.end;
                    from = if in_the_middle { second.start } else { from };
                }
            }
            StartAt::MySqlGtids(_) | StartAt::MariaDbGtids(_) => {
                if let Some(last) = head.last().filter(|_| head.len() > 1) {
                    let raw = RawEvent::new(&last.bytes, last.start)?;
                    let format = self.read_format(first)?;
                    in_the_middle = head.windows(2).any(|pair| pair[1].start > pair[0].end)
                        || raw.kind().is_gtid()
                            && self.has.clone().transaction(&raw, &format, &self.place(last))?;
                }
            }
        }
        self.rotate(&first.file, from, out);
        self.format(first, in_the_middle, out)?;
        self.end = self.end.max(from);
        for item in head.get(1..).unwrap_or_default() {
            self.take(item, out)?;
        }
        Ok(())
    }

    /// Sends one event, if the replica lacks it.
    pub(super) fn take(&mut self, item: &FeedItem, out: &mut impl Out) -> Result<(), DumpError> {
        self.end_file(out)?;
        if item.file != self.file {
            self.tell_position(out);
            self.rotate(&item.file, item.start, out);
        }
        let event = RawEvent::new(&item.bytes, item.start)?;
        match event.kind() {
            EventKind::FORMAT_DESCRIPTION => return self.format(item, false, out),
            EventKind::ROTATE => {
                self.skipping = false;
                self.held = Some(item.clone());
                return Ok(());
            }
            _ => {}
        }
        if item.start > self.end {
            // What is between was not saved. A replica counts its place by lengths of events, so
            // it has to be told where it is now.
            self.end = item.start;
            match &self.has {
                Has::MySql(_) => self.untold = true,
                Has::MariaDb(_) => self.reached = true,
                Has::Before => self.turn(item, out)?,
            }
        }
        if self.is_wanted(&event, item)? {
            self.tell_position(out);
            self.count(&event);
            out.event(&[&item.bytes]);
        } else {
            self.untold |= self.skipping;
        }
        self.note(&event)?;
        self.end = item.end;
        Ok(())
    }

    /// A heartbeat: the source is there, and the replica has everything up to here. `None` where
    /// the replica's form cannot say the place.
    pub(super) fn heartbeat(&mut self, out: &mut impl Out) {
        self.untold = false;
        let (maker, at) = (self.maker(), self.position());
        let event = match self.replica.heartbeat {
            HeartbeatForm::First => maker.heartbeat(&at),
            HeartbeatForm::Second => Some(maker.heartbeat_v2(&at)),
            HeartbeatForm::MariaDb => Some(maker.mariadb_heartbeat(&at)),
        };
        if let Some(event) = event {
            out.event(&[&event]);
        }
    }

    /// Tells the replica how far the events reach that were left out because it has them: by a
    /// heartbeat (MySQL) or by a list of GTIDs (MariaDB, where a domain's wait has ended).
    pub(super) fn tell_position(&mut self, out: &mut impl Out) {
        if self.replica.heartbeat != HeartbeatForm::MariaDb {
            if self.untold {
                self.heartbeat(out);
            }
        } else if std::mem::take(&mut self.reached) {
            self.untold = false;
            let list = self.maker().gtid_list(&self.position(), &self.last);
            out.event(&[&list]);
        }
    }

    /// Sends the event that ends the file, now that there is more, or nothing more will come.
    pub(super) fn end_file(&mut self, out: &mut impl Out) -> Result<(), DumpError> {
        let Some(rotate) = self.held.take() else { return Ok(()) };
        let event = RawEvent::new(&rotate.bytes, rotate.start)?;
        self.tell_position(out);
        self.count(&event);
        out.event(&[&rotate.bytes]);
        self.end = rotate.end;
        Ok(())
    }

    /// Sends a replica by file and position to a later place in the same file. Receivers forget
    /// what events look like when they are told a file (`process_io_rotate`, MariaDB 11.8, MySQL
    /// 5.6), so the format description comes again.
    fn turn(&mut self, item: &FeedItem, out: &mut impl Out) -> Result<(), DumpError> {
        self.rotate(&item.file, item.start, out);
        if let Some(head) = self.head.clone() {
            self.format(&head, true, out)?;
        }
        self.end = item.start;
        Ok(())
    }

    fn is_wanted(&mut self, event: &RawEvent<'_>, item: &FeedItem) -> Result<bool, DumpError> {
        let Some(format) = &self.format else {
            let place = self.place(item);
            return Err(DumpError::Refused(format!("no format description stands before {place}")));
        };
        match event.kind() {
            kind if kind.is_gtid() => {
                let place = self.place(item);
                let waiting = self.waiting_domains();
                self.skipping = self.has.transaction(event, format, &place)?;
                self.reached |= waiting != self.waiting_domains();
            }
            EventKind::GTID_LIST
            | EventKind::STOP
            | EventKind::PREVIOUS_GTIDS
            | EventKind::BINLOG_CHECKPOINT => self.skipping = false,
            EventKind::START_ENCRYPTION => {
                let place = self.place(item);
                let text = format!("the saved events are encrypted from {place} on");
                return Err(DumpError::Refused(text));
            }
            EventKind::ANNOTATE_ROWS if !self.replica.annotate => return Ok(false),
            _ => {}
        }
        Ok(!self.skipping)
    }

    /// Sends a format description and reads it for what follows.
    fn format(
        &mut self,
        item: &FeedItem,
        in_the_middle: bool,
        out: &mut impl Out,
    ) -> Result<(), DumpError> {
        let format = self.read_format(item)?;
        if self.replica.checksum.is_none() && format.has_checksums() {
            // The words of both families for it.
            return Err(DumpError::Refused(
                "Slave can not handle replication events with the checksum that master is \
                 configured to log"
                    .to_owned(),
            ));
        }
        let event = sent_format(&item.bytes, in_the_middle, format.has_checksums());
        out.event(&[&event]);
        self.sent.events += 1;
        self.sent.bytes += event.len() as u64;
        self.format = Some(format);
        self.head = Some(item.clone());
        self.skipping = false;
        self.end = item.end;
        Ok(())
    }

    fn read_format(&self, item: &FeedItem) -> Result<FormatDescription, DumpError> {
        let event = RawEvent::new(&item.bytes, item.start)?;
        if event.kind() != EventKind::FORMAT_DESCRIPTION {
            let place = self.place(item);
            let text = format!("a format description belongs at {place}, not a {}", event.kind());
            return Err(DumpError::Refused(text));
        }
        Ok(FormatDescription::decode(&event)?)
    }

    fn rotate(&mut self, file: &Arc<str>, offset: u64, out: &mut impl Out) {
        let event = self.maker().rotate(&BinlogPosition::new(&**file, offset));
        out.event(&[&event]);
        self.file = Arc::clone(file);
        self.end = offset;
        self.skipping = false;
    }

    fn count(&mut self, event: &RawEvent<'_>) {
        let header: EventHeader = event.header();
        self.sent.events += 1;
        self.sent.bytes += event.bytes().len() as u64;
        self.sent.transactions += u64::from(header.kind.is_gtid());
        self.sent.own += u64::from(header.server_id == self.replica.server_id);
    }

    /// Keeps the last transaction of each server in each domain; within a domain the last one
    /// stands last, as in the lists that servers write.
    fn note(&mut self, event: &RawEvent<'_>) -> Result<(), DumpError> {
        let Some(format) = &self.format else { return Ok(()) };
        let gtids = match event.kind() {
            EventKind::MARIADB_GTID => vec![MariaDbGtidEvent::decode(event, format)?.gtid],
            EventKind::GTID_LIST => GtidList::decode(event, format)?.gtids,
            _ => return Ok(()),
        };
        for gtid in gtids {
            self.last.retain(|old| (old.domain, old.server) != (gtid.domain, gtid.server));
            self.last.push(gtid);
        }
        Ok(())
    }

    fn waiting_domains(&self) -> usize {
        match &self.has {
            Has::MariaDb(domains) => domains.len(),
            _ => 0,
        }
    }

    /// Before the first format description, checksums are what the replica asked for; then what
    /// the file has (`Binlog_sender::init_checksum_alg`, MySQL 8.0).
    fn maker(&self) -> Maker {
        let checksum = match &self.format {
            Some(format) if format.has_checksums() => Checksum::Crc32,
            Some(_) => Checksum::Off,
            None => self.replica.checksum.unwrap_or(Checksum::Off),
        };
        Maker { server_id: self.server_id, checksum }
    }

    fn place(&self, item: &FeedItem) -> String {
        format!("{}:{}", item.file, item.start)
    }
}

#[cfg(test)]
mod tests;
