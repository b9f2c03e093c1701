//! One connection of a replica: its questions, then its request for events, then events until
//! somebody ends it.

use std::sync::Arc;
use std::time::Duration;

use primacy_types::MariaDbGtidPos;
use primacy_wire::packet::{
    COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID, COM_PING, COM_QUERY, COM_QUIT, COM_REGISTER_REPLICA,
    ErrPacket,
};
use primacy_wire::server::{Command, Connection, ServerError};
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::desk::{Question, Reply};
use super::dump::{Dump, DumpError, HeartbeatForm, Out, Replica};
use super::feed::{FeedItem, FeedStream, StartAt};
use super::questions::{self, Answer, Facts, Variables};
use super::request::{DumpRequest, parse_dump, parse_dump_gtid, parse_registration};
use crate::event::Checksum;

/// How many bytes are collected before they are sent.
const BATCH: usize = 256 * 1024;
/// How long a replica may be idle before it asks for events, as `wait_timeout` would allow.
const IDLE_LIMIT: Duration = Duration::from_secs(300);
/// `ER_MASTER_FATAL_ERROR_READING_BINLOG`: the replica shows the text and does not try again.
const FATAL: u16 = 1236;

/// Why a visit ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum VisitError {
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("it was refused: {0}")]
    Refused(String),
}

/// Answers one replica until it leaves.
pub(super) async fn receive(
    mut connection: Connection,
    shared: &Arc<Shared>,
    facts: &Facts,
) -> Result<(), VisitError> {
    let limit = shared.options.send_limit;
    let mut variables = Variables::default();
    loop {
        let Command { code, argument } = connection.command(IDLE_LIMIT).await?;
        let request = match code {
            COM_QUIT => return Ok(()),
            COM_PING => {
                connection.ok(limit).await?;
                continue;
            }
            COM_QUERY => {
                let statement = String::from_utf8_lossy(&argument);
                reply(&mut connection, &statement, &mut variables, (shared, facts), limit).await?;
                continue;
            }
            COM_REGISTER_REPLICA => {
                let registration = parse_registration(&argument).map_err(ServerError::from)?;
                shared.update(connection.id(), |replica| {
                    replica.server_id = registration.server_id;
                    replica.host = registration.host;
                    replica.port = registration.port;
                });
                connection.ok(limit).await?;
                continue;
            }
            COM_BINLOG_DUMP => parse_dump(&argument),
            COM_BINLOG_DUMP_GTID => parse_dump_gtid(&argument),
            other => {
                let text = format!("command {other:#04x} is not known here");
                connection.err(&ErrPacket::new(1047, "08S01", text), limit).await?;
                continue;
            }
        };
        let request = request.map_err(ServerError::from)?;
        return serve(connection, &request, &variables, shared, facts).await;
    }
}

async fn reply(
    connection: &mut Connection,
    statement: &str,
    variables: &mut Variables,
    (shared, facts): (&Shared, &Facts),
    limit: Duration,
) -> Result<(), ServerError> {
    if let Some(desk) = &shared.desk {
        let (user, id) = (connection.user().to_owned(), connection.id());
        let question = Question { user: &user, connection: id, statement };
        match desk.answer(question).await {
            Some(Reply::Ok) => return connection.ok(limit).await,
            Some(Reply::Err(error)) => return connection.err(&error, limit).await,
            Some(Reply::Rows(columns, rows)) => {
                let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
                return connection.rows(&columns, &rows, limit).await;
            }
            None => {}
        }
    }
    // Only now: what is said at the desk may hold a password.
    tracing::debug!(connection = connection.id(), statement, "a replica asks");
    match questions::answer(statement, facts, variables) {
        Answer::Ok => connection.ok(limit).await,
        Answer::Row(columns, row) => {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            connection.rows(&columns, row.as_slice(), limit).await
        }
        Answer::Kill(id) if shared.end(id) => connection.ok(limit).await,
        Answer::Kill(id) => {
            let text = format!("Unknown thread id: {id}");
            connection.err(&ErrPacket::new(1094, "HY000", text), limit).await
        }
        Answer::Err(error) => connection.err(&error, limit).await,
    }
}

/// Serves events; a replica that cannot be served is told why.
async fn serve(
    mut connection: Connection,
    request: &DumpRequest,
    variables: &Variables,
    shared: &Arc<Shared>,
    facts: &Facts,
) -> Result<(), VisitError> {
    let id = connection.id();
    let replica = match understand(request, variables, facts.mariadb) {
        Ok(replica) => replica,
        Err(error) => return refuse(&mut connection, &error, shared).await,
    };
    // A replica that comes again has lost its earlier connection, even if we have not noticed.
    shared.end_others(id, replica.server_id);
    shared.update(id, |report| {
        report.server_id = replica.server_id;
        report.asked = Some(replica.start.to_string());
    });
    tracing::info!(
        connection = id, replica = replica.server_id, start = %replica.start, "serving a replica"
    );
    let heartbeat = variables
        .first_of(&["source_heartbeat_period", "master_heartbeat_period"])
        .and_then(|period| period.parse().ok())
        .filter(|period| *period > 0)
        .map(Duration::from_nanos);
    let end_at_last = request.flags.non_block();
    let mut pump = Pump { connection, shared, id, heartbeat };
    match pump.run(replica, end_at_last).await {
        Err(PumpError::Dump(error)) => refuse(&mut pump.connection, &error, shared).await,
        Err(PumpError::Server(error)) => Err(error.into()),
        Ok(()) => Ok(()),
    }
}

async fn refuse(
    connection: &mut Connection,
    error: &DumpError,
    shared: &Shared,
) -> Result<(), VisitError> {
    let text = error.to_string();
    let packet = ErrPacket::new(FATAL, "HY000", text.clone());
    connection.err(&packet, shared.options.send_limit).await?;
    Err(VisitError::Refused(text))
}

/// What the replica wants, from its request and from what it set before.
pub(super) fn understand(
    request: &DumpRequest,
    variables: &Variables,
    mariadb: bool,
) -> Result<Replica, DumpError> {
    let refused = |text: String| DumpError::Refused(text);
    let checksum = variables.first_of(&["source_binlog_checksum", "master_binlog_checksum"]);
    let checksum = checksum.map(|name| match name.to_ascii_uppercase().as_str() {
        "CRC32" | "1" => Checksum::Crc32,
        _ => Checksum::Off,
    });
    let state = variables.first_of(&["slave_connect_state"]).filter(|_| mariadb);
    if mariadb {
        let capability = variables.first_of(&["mariadb_slave_capability"]);
        if capability.and_then(|number| number.parse::<u32>().ok()).unwrap_or(0) < 4 {
            let text = "the events are MariaDB's with GTIDs, which the replica does not understand";
            return Err(refused(text.to_owned()));
        }
    }
    let start = match (state, &request.has) {
        (Some(state), _) => {
            let pos: MariaDbGtidPos =
                state.parse().map_err(|error| refused(format!("@slave_connect_state: {error}")))?;
            StartAt::MariaDbGtids(pos)
        }
        (None, Some(_)) if mariadb => {
            let text = "MySQL's auto-position was asked for, and the events are MariaDB's";
            return Err(refused(text.to_owned()));
        }
        (None, Some(has)) => StartAt::MySqlGtids(has.clone()),
        (None, None) if request.place.file.is_empty() => StartAt::Beginning,
        (None, None) if request.place.offset < 4 => {
            // The words of both families.
            let text = "Client requested master to start replication from position < 4";
            return Err(refused(text.to_owned()));
        }
        (None, None) => StartAt::Position(request.place.clone()),
    };
    let heartbeat = match mariadb {
        true => HeartbeatForm::MariaDb,
        false if request.flags.heartbeat_v2() => HeartbeatForm::Second,
        false => HeartbeatForm::First,
    };
    let annotate = !mariadb || request.flags.annotate();
    Ok(Replica { server_id: request.server_id, checksum, annotate, heartbeat, start })
}

enum PumpError {
    Dump(DumpError),
    Server(ServerError),
}

impl<E: Into<DumpError>> From<E> for PumpError {
    fn from(error: E) -> Self {
        Self::Dump(error.into())
    }
}

/// Moves events from the feed to the replica.
struct Pump<'a> {
    connection: Connection,
    shared: &'a Arc<Shared>,
    id: u32,
    heartbeat: Option<Duration>,
}

impl Out for Connection {
    /// A packet of an event begins with the byte of an OK packet.
    fn event(&mut self, parts: &[&[u8]]) {
        match parts {
            [whole] => self.queue_parts(&[&[0], whole]),
            parts => {
                let all: Vec<&[u8]> =
                    std::iter::once(&[0_u8][..]).chain(parts.iter().copied()).collect();
                self.queue_parts(&all);
            }
        }
    }
}

impl Pump<'_> {
    async fn run(&mut self, replica: Replica, end_at_last: bool) -> Result<(), PumpError> {
        let mut feed = self.shared.feed.open(&replica.start).await?;
        let mut dump = Dump::new(replica, self.shared.options.server_id);
        let head = head(feed.as_mut()).await?;
        dump.begin(&head, &mut self.connection)?;
        drop(head);
        let mut last_sent = Instant::now();
        loop {
            loop {
                let due = self.heartbeat.map(|period| last_sent + period);
                let item = tokio::select! {
                    biased;
                    item = feed.next() => item?,
                    () = at(due) => {
                        // What it has is passed over for long: it must not think us dead.
                        dump.heartbeat(&mut self.connection);
                        self.flush(&dump, false).await?;
                        last_sent = Instant::now();
                        continue;
                    }
                };
                let Some(item) = item else { break };
                dump.take(&item, &mut self.connection)?;
                if self.connection.queued() >= BATCH {
                    self.flush(&dump, false).await?;
                    last_sent = Instant::now();
                }
            }
            dump.tell_position(&mut self.connection);
            if self.connection.queued() > 0 {
                last_sent = Instant::now();
            }
            // Also with nothing to send: that it has everything is to be reported.
            self.flush(&dump, true).await?;
            if end_at_last {
                dump.end_file(&mut self.connection)?;
                let limit = self.shared.options.send_limit;
                return self.connection.eof(limit).await.map_err(PumpError::Server);
            }
            let due = self.heartbeat.map(|period| last_sent + period);
            tokio::select! {
                () = feed.more() => {}
                said = self.connection.interjection() => {
                    let said = said.map_err(PumpError::Server)?;
                    if said.first() == Some(&COM_QUIT) {
                        return Ok(());
                    }
                }
                () = at(due) => {
                    dump.heartbeat(&mut self.connection);
                    self.flush(&dump, true).await?;
                    last_sent = Instant::now();
                }
            }
        }
    }

    async fn flush(&mut self, dump: &Dump, up_to_date: bool) -> Result<(), PumpError> {
        let limit = self.shared.options.send_limit;
        self.connection.flush(limit).await.map_err(PumpError::Server)?;
        let (position, sent) = (dump.position(), dump.sent());
        self.shared.update(self.id, |report| {
            report.position = Some(position);
            report.up_to_date = up_to_date;
            report.events = sent.events;
            report.transactions = sent.transactions;
            report.bytes = sent.bytes;
            report.own_events = sent.own;
        });
        Ok(())
    }
}

/// The format description, and what follows it up to the first GTID event: enough to see whether
/// the replica begins in the middle.
async fn head(feed: &mut dyn FeedStream) -> Result<Vec<FeedItem>, DumpError> {
    let mut head = Vec::new();
    while let Some(item) = feed.next().await? {
        let kind = item.bytes.get(4).copied().unwrap_or_default();
        head.push(item);
        let kind = primacy_binlog::EventKind(kind);
        if kind.is_gtid() || head.len() >= 16 {
            break;
        }
    }
    Ok(head)
}

/// Waits for a moment; for ever, if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
