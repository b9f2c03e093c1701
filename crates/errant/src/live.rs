//! A live server's binary logs, event by event over the replication protocol.

use std::time::Duration;

use bytes::Bytes;
use primacy_binlog::event::{EventKind, GtidList};
use primacy_binlog::{FormatDescription, RawEvent};
use primacy_probe::Dialect;
use primacy_replication::{
    ReceiveError, Received, ReceivedEvent, Receiver, ReceiverOptions, StartAt,
};
use primacy_types::BinlogPosition;
use primacy_wire::{ConnectOptions, Session};
use uuid::Uuid;

use crate::{ErrantError, LIMIT};

/// How often the server says that it has nothing more.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// A server that passes over many transactions before the first that is wanted says nothing.
const SILENCE: Duration = Duration::from_secs(60);

/// What came.
#[derive(Debug)]
pub enum Came {
    /// An event that stands in a file.
    Event(ReceivedEvent),
    /// Everything there is has come, for now.
    UpToDate,
}

/// A stream of events.
#[derive(Debug)]
pub struct Live {
    receiver: Receiver,
    /// The end of the binary log when it was asked; `None` if it was not told.
    end: Option<BinlogPosition>,
    format: Option<FormatDescription>,
    /// The event that says it.
    head: Bytes,
    /// What the last heartbeat said, if nothing came since.
    beat: Option<BinlogPosition>,
}

impl Live {
    /// Connects, and asks for events from `start` on.
    pub async fn connect(
        login: &ConnectOptions,
        server_id: Option<u32>,
        start: &StartAt,
    ) -> Result<Self, ErrantError> {
        let end = end_of_log(login).await?;
        let receiver = open(login, server_id, start).await?;
        Ok(Self { receiver, end, format: None, head: Bytes::new(), beat: None })
    }

    /// The format of the events that come.
    pub fn format(&self) -> Option<&FormatDescription> {
        self.format.as_ref()
    }

    /// The format description that they came with.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The next event, or that the end that the log had at the beginning is reached. Without
    /// the end, it is where the server stands still: MySQL also sends a heartbeat where it passed
    /// over transactions.
    pub async fn next(&mut self, follow: bool) -> Result<Came, ReceiveError> {
        loop {
            let position = self.receiver.position();
            if !follow && self.end.as_ref().is_some_and(|end| position >= *end) {
                return Ok(Came::UpToDate);
            }
            match self.receiver.next().await? {
                Received::Event(event) => {
                    self.beat = None;
                    if event.bytes.get(4) == Some(&EventKind::FORMAT_DESCRIPTION.0) {
                        self.learn(&event.bytes);
                    }
                    return Ok(Came::Event(event));
                }
                Received::Format(bytes) => self.learn(&bytes),
                Received::Heartbeat(at) => {
                    let still = self.beat.as_ref() == Some(&at);
                    let reached = self.end.as_ref().map_or(still, |end| at >= *end);
                    self.beat = Some(at);
                    if reached {
                        return Ok(Came::UpToDate);
                    }
                }
                Received::File(_) | Received::MadeUp(_) => {}
            }
        }
    }

    fn learn(&mut self, bytes: &Bytes) {
        if let Some(format) = format_of(bytes) {
            self.format = Some(format);
            self.head = bytes.clone();
        }
    }
}

fn format_of(bytes: &[u8]) -> Option<FormatDescription> {
    FormatDescription::decode(&RawEvent::new(bytes, 0).ok()?).ok()
}

async fn open(
    login: &ConnectOptions,
    server_id: Option<u32>,
    start: &StartAt,
) -> Result<Receiver, ErrantError> {
    let uuid = Uuid::new_v4();
    // Above what people give their servers.
    let random = 3_900_000_000 + uuid.as_fields().0 % 300_000_000;
    let options = ReceiverOptions {
        connect: login.clone(),
        server_id: server_id.unwrap_or(random),
        uuid,
        report_host: "primacy-binlog".to_owned(),
        report_port: 0,
        heartbeat: HEARTBEAT,
        silence: SILENCE,
        semi_sync: false,
        limit: LIMIT,
    };
    Ok(Receiver::connect(&options, start).await?)
}

/// The format description at the head of a file of the server.
pub async fn head_of(
    login: &ConnectOptions,
    server_id: Option<u32>,
    file: &str,
) -> Result<Vec<u8>, ErrantError> {
    let start = StartAt::Position(BinlogPosition::new(file, 4));
    let mut receiver = open(login, server_id, &start).await?;
    loop {
        if let Received::Event(event) = receiver.next().await? {
            return Ok(event.bytes.to_vec());
        }
    }
}

/// The list of earlier GTIDs at the head of a MariaDB server's file, if it has one.
pub async fn list_of(login: &ConnectOptions, file: &str) -> Result<Option<GtidList>, ErrantError> {
    let start = StartAt::Position(BinlogPosition::new(file, 4));
    let mut receiver = open(login, None, &start).await?;
    let mut format = None;
    loop {
        match receiver.next().await? {
            Received::Format(bytes) => format = format_of(&bytes),
            Received::Event(event) => {
                let raw = RawEvent::new(&event.bytes, event.start)?;
                match (raw.kind(), &format) {
                    (EventKind::FORMAT_DESCRIPTION, _) => format = format_of(&event.bytes),
                    (EventKind::GTID_LIST, Some(format)) => {
                        return Ok(GtidList::decode(&raw, format).ok());
                    }
                    _ => return Ok(None),
                }
            }
            Received::Heartbeat(_) => return Ok(None),
            Received::File(_) | Received::MadeUp(_) => {}
        }
    }
}

/// The end of the server's log; `None` if the account may not ask.
async fn end_of_log(login: &ConnectOptions) -> Result<Option<BinlogPosition>, ErrantError> {
    let mut session = Session::connect(login).await?;
    let sql = Dialect::of(session.version()).binlog_status();
    let rows = session.query(sql, LIMIT).await.ok();
    session.close().await;
    let row = rows.as_ref().and_then(|rows| rows.first());
    Ok(row.and_then(|row| Some(BinlogPosition::new(row.at(0)?, row.at(1)?.parse().ok()?))))
}
