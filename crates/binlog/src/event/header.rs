//! The nineteen bytes before every event.

use super::EventKind;

/// What precedes every event's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventHeader {
    /// Seconds since 1970 when the statement began; 0 in events that the server made up.
    pub timestamp: u32,
    /// What the event is.
    pub kind: EventKind,
    /// `server_id` of the server where it was first written.
    pub server_id: u32,
    /// Length of the whole event: this header, the body and the checksum.
    pub length: u32,
    /// Where the event ends in the file that it was first written to. Only the low 32 bits; 0 in
    /// events that stand in no file.
    pub end_position: u32,
    /// See [`EventFlags`].
    pub flags: EventFlags,
}

/// The flags of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventFlags(pub u16);

impl EventFlags {
    /// In a format description: the file is being written, or its server crashed.
    pub const BINLOG_IN_USE: Self = Self(0x1);
    /// The query uses things of its connection, as temporary tables.
    pub const THREAD_SPECIFIC: Self = Self(0x4);
    /// Made up by the server for its replica: it stands in no binary log.
    pub const ARTIFICIAL: Self = Self(0x20);
    /// Written by a replica to its own relay log, not received.
    pub const RELAY_LOG: Self = Self(0x40);
    /// A server that does not know the event may pass over it.
    pub const IGNORABLE: Self = Self(0x80);

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl EventHeader {
    /// Its size in bytes.
    pub const LENGTH: usize = 19;

    /// Reads the header at the start of `bytes`; `None` if there are fewer than nineteen.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::LENGTH] = bytes.first_chunk()?;
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Some(Self {
            timestamp: word(0),
            kind: EventKind(bytes[4]),
            server_id: word(5),
            length: word(9),
            end_position: word(13),
            flags: EventFlags(u16::from_le_bytes([bytes[17], bytes[18]])),
        })
    }

    /// Writes the header.
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0..4].copy_from_slice(&self.timestamp.to_le_bytes());
        bytes[4] = self.kind.0;
        bytes[5..9].copy_from_slice(&self.server_id.to_le_bytes());
        bytes[9..13].copy_from_slice(&self.length.to_le_bytes());
        bytes[13..17].copy_from_slice(&self.end_position.to_le_bytes());
        bytes[17..19].copy_from_slice(&self.flags.0.to_le_bytes());
        bytes
    }

    /// Whether the server made the event up for its replica.
    pub const fn is_artificial(&self) -> bool {
        self.flags.has(EventFlags::ARTIFICIAL)
    }
}
