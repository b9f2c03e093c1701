//! A replica of a real primary that applies nothing: it receives events, byte for byte, for
//! whoever writes them down.

mod follow;
mod greet;

use std::time::Duration;

use primacy_types::{Address, BinlogPosition, ServerVersion};
use primacy_wire::{ConnectOptions, RawPacket, RawPackets, Session, WireError};
use tokio::time::Instant;
use uuid::Uuid;

use crate::source::StartAt;
use follow::Follow;

pub use follow::{Received, ReceivedEvent};

/// First byte of a semi-sync acknowledgement, and of the header that asks for one.
const SEMI_SYNC: u8 = 0xEF;

/// As what a receiver registers, and how.
#[derive(Clone, Debug)]
pub struct ReceiverOptions {
    /// Where the primary is, and who logs in.
    pub connect: ConnectOptions,
    /// A server id that no server of the cluster has.
    pub server_id: u32,
    /// A UUID that no server of the cluster has. A primary ends an earlier connection of the same.
    pub uuid: Uuid,
    /// The host to be shown in the primary's list of replicas.
    pub report_host: String,
    /// The port to be shown there.
    pub report_port: u16,
    /// How often the primary shall say that it is there when it has nothing else to say.
    pub heartbeat: Duration,
    /// After so long without a word the primary counts as gone; several heartbeats.
    pub silence: Duration,
    /// Whether to acknowledge what was made durable, where the primary has semi-sync.
    pub semi_sync: bool,
    /// Limit of each question before events come, and of each acknowledgement.
    pub limit: Duration,
}

/// Why a receiver has no (more) events.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The connection, or what the primary answered.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The primary has said nothing for too long, not even a heartbeat.
    #[error("{address} has said nothing for {silence:?}, not even a heartbeat")]
    Silent {
        /// The primary.
        address: Address,
        /// For how long.
        silence: Duration,
    },
    /// The primary has ended the stream.
    #[error("{address} has ended the stream of events")]
    Ended {
        /// The primary.
        address: Address,
    },
    /// It cannot be a source for this receiver.
    #[error("{address} cannot be received from: {reason}")]
    Unfit {
        /// The server.
        address: Address,
        /// Why.
        reason: String,
    },
    /// What came is no event, or not the one that was written.
    #[error("{address} sent something wrong after {after}: {reason}")]
    Damaged {
        /// The primary.
        address: Address,
        /// Up to where everything was right.
        after: BinlogPosition,
        /// What is wrong.
        reason: String,
    },
}

/// What a primary told of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// Its server id.
    pub server_id: u32,
    /// Its UUID (MySQL).
    pub server_uuid: Option<Uuid>,
    /// Flavour and version.
    pub version: ServerVersion,
    /// Whether it asks for acknowledgements from us.
    pub semi_sync: bool,
}

/// A connection on which events come.
#[derive(Debug)]
pub struct Receiver {
    packets: RawPackets,
    follow: Follow,
    facts: SourceFacts,
    limit: Duration,
    silence: Duration,
    heard: Instant,
}

impl Receiver {
    /// Connects, registers as a replica and asks for events from `start` on.
    pub async fn connect(options: &ReceiverOptions, start: &StartAt) -> Result<Self, ReceiveError> {
        let mut session = Session::connect(&options.connect).await?;
        let agreed = greet::agree(&mut session, options, start).await?;
        let mut packets = session.into_packets()?;
        greet::register(&mut packets, options).await?;
        let (code, argument) = greet::request(agreed.facts.version, options.server_id, start);
        packets.command(code, &argument, options.limit).await?;
        Ok(Self {
            packets,
            follow: Follow::new(agreed.facts.semi_sync, agreed.checksum),
            facts: agreed.facts,
            limit: options.limit,
            silence: options.silence,
            heard: Instant::now(),
        })
    }

    /// What the primary told of itself.
    pub fn facts(&self) -> &SourceFacts {
        &self.facts
    }

    /// Up to where everything was received.
    pub fn position(&self) -> BinlogPosition {
        self.follow.position()
    }

    /// The next event or word of the primary. Checksums are verified. Nothing is lost when the
    /// future is dropped.
    pub async fn next(&mut self) -> Result<Received, ReceiveError> {
        let left = (self.heard + self.silence).saturating_duration_since(Instant::now());
        let packet = match self.packets.read(left).await {
            Ok(RawPacket::Data(packet)) => packet,
            Ok(RawPacket::End) => {
                return Err(ReceiveError::Ended { address: self.packets.address().clone() });
            }
            Err(WireError::Timeout { address, .. }) => {
                return Err(ReceiveError::Silent { address, silence: self.silence });
            }
            Err(error) => return Err(error.into()),
        };
        self.heard = Instant::now();
        self.follow.take(packet).map_err(|reason| ReceiveError::Damaged {
            address: self.packets.address().clone(),
            after: self.follow.position(),
            reason,
        })
    }

    /// Tells the primary that everything up to the end of this event is durable. Without semi-sync
    /// nothing is sent.
    pub async fn acknowledge(&mut self, event: &ReceivedEvent) -> Result<(), ReceiveError> {
        if !self.facts.semi_sync {
            return Ok(());
        }
        let mut packet = vec![SEMI_SYNC];
        packet.extend_from_slice(&event.end.to_le_bytes());
        packet.extend_from_slice(event.file.as_bytes());
        Ok(self.packets.interject(&packet, self.limit).await?)
    }
}
