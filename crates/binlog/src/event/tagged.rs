//! MySQL's event 42 (8.3 and later): the GTID event in the server's field-by-field format.
//!
//! A message is: version of the format, length of the message, number of the last field that must
//! be understood, then pairs of field number and value. Numbers are packed: as many low one bits
//! in the first byte as further bytes follow, then a zero bit, then the value.

use uuid::Uuid;

use super::gtid::{GtidEvent, MySqlGtid, Tag};
use crate::BodyError;
use crate::cursor::Cursor;

/// A packed number.
fn unsigned(body: &mut Cursor<'_>, what: &'static str) -> Result<u64, BodyError> {
    let first = body.u8(what)?;
    let extra = first.trailing_ones();
    let high = body.number(usize::try_from(extra).unwrap_or(8).min(8), what)?;
    Ok(match extra {
        // All bits of the first byte are taken: the value is the eight bytes after it.
        8.. => high,
        _ => {
            let low_bits = 7 - extra;
            let low = u64::from(first >> (extra + 1).min(7)) & ((1 << low_bits) - 1);
            high << low_bits | low
        }
    })
}

/// A packed signed number: the lowest bit is the sign.
fn signed(body: &mut Cursor<'_>, what: &'static str) -> Result<i64, BodyError> {
    let packed = unsigned(body, what)?;
    let magnitude = (packed >> 1).cast_signed();
    Ok(if packed & 1 == 1 { !magnitude } else { magnitude })
}

pub(super) fn decode(mut body: Cursor<'_>) -> Result<GtidEvent, BodyError> {
    let mut event = GtidEvent::default();
    match unsigned(&mut body, "the version of the format")? {
        1 => {}
        other => return Err(body.wrong("version 1 of the tagged format", other.to_string())),
    }
    unsigned(&mut body, "the message's length")?;
    let must_know = unsigned(&mut body, "the last field that matters")?;
    let (mut uuid, mut tag, mut number) = (None, Tag::default(), None);
    while !body.is_done() {
        let field = unsigned(&mut body, "a field's number")?;
        match field {
            0 => event.flags = low_byte(unsigned(&mut body, "the flags")?),
            1 => {
                let mut bytes = [0; 16];
                for byte in &mut bytes {
                    *byte = low_byte(unsigned(&mut body, "the source's UUID")?);
                }
                uuid = Some(Uuid::from_bytes(bytes));
            }
            2 => number = u64::try_from(signed(&mut body, "the transaction's number")?).ok(),
            3 => {
                let length = unsigned(&mut body, "the tag's length")?;
                let text = body.take_long(length, "the tag")?;
                let Some(read) = Tag::new(text) else {
                    return Err(body.wrong("a tag", String::from_utf8_lossy(text).into_owned()));
                };
                tag = read;
            }
            4 => event.last_committed = Some(signed(&mut body, "last_committed")?),
            5 => event.sequence_number = Some(signed(&mut body, "sequence_number")?),
            6 => {
                let time = unsigned(&mut body, "the commit timestamp")?;
                event.immediate_commit_timestamp = Some(time);
            }
            7 => {
                let time = unsigned(&mut body, "the original commit timestamp")?;
                event.original_commit_timestamp = Some(time);
            }
            8 => {
                let length = unsigned(&mut body, "the transaction's length")?;
                event.transaction_length = Some(length);
            }
            9 => event.immediate_server_version = version(&mut body)?,
            10 => event.original_server_version = version(&mut body)?,
            11 => {
                let ticket = unsigned(&mut body, "the commit group's ticket")?;
                event.commit_group_ticket = Some(ticket);
            }
            // A field of a later version: its length is not known, so nothing after it is read.
            later if later > must_know => break,
            other => return Err(body.wrong("a known field", format!("field {other}"))),
        }
    }
    // A field that is the same as its "immediate" twin is left out.
    event.original_commit_timestamp =
        event.original_commit_timestamp.or(event.immediate_commit_timestamp);
    event.original_server_version =
        event.original_server_version.or(event.immediate_server_version);
    match (uuid, number) {
        (Some(uuid), Some(number)) if number > 0 => {
            event.gtid = Some(MySqlGtid { uuid, tag, number });
            Ok(event)
        }
        _ => Err(body.wrong("a GTID", "no UUID, or no transaction number".to_owned())),
    }
}

fn version(body: &mut Cursor<'_>) -> Result<Option<u32>, BodyError> {
    Ok(u32::try_from(unsigned(body, "a server's version")?).ok())
}

const fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EventKind;

    #[test]
    fn packed_numbers_of_each_size() {
        let number = |bytes: &[u8]| {
            let mut body = Cursor::new(EventKind::TAGGED_GTID, bytes, 19);
            let value = unsigned(&mut body, "it").unwrap();
            assert!(body.is_done());
            value
        };
        assert_eq!(number(&[0b0000_1010]), 5);
        assert_eq!(number(&[0b1111_1101, 0xff]), 0x3fff);
        assert_eq!(number(&[0b1000_0011, 1, 0]), 0b11_0000);
        assert_eq!(number(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0x80]), 0x8000_0000_0000_0001);
        assert_eq!(number(&[0x7f, 1, 0, 0, 0, 0, 0, 0]), 1);
    }
}
