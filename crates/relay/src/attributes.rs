//! Where the text of a statement begins: behind its attributes, where the client may send any.
//!
//! Sources: "COM_QUERY" and "Binary Protocol Value" in MySQL's source documentation.

use primacy_protocol::capability::QUERY_ATTRIBUTES;
use primacy_protocol::packet::{Malformed, Reader};

use crate::walker::Agreed;

/// The most attributes that are skipped (a statement can have 65,535 parameters).
const MOST: u64 = u16::MAX as u64;

/// The text of a `COM_QUERY`, of which `argument` is what follows the code: all of it, or of a long
/// one the beginning.
///
/// # Errors
/// The attributes are malformed, or longer than what is there.
pub fn statement_text(argument: &[u8], agreed: Agreed) -> Result<&[u8], Malformed> {
    if !agreed.has(QUERY_ATTRIBUTES) {
        return Ok(argument);
    }
    let mut reader = Reader::new(argument);
    let count = reader.lenenc_int()?;
    reader.lenenc_int()?; // Sets of parameters; always 1.
    if count == 0 {
        return Ok(reader.rest());
    }
    if count > MOST {
        return Err(Malformed(format!("a statement with {count} attributes was announced")));
    }
    let count = count as usize;
    let nulls = reader.bytes(count.div_ceil(8))?;
    let bound = reader.u8()?;
    if bound != 1 {
        return Err(Malformed("the attributes of a statement have no types".to_owned()));
    }
    let mut types = Vec::with_capacity(count.min(reader.len() / 3));
    for _ in 0..count {
        types.push(reader.u16()? as u8);
        reader.lenenc_bytes()?;
    }
    for (index, kind) in types.into_iter().enumerate() {
        if nulls[index / 8] >> (index % 8) & 1 == 0 {
            skip(&mut reader, kind)?;
        }
    }
    Ok(reader.rest())
}

/// How long a value is.
enum Length {
    Bytes(usize),
    /// A byte tells it.
    Short,
    /// A length-encoded integer tells it.
    Encoded,
}

/// Types of values (`enum_field_types`); all others have an encoded length.
const LENGTHS: [(u8, Length); 13] = [
    (0x01, Length::Bytes(1)), // TINY
    (0x02, Length::Bytes(2)), // SHORT
    (0x03, Length::Bytes(4)), // LONG
    (0x04, Length::Bytes(4)), // FLOAT
    (0x05, Length::Bytes(8)), // DOUBLE
    (0x06, Length::Bytes(0)), // NULL
    (0x07, Length::Short),    // TIMESTAMP
    (0x08, Length::Bytes(8)), // LONGLONG
    (0x09, Length::Bytes(4)), // INT24
    (0x0A, Length::Short),    // DATE
    (0x0B, Length::Short),    // TIME
    (0x0C, Length::Short),    // DATETIME
    (0x0D, Length::Bytes(2)), // YEAR
];

fn skip(reader: &mut Reader<'_>, kind: u8) -> Result<(), Malformed> {
    let length = LENGTHS.iter().find(|(known, _)| *known == kind).map(|(_, length)| length);
    match length.unwrap_or(&Length::Encoded) {
        Length::Bytes(count) => reader.bytes(*count)?,
        Length::Short => {
            let count = usize::from(reader.u8()?);
            reader.bytes(count)?
        }
        Length::Encoded => reader.lenenc_bytes()?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AGREED: u32 = QUERY_ATTRIBUTES;

    #[test]
    fn the_text_stands_behind_the_attributes() {
        let agreed = Agreed::new(AGREED.into());
        assert_eq!(statement_text(b"\x00\x01SELECT 1", agreed).unwrap(), b"SELECT 1");
        // A number, NULL, a text, a time.
        let argument = b"\x04\x01\x02\x01\x03\0\x01a\xfd\0\x01b\xfd\0\x01c\x0b\0\x01d\
            \x07\0\0\0\x02hi\x00SELECT 2";
        assert_eq!(statement_text(argument, agreed).unwrap(), b"SELECT 2");
        assert_eq!(statement_text(argument, Agreed::default()).unwrap(), argument);
        assert!(statement_text(&argument[..12], agreed).is_err());
        assert!(statement_text(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", agreed).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = statement_text(&bytes, Agreed::new(AGREED.into()));
        }
    }
}
