//! What kind of file it is, from its first bytes.

use crate::event::{EventHeader, EventKind, FormatDescription, RawEvent, StartEncryption};

/// The first bytes of a binary log.
pub(crate) const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];

/// The first bytes of one that MySQL encrypted.
const MYSQL_ENCRYPTED: [u8; 4] = [0xfd, b'b', b'i', b'n'];

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A binary log or relay log that can be read.
    Plain,
    /// Nothing in it yet: no byte, or only the first four.
    Empty,
    /// Encrypted by MySQL (`binlog_encryption`).
    EncryptedMySql,
    /// Encrypted by MariaDB (`encrypt_binlog`) from behind the format description on.
    EncryptedMariaDb {
        /// Which version of the key.
        key_version: u32,
    },
    /// Something else.
    NotABinlog,
}

impl FileKind {
    /// The kind of a file that begins so. A few hundred bytes are enough.
    pub fn of(head: &[u8]) -> Self {
        if head.starts_with(&MYSQL_ENCRYPTED) {
            return Self::EncryptedMySql;
        }
        let Some(events) = head.strip_prefix(&MAGIC) else {
            return if MAGIC.starts_with(head) { Self::Empty } else { Self::NotABinlog };
        };
        if events.is_empty() {
            return Self::Empty;
        }
        match key_version(events) {
            Some(key_version) => Self::EncryptedMariaDb { key_version },
            None => Self::Plain,
        }
    }
}

/// The version of the key, if the second event starts encryption.
fn key_version(events: &[u8]) -> Option<u32> {
    let (first, rest) = split_event(events)?;
    let format = FormatDescription::decode(&first).ok()?;
    let (second, _) = split_event(rest)?;
    if second.kind() != EventKind::START_ENCRYPTION {
        return None;
    }
    StartEncryption::decode(&second, &format).ok().map(|start| start.key_version)
}

fn split_event(bytes: &[u8]) -> Option<(RawEvent<'_>, &[u8])> {
    let length = usize::try_from(EventHeader::read(bytes)?.length).ok()?;
    let (event, rest) = bytes.split_at_checked(length)?;
    RawEvent::new(event, 0).ok().map(|event| (event, rest))
}

/// The first bytes of a file, for an error.
pub(super) fn first_bytes(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    if hex.is_empty() { "no byte".to_owned() } else { hex.join(" ") }
}
