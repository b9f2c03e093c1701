//! Counts the rows of a rows event by walking over their values: the event does not say how many
//! there are. A type whose size is not known here makes the count unknown, never wrong.

use super::table_map::{Column, types};
use crate::cursor::Cursor;

/// How values of a column are laid out.
enum Size {
    /// Always so many bytes.
    Fixed(usize),
    /// A length in so many bytes, then the value.
    Prefixed(usize),
}

fn size_of(column: Column) -> Option<Size> {
    use Size::{Fixed, Prefixed};
    let [high, low] = column.metadata.to_be_bytes();
    Some(match column.kind {
        types::NULL => Fixed(0),
        types::TINY | types::YEAR => Fixed(1),
        types::SHORT => Fixed(2),
        types::INT24 | types::DATE | types::NEWDATE | types::TIME => Fixed(3),
        types::LONG | types::FLOAT | types::TIMESTAMP => Fixed(4),
        types::LONGLONG | types::DOUBLE | types::DATETIME => Fixed(8),
        types::TIMESTAMP2 => Fixed(4 + fraction(low)?),
        types::DATETIME2 => Fixed(5 + fraction(low)?),
        types::TIME2 => Fixed(3 + fraction(low)?),
        // Low byte: bits beyond full bytes; high byte: full bytes.
        types::BIT => Fixed(usize::from(high) + usize::from(low > 0)),
        types::NEWDECIMAL => Fixed(decimal(high, low)?),
        types::ENUM | types::SET => Fixed(usize::from(low)),
        types::STRING | types::VAR_STRING => return string(high, low),
        types::VARCHAR | types::VARCHAR_COMPRESSED => {
            Prefixed(if column.metadata < 256 { 1 } else { 2 })
        }
        types::TINY_BLOB
        | types::MEDIUM_BLOB
        | types::LONG_BLOB
        | types::BLOB
        | types::BLOB_COMPRESSED
        | types::JSON
        | types::VECTOR
        | types::GEOMETRY => match low {
            1..=4 => Prefixed(usize::from(low)),
            _ => return None,
        },
        _ => return None,
    })
}

/// Whether the size of a column's values is known.
pub(super) fn is_known(column: Column) -> bool {
    size_of(column).is_some()
}

/// Bytes of the fraction of a second with so many digits.
fn fraction(digits: u8) -> Option<usize> {
    (digits <= 6).then(|| usize::from(digits).div_ceil(2))
}

/// CHAR, BINARY, ENUM and SET share a type; the first byte says which. Its bits 4 and 5, flipped,
/// are the bits 8 and 9 of the length.
fn string(high: u8, low: u8) -> Option<Size> {
    let kind = high | 0x30;
    let length = usize::from(low) | usize::from((high & 0x30) ^ 0x30) << 4;
    match kind {
        types::ENUM | types::SET => Some(Size::Fixed(usize::from(low))),
        types::STRING | types::VAR_STRING => Some(Size::Prefixed(if length < 256 { 1 } else { 2 })),
        _ => None,
    }
}

/// Bytes of a decimal: four for each nine digits, fewer for what is left, on both sides.
fn decimal(precision: u8, scale: u8) -> Option<usize> {
    const LEFT: [usize; 9] = [0, 1, 1, 2, 2, 3, 3, 4, 4];
    let whole = usize::from(precision.checked_sub(scale)?);
    let scale = usize::from(scale);
    let bytes = |digits: usize| Some(digits / 9 * 4 + LEFT.get(digits % 9)?);
    Some(bytes(whole)? + bytes(scale)?)
}

/// Which columns stand in an image, by bits.
pub(super) fn bit(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0)
}

/// Passes over one image of a row.
pub(super) fn pass_image(rows: &mut Cursor<'_>, columns: &[Column], present: &[u8]) -> Option<()> {
    let count = (0..columns.len()).filter(|index| bit(present, *index)).count();
    let nulls = rows.take(count.div_ceil(8), "which columns are NULL").ok()?;
    let shown = columns.iter().enumerate().filter(|(index, _)| bit(present, *index));
    for (nth, (_, column)) in shown.enumerate() {
        if bit(nulls, nth) {
            continue;
        }
        match size_of(*column)? {
            Size::Fixed(size) => rows.take(size, "a value").ok()?,
            Size::Prefixed(size) => {
                let length = rows.number(size, "a value's length").ok()?;
                rows.take_long(length, "a value").ok()?
            }
        };
    }
    Some(())
}

/// Passes over what precedes the new image of a partial update: whether JSON values are given as
/// differences, and which.
pub(super) fn pass_partial_options(rows: &mut Cursor<'_>, columns: &[Column]) -> Option<()> {
    const PARTIAL_JSON: u64 = 1;
    if rows.packed("the options of values").ok()? & PARTIAL_JSON != 0 {
        let json = columns.iter().filter(|column| column.kind == types::JSON).count();
        rows.take(json.div_ceil(8), "which values are differences").ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_decimals() {
        let cases = [((10, 0), 5), ((10, 2), 5), ((65, 30), 30), ((9, 9), 4), ((1, 0), 1)];
        for ((precision, scale), bytes) in cases {
            assert_eq!(decimal(precision, scale), Some(bytes), "DECIMAL({precision},{scale})");
        }
        assert_eq!(decimal(2, 3), None);
    }

    #[test]
    fn long_chars_hide_two_bits_of_their_length_in_the_type() {
        // CHAR(200) CHARACTER SET utf8mb4: 800 bytes = 0x320.
        let metadata = u16::from_be_bytes([0xfe ^ 0x30, 0x20]);
        let column = Column { kind: types::STRING, metadata };
        assert!(matches!(size_of(column), Some(Size::Prefixed(2))));
        let column = Column { kind: types::STRING, metadata: u16::from_be_bytes([0xfe, 40]) };
        assert!(matches!(size_of(column), Some(Size::Prefixed(1))));
        let column = Column { kind: types::STRING, metadata: u16::from_be_bytes([0xf7, 1]) };
        assert!(matches!(size_of(column), Some(Size::Fixed(1))));
    }
}
