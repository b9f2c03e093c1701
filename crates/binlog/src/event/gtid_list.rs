//! MariaDB's event at the head of a binary log: the last transactions before this file.

use primacy_types::{MariaDbGtid, MariaDbGtidPos};

use super::{FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// The last transaction of each domain and server that is in earlier files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GtidList {
    /// In the order written: in each domain the last one committed stands last.
    pub gtids: Vec<MariaDbGtid>,
    /// The four bits beside the count; 0 in files.
    pub flags: u8,
}

impl GtidList {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'_>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let count = body.u32("the number of transactions")?;
        let flags = (count >> 28).to_le_bytes()[0];
        let mut gtids = Vec::new();
        for _ in 0..count & 0x0fff_ffff {
            let domain = body.u32("a domain")?;
            let server = body.u32("a server id")?;
            let sequence = body.u64("a sequence number")?;
            gtids.push(MariaDbGtid { domain, server, sequence });
        }
        Ok(Self { gtids, flags })
    }

    /// The last transaction of each domain.
    pub fn position(&self) -> MariaDbGtidPos {
        self.gtids.iter().copied().collect()
    }
}
