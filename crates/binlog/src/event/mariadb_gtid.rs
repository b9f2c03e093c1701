//! MariaDB's event before each transaction.

use primacy_types::MariaDbGtid;

use super::{FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// The flags of a MariaDB GTID event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MariaDbGtidFlags(pub u8);

impl MariaDbGtidFlags {
    /// One statement without BEGIN and COMMIT, as DDL.
    pub const STANDALONE: Self = Self(0x01);
    /// The number of its commit group follows.
    pub const GROUP_COMMIT: Self = Self(0x02);
    /// It can be rolled back.
    pub const TRANSACTIONAL: Self = Self(0x04);
    /// It may be applied in parallel.
    pub const ALLOW_PARALLEL: Self = Self(0x08);
    /// It waited for a lock.
    pub const WAITED: Self = Self(0x10);
    /// It is DDL.
    pub const DDL: Self = Self(0x20);
    /// It ends in XA PREPARE.
    pub const PREPARED_XA: Self = Self(0x40);
    /// It commits or rolls back a prepared XA transaction.
    pub const COMPLETED_XA: Self = Self(0x80);

    /// Whether all flags of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// MariaDB's event before each transaction: its name and what kind of group follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MariaDbGtidEvent<'a> {
    /// The transaction's name.
    pub gtid: MariaDbGtid,
    /// What kind of group it is.
    pub flags: MariaDbGtidFlags,
    /// Transactions with the same number were committed together.
    pub commit_id: Option<u64>,
    /// The XA transaction that is prepared or completed: format, global and branch part.
    pub xid: Option<(i32, &'a [u8], &'a [u8])>,
}

impl<'a> MariaDbGtidEvent<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let sequence = body.u64("the sequence number")?;
        let domain = body.u32("the domain")?;
        let flags = MariaDbGtidFlags(body.u8("the flags")?);
        let gtid = MariaDbGtid { domain, server: event.header().server_id, sequence };
        let commit_id = match flags.has(MariaDbGtidFlags::GROUP_COMMIT) {
            true => Some(body.u64("the commit group")?),
            false => None,
        };
        let xa = MariaDbGtidFlags::PREPARED_XA.0 | MariaDbGtidFlags::COMPLETED_XA.0;
        let mut xid = None;
        if flags.0 & xa != 0 {
            let form = body.u32("the XID's format")?.cast_signed();
            let global = usize::from(body.u8("the XID's first length")?);
            let branch = usize::from(body.u8("the XID's second length")?);
            let global = body.take(global, "the XID's global part")?;
            xid = Some((form, global, body.take(branch, "the XID's branch part")?));
        }
        Ok(Self { gtid, flags, commit_id, xid })
    }
}
