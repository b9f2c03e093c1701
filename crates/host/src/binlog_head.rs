//! The first bytes of a binary log tell whether the server closed it.

/// So many bytes are enough: the magic number and the header of the first event.
pub(crate) const LENGTH: usize = 4 + 19;

/// `LOG_EVENT_BINLOG_IN_USE_F`: set in the first event of a binary log while it is written,
/// cleared when the server closes it (MYSQL_BIN_LOG::close in the sources of both flavours).
const IN_USE: u16 = 0x1;
/// The format description event, the first of every binary log since 5.0.
const FORMAT_DESCRIPTION: u8 = 15;
const MAGIC: &[u8; 4] = b"\xfebin";

/// Whether a binary log that begins so was closed; `None` if none that can be read does.
pub(crate) fn was_closed(head: &[u8; LENGTH]) -> Option<bool> {
    let (magic, event) = head.split_at(4);
    // Header: timestamp 4, type 1, server id 4, size 4, next position 4, flags 2.
    if magic != MAGIC || event[4] != FORMAT_DESCRIPTION {
        return None;
    }
    Some(u16::from_le_bytes([event[17], event[18]]) & IN_USE == 0)
}

/// The last file that a binary log's index names.
pub(crate) fn last_of(index: &str) -> Option<&str> {
    index.lines().map(str::trim).rfind(|line| !line.is_empty())
}
