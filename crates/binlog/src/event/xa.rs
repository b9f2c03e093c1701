//! The ends of transactions that a storage engine commits: XID and XA PREPARE.

use super::{FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// The transaction is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xid {
    /// Number under which the storage engines know it.
    pub xid: u64,
}

impl Xid {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'_>, format: &FormatDescription) -> Result<Self, BodyError> {
        Ok(Self { xid: body_of(event, format).u64("the XID")? })
    }
}

/// The XA transaction is prepared: it waits for its XA COMMIT or XA ROLLBACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XaPrepare<'a> {
    /// `XA COMMIT ... ONE PHASE`: it is committed at once.
    pub one_phase: bool,
    /// The XID's format.
    pub format_id: i32,
    /// Its global part.
    pub global: &'a [u8],
    /// Its branch part.
    pub branch: &'a [u8],
}

impl<'a> XaPrepare<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let one_phase = body.u8("whether it has one phase")? != 0;
        let format_id = body.u32("the XID's format")?.cast_signed();
        let global = u64::from(body.u32("the length of the XID's global part")?);
        let branch = u64::from(body.u32("the length of the XID's branch part")?);
        let global = body.take_long(global, "the XID's global part")?;
        let branch = body.take_long(branch, "the XID's branch part")?;
        Ok(Self { one_phase, format_id, global, branch })
    }
}
