//! Values that a statement in statement format needs, before it.

use super::{FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// Which value is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntVarKind {
    /// `LAST_INSERT_ID()`.
    LastInsertId,
    /// The next `AUTO_INCREMENT` value.
    InsertId,
    /// Something else.
    Other(u8),
}

/// A number the next statement uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntVar {
    /// Which.
    pub kind: IntVarKind,
    /// The number.
    pub value: u64,
}

/// The seeds of `RAND()` in the next statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rand {
    /// The first seed.
    pub first: u64,
    /// The second.
    pub second: u64,
}

/// A user variable that the next statement uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserVar<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value in the server's encoding; `None` for NULL.
    pub value: Option<&'a [u8]>,
}

impl IntVar {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'_>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let kind = match body.u8("which value")? {
            1 => IntVarKind::LastInsertId,
            2 => IntVarKind::InsertId,
            other => IntVarKind::Other(other),
        };
        Ok(Self { kind, value: body.u64("the value")? })
    }
}

impl Rand {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'_>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        Ok(Self { first: body.u64("the first seed")?, second: body.u64("the second seed")? })
    }
}

impl<'a> UserVar<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let length = u64::from(body.u32("the length of the name")?);
        let name = body.take_long(length, "the name")?;
        if body.u8("whether it is NULL")? != 0 {
            return Ok(Self { name, value: None });
        }
        body.u8("the type")?;
        body.u32("the character set")?;
        let length = u64::from(body.u32("the length of the value")?);
        Ok(Self { name, value: Some(body.take_long(length, "the value")?) })
    }
}
