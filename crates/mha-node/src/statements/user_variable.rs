//! A user variable that the next statement uses, with the type and the collation of its value.

use std::collections::BTreeMap;

use super::hex;

/// Character set and collation by number.
#[derive(Clone, Debug, Default)]
pub struct Collations {
    known: BTreeMap<u32, (String, String)>,
    any: bool,
}

/// Those that have the same number on every server.
const EVERYWHERE: [(u32, &str, &str); 10] = [
    (8, "latin1", "latin1_swedish_ci"),
    (11, "ascii", "ascii_general_ci"),
    (33, "utf8", "utf8_general_ci"),
    (45, "utf8mb4", "utf8mb4_general_ci"),
    (46, "utf8mb4", "utf8mb4_bin"),
    (47, "latin1", "latin1_bin"),
    (63, "binary", "binary"),
    (83, "utf8", "utf8_bin"),
    (192, "utf8", "utf8_unicode_ci"),
    (224, "utf8mb4", "utf8mb4_unicode_ci"),
];

impl Collations {
    /// For whom every number is one: to see whether everything else can be translated.
    pub(crate) fn any() -> Self {
        Self { any: true, ..Self::default() }
    }

    /// Adds what a server says of a number.
    pub fn insert(&mut self, number: u32, set: String, collation: String) {
        self.known.insert(number, (set, collation));
    }

    fn of(&self, number: u32) -> Option<(&str, &str)> {
        if let Some((set, collation)) = self.known.get(&number) {
            return Some((set, collation));
        }
        let known = EVERYWHERE.iter().find(|(known, ..)| *known == number);
        let known = known.map(|(_, set, collation)| (*set, *collation));
        known.or(self.any.then_some(("binary", "binary")))
    }
}

/// The statement for the body of the event, or why there is none.
pub(super) fn statement(body: &[u8], collations: &Collations) -> Result<Vec<u8>, String> {
    let cut = || "it is cut short".to_owned();
    let (length, rest) = word(body).ok_or_else(cut)?;
    let (name, rest) = split(rest, length).ok_or_else(cut)?;
    let mut sql = b"SET @`".to_vec();
    for byte in name {
        sql.push(*byte);
        if *byte == b'`' {
            sql.push(b'`');
        }
    }
    sql.extend_from_slice(b"` := ");
    let (null, rest) = rest.split_first().ok_or_else(cut)?;
    if *null != 0 {
        sql.extend_from_slice(b"NULL");
        return Ok(sql);
    }
    let (kind, rest) = rest.split_first().ok_or_else(cut)?;
    let (collation, rest) = word(rest).ok_or_else(cut)?;
    let (length, rest) = word(rest).ok_or_else(cut)?;
    let (value, rest) = split(rest, length).ok_or_else(cut)?;
    let unsigned = rest.first().is_some_and(|flags| flags & 1 != 0);
    let eight = || <[u8; 8]>::try_from(value).map_err(|_| cut());
    let text = match kind {
        0 => {
            let (set, name) = collations
                .of(collation)
                .ok_or_else(|| format!("the collation {collation} is not known here"))?;
            format!("_{set} X'{}' COLLATE {name}", hex(value))
        }
        1 => {
            let number = f64::from_le_bytes(eight()?);
            if !number.is_finite() {
                return Err("its number is none".to_owned());
            }
            format!("{number:e}")
        }
        2 if unsigned => u64::from_le_bytes(eight()?).to_string(),
        2 => i64::from_le_bytes(eight()?).to_string(),
        4 => decimal(value).ok_or_else(|| "its decimal number is none".to_owned())?,
        other => return Err(format!("its value is of type {other}")),
    };
    sql.extend_from_slice(text.as_bytes());
    Ok(sql)
}

fn word(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_le_bytes(*word), rest))
}

fn split(bytes: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(usize::try_from(length).ok()?)
}

/// A decimal number in the servers' form (`decimal2bin`): precision and scale, then groups of nine
/// digits in four bytes and the rest in fewer, high byte first; the first bit is that of the sign,
/// and a negative number has all bits turned round.
fn decimal(bytes: &[u8]) -> Option<String> {
    const BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
    let (&precision, rest) = bytes.split_first()?;
    let (&scale, digits) = rest.split_first()?;
    let (precision, scale) = (usize::from(precision), usize::from(scale));
    let whole = precision.checked_sub(scale)?;
    let mut digits = digits.to_vec();
    let negative = digits.first()? & 0x80 == 0;
    *digits.first_mut()? ^= 0x80;
    if negative {
        digits.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let mut left = digits.as_slice();
    let mut group = |count: usize| -> Option<String> {
        let (bytes, rest) = left.split_at_checked(*BYTES.get(count)?)?;
        left = rest;
        let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        (count > 0).then(|| format!("{number:0count$}")).or(Some(String::new()))
    };
    let mut text = group(whole % 9)?;
    for _ in 0..whole / 9 {
        text.push_str(&group(9)?);
    }
    let text = text.trim_start_matches('0');
    let mut text = if text.is_empty() { "0".to_owned() } else { text.to_owned() };
    if scale > 0 {
        text.push('.');
        for _ in 0..scale / 9 {
            text.push_str(&group(9)?);
        }
        text.push_str(&group(scale % 9)?);
    }
    Some(if negative { format!("-{text}") } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(kind: u8, collation: u32, value: &[u8], flags: u8) -> Vec<u8> {
        let length = u32::try_from(value.len()).unwrap();
        [
            &3_u32.to_le_bytes()[..],
            b"a`b",
            &[0, kind],
            &collation.to_le_bytes(),
            &length.to_le_bytes(),
            value,
            &[flags],
        ]
        .concat()
    }

    fn said(body: &[u8]) -> String {
        let sql = statement(body, &Collations::default());
        sql.map_or_else(|why| why, |sql| String::from_utf8(sql).unwrap())
    }

    #[test]
    fn values_of_every_type() {
        let begin = "SET @`a``b` := ";
        let text = body(0, 33, b"it's", 0);
        assert_eq!(said(&text), format!("{begin}_utf8 X'69742773' COLLATE utf8_general_ci"));
        let minus = body(2, 63, &(-5_i64).to_le_bytes(), 0);
        assert_eq!(said(&minus), format!("{begin}-5"));
        let large = body(2, 63, &u64::MAX.to_le_bytes(), 1);
        assert_eq!(said(&large), format!("{begin}18446744073709551615"));
        assert_eq!(said(&body(1, 63, &1.5_f64.to_le_bytes(), 0)), format!("{begin}1.5e0"));
        // 1234567890.1234 with 14 digits, 4 of them behind the point, and its negative.
        let plus = [14, 4, 0x81, 0x0D, 0xFB, 0x38, 0xD2, 0x04, 0xD2];
        assert_eq!(said(&body(4, 63, &plus, 0)), format!("{begin}1234567890.1234"));
        let minus: Vec<u8> =
            plus[..2].iter().copied().chain(plus[2..].iter().map(|b| !b)).collect();
        assert_eq!(said(&body(4, 63, &minus, 0)), format!("{begin}-1234567890.1234"));
        assert!(said(&body(0, 999, b"x", 0)).contains("collation 999"));
        for cut in 0..text.len() {
            drop(statement(&text[..cut], &Collations::default()));
        }
    }
}
