//! A client that is logged in: its commands, and the packets that answer them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::ServerError;
use crate::packet::{ErrPacket, OkPacket, column_packet, eof_packet, put_lenenc_int, row_packet};
use crate::stream::PacketStream;

/// The longest command that is taken; a replica's set of GTIDs may be some megabytes.
const COMMAND_LIMIT: usize = 16 * 1024 * 1024;
/// Status flag that every answer carries: autocommit is on.
const AUTOCOMMIT: u16 = 2;

/// One command of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its number, such as [`COM_QUERY`](crate::packet::COM_QUERY).
    pub code: u8,
    /// What follows the number.
    pub argument: Bytes,
}

/// A client that is logged in. Answers are queued and go out with [`flush`](Self::flush), or when
/// much has been queued.
pub struct Connection {
    stream: PacketStream,
    id: u32,
    peer: SocketAddr,
    tls: Option<String>,
    user: String,
    /// Whether a command is being waited for, and part of it may have been read.
    reading: bool,
}

impl Connection {
    pub(super) fn new(
        mut stream: PacketStream,
        id: u32,
        peer: SocketAddr,
        tls: Option<String>,
        user: String,
    ) -> Self {
        stream.set_limit(COMMAND_LIMIT);
        Self { stream, id, peer, tls, user, reading: false }
    }

    /// The number of the connection, as it was told in the greeting.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Where the client is.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The account that logged in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// TLS version, such as `TLSv1.3`; `None` without TLS.
    pub fn tls(&self) -> Option<&str> {
        self.tls.as_deref()
    }

    /// Waits for the next command, with sequence numbers from 0. Nothing is lost when the future
    /// is dropped: the next call goes on where it was.
    pub async fn command(&mut self, limit: Duration) -> Result<Command, ServerError> {
        let what = "waiting for its next command";
        let next = timeout(limit, self.next_command());
        next.await.unwrap_or(Err(ServerError::Timeout { what, limit }))
    }

    async fn next_command(&mut self) -> Result<Command, ServerError> {
        if !self.reading {
            self.stream.restart();
            self.reading = true;
        }
        let mut packet = self.stream.read().await?;
        self.reading = false;
        if packet.is_empty() {
            return Err(ServerError::Protocol { reason: "a command is empty".to_owned() });
        }
        let argument = packet.split_off(1);
        Ok(Command { code: packet[0], argument })
    }

    /// Waits for whatever the client sends while it is being sent to (its goodbye, or a semi-sync
    /// acknowledgement), without touching the sequence numbers of what we send. Nothing is lost
    /// when the future is dropped.
    pub async fn interjection(&mut self) -> Result<Bytes, ServerError> {
        Ok(self.stream.read_aside().await?)
    }

    /// Answers OK.
    pub async fn ok(&mut self, limit: Duration) -> Result<(), ServerError> {
        let ok = OkPacket { status: AUTOCOMMIT, ..OkPacket::default() };
        self.queue(&ok.to_bytes());
        self.flush(limit).await
    }

    /// Answers with an error.
    pub async fn err(&mut self, error: &ErrPacket, limit: Duration) -> Result<(), ServerError> {
        self.queue(&error.to_bytes());
        self.flush(limit).await
    }

    /// Sends an EOF packet: what was asked for is complete.
    pub async fn eof(&mut self, limit: Duration) -> Result<(), ServerError> {
        self.queue(&eof_packet(AUTOCOMMIT));
        self.flush(limit).await
    }

    /// Answers with a result set of text. Each row must have a cell for each column.
    pub async fn rows(
        &mut self,
        columns: &[&str],
        rows: &[Vec<Option<String>>],
        limit: Duration,
    ) -> Result<(), ServerError> {
        let mut head = Vec::new();
        put_lenenc_int(&mut head, columns.len() as u64);
        self.queue(&head);
        for column in columns {
            self.queue(&column_packet(column));
        }
        self.queue(&eof_packet(AUTOCOMMIT));
        for row in rows {
            let cells: Vec<_> = row.iter().map(|cell| cell.as_deref().map(str::as_bytes)).collect();
            self.queue(&row_packet(&cells));
        }
        self.eof(limit).await
    }

    /// Puts a packet behind those that wait to be sent.
    pub fn queue(&mut self, payload: &[u8]) {
        self.stream.queue(&[payload]);
    }

    /// The same for a packet whose parts lie in several places.
    pub fn queue_parts(&mut self, parts: &[&[u8]]) {
        self.stream.queue(parts);
    }

    /// How many bytes wait to be sent.
    pub fn queued(&self) -> usize {
        self.stream.queued()
    }

    /// Sends what waits. A client that does not take it within `limit` is given up.
    pub async fn flush(&mut self, limit: Duration) -> Result<(), ServerError> {
        let what = "sending to it";
        match timeout(limit, self.stream.flush()).await {
            Ok(sent) => Ok(sent?),
            Err(_) => Err(ServerError::Timeout { what, limit }),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
