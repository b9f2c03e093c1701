//! Whether a column of a table is what the events say it was: its type, and how its values are
//! laid out. What is not known here is left to the server, which refuses to convert.

use primacy_binlog::event::Column;

/// A column as `information_schema.columns` has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Defined {
    /// `DATA_TYPE`, in lower case.
    pub(super) data_type: String,
    /// `COLUMN_TYPE`
    pub(super) column_type: String,
    /// `CHARACTER_OCTET_LENGTH`
    pub(super) octets: Option<u64>,
    /// `NUMERIC_PRECISION`
    pub(super) precision: Option<u64>,
    /// `NUMERIC_SCALE`
    pub(super) scale: Option<u64>,
    /// `DATETIME_PRECISION`
    pub(super) fraction: Option<u64>,
}

/// Numbers of types (`enum_field_types`) in table maps, by `DATA_TYPE`.
const NUMBERS: &[(&str, &[u8])] = &[
    ("tinyint", &[1]),
    ("smallint", &[2]),
    ("mediumint", &[9]),
    ("int", &[3]),
    ("bigint", &[8]),
    ("float", &[4]),
    ("double", &[5]),
    ("decimal", &[246]),
    ("year", &[13]),
    ("date", &[10, 14]),
    ("time", &[19, 11]),
    ("datetime", &[18, 12]),
    ("timestamp", &[17, 7]),
    ("bit", &[16]),
    ("char", &[254]),
    ("binary", &[254]),
    ("varchar", &[15, 141]),
    ("varbinary", &[15, 141]),
    ("enum", &[254, 247]),
    ("set", &[254, 248]),
    ("json", &[245]),
    ("vector", &[242, 15]),
];

/// Types in blobs, by `DATA_TYPE`, and how many bytes their lengths have. `longtext` is MariaDB's
/// JSON too.
const BLOBS: &[(&str, u16)] = &[
    ("tinytext", 1),
    ("tinyblob", 1),
    ("text", 2),
    ("blob", 2),
    ("mediumtext", 3),
    ("mediumblob", 3),
    ("longtext", 4),
    ("longblob", 4),
];

/// Whether values of a column of an event fit exactly into this one.
pub(super) fn fits(column: Column, defined: &Defined) -> bool {
    let Column { kind, metadata } = column;
    let [high, low] = metadata.to_be_bytes();
    if let Some((_, bytes)) = BLOBS.iter().find(|(name, _)| *name == defined.data_type) {
        // Its length in the table map is that of the lengths, whatever the blob is called.
        return matches!(kind, 252 | 140) && metadata == *bytes;
    }
    let Some((_, kinds)) = NUMBERS.iter().find(|(name, _)| *name == defined.data_type) else {
        return true;
    };
    let is = |value: Option<u64>, wanted: u64| value.is_none_or(|value| value == wanted);
    kinds.contains(&kind)
        && match kind {
            246 => is(defined.precision, u64::from(high)) && is(defined.scale, u64::from(low)),
            // Without a word about their fraction: older forms, which have none that is known.
            7 | 11 | 12 => is(defined.fraction, 0),
            17..=19 => is(defined.fraction, u64::from(low)),
            15 => is(defined.octets, u64::from(metadata)),
            // Full bytes, and the bits beyond.
            16 => is(defined.precision, u64::from(high) * 8 + u64::from(low)),
            254 => string(high, low, defined),
            _ => true,
        }
}

/// CHAR, BINARY, ENUM and SET share a type: see the decoder of row images.
fn string(high: u8, low: u8, defined: &Defined) -> bool {
    match high {
        247 => defined.data_type == "enum" && u64::from(low) == enum_bytes(&defined.column_type),
        248 => defined.data_type == "set" && u64::from(low) == set_bytes(&defined.column_type),
        _ => {
            let length = u64::from(low) | u64::from((high & 0x30) ^ 0x30) << 4;
            matches!(&*defined.data_type, "char" | "binary")
                && defined.octets.is_none_or(|octets| octets == length)
        }
    }
}

fn enum_bytes(column_type: &str) -> u64 {
    if members(column_type) < 256 { 1 } else { 2 }
}

fn set_bytes(column_type: &str) -> u64 {
    match members(column_type).div_ceil(8) {
        bytes @ 0..=4 => bytes.max(1),
        _ => 8,
    }
}

/// How many values `enum('a','b''c')` lists.
fn members(column_type: &str) -> u64 {
    let (mut members, mut inside) = (0, false);
    let mut letters = column_type.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '\'' {
            continue;
        }
        if inside && letters.peek() == Some(&'\'') {
            letters.next();
            continue;
        }
        inside = !inside;
        members += u64::from(inside);
    }
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(column_type: &str) -> Defined {
        let data_type = column_type.split('(').next().unwrap().to_owned();
        Defined { data_type, column_type: column_type.to_owned(), ..Defined::default() }
    }

    #[test]
    fn members_of_enums_and_sets() {
        assert_eq!(members("enum('a','b''c','d,e')"), 3);
        assert_eq!(members("set('')"), 1);
        assert_eq!(set_bytes("set('a','b','c','d','e','f','g','h','i')"), 2);
    }

    #[test]
    fn other_sizes_do_not_fit() {
        let column = |kind, metadata| Column { kind, metadata };
        let decimal = Defined { precision: Some(10), scale: Some(2), ..defined("decimal(10,2)") };
        assert!(fits(column(246, 10 << 8 | 2), &decimal));
        assert!(!fits(column(246, 10 << 8 | 3), &decimal));
        let varchar = Defined { octets: Some(80), ..defined("varchar(20)") };
        assert!(fits(column(15, 80), &varchar) && !fits(column(15, 120), &varchar));
        assert!(!fits(column(3, 0), &varchar) && fits(column(3, 0), &defined("int")));
        assert!(!fits(column(3, 0), &defined("bigint(20)")));
        assert!(fits(column(252, 2), &defined("text")));
        assert!(!fits(column(252, 3), &defined("text")));
        let datetime = Defined { fraction: Some(3), ..defined("datetime(3)") };
        assert!(fits(column(18, 3), &datetime) && !fits(column(12, 0), &datetime));
        assert!(fits(column(254, 247 << 8 | 1), &defined("enum('a')")));
        assert!(!fits(column(254, 247 << 8 | 2), &defined("enum('a')")));
        assert!(fits(column(99, 7), &defined("inet6")));
    }
}
