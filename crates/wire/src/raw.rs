//! A logged-in connection on which packets of any kind travel: for commands whose answer never
//! ends, as the request for a binary log.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use primacy_types::Address;
use tokio::time::timeout;

use crate::command::Link;
use crate::error::{Fault, WireError};
use crate::packet::{EOF, ERR, parse_err};

/// What the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawPacket {
    /// A packet that is neither an error nor an end; its first byte is the protocol's, not data.
    Data(Bytes),
    /// The server has nothing more to send.
    End,
}

/// See the module. Made of a [`Session`](crate::Session), which cannot be had back: the answer to
/// what is sent here may still be coming.
pub struct RawPackets {
    link: Box<Link>,
    address: Address,
}

impl RawPackets {
    pub(crate) fn new(link: Box<Link>, address: Address) -> Self {
        Self { link, address }
    }

    /// The server.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Sends a command. A call that does not finish leaves a connection that is of no use.
    pub async fn command(
        &mut self,
        code: u8,
        argument: &[u8],
        limit: Duration,
    ) -> Result<(), WireError> {
        let sent = timeout(limit, self.link.stream.command(code, argument)).await;
        self.settled(sent.unwrap_or(Err(Fault::Silent)), "sending a command", limit)
    }

    /// Sends a packet that is no command, in the middle of what the server is sending.
    pub async fn interject(&mut self, payload: &[u8], limit: Duration) -> Result<(), WireError> {
        self.link.stream.restart();
        let sent = timeout(limit, self.link.stream.write(payload)).await;
        self.settled(sent.unwrap_or(Err(Fault::Silent)), "sending a packet", limit)
    }

    /// The next packet; an error packet is an error. Sequence numbers are not looked at: a source
    /// that waits for acknowledgements begins anew with them when it pleases (MySQL 8.0 to 9.7,
    /// MariaDB 10.5 to 11.8). Nothing is lost when the future is dropped or `limit` is over: the
    /// next call goes on where it was.
    pub async fn read(&mut self, limit: Duration) -> Result<RawPacket, WireError> {
        let what = "waiting for what it sends";
        let read = timeout(limit, self.link.stream.read_aside()).await;
        let packet = self.settled(read.unwrap_or(Err(Fault::Silent)), what, limit)?;
        match packet.first() {
            Some(&ERR) => {
                let fault = parse_err(&packet).map_or_else(Fault::from, Fault::Answer);
                self.settled(Err(fault), what, limit)
            }
            Some(&EOF) if packet.len() < 9 => Ok(RawPacket::End),
            _ => Ok(RawPacket::Data(packet)),
        }
    }

    fn settled<T>(
        &self,
        outcome: Result<T, Fault>,
        what: &str,
        limit: Duration,
    ) -> Result<T, WireError> {
        outcome.map_err(|fault| crate::session::after_login(fault.at(&self.address, what, limit)))
    }
}

impl fmt::Debug for RawPackets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawPackets").field("address", &self.address).finish_non_exhaustive()
    }
}
