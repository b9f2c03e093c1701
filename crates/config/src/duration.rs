//! Durations as people write them in the file: `500ms`, `3s`, `1m 30s`, `2h`.

use primacy_types::Millis;

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a duration (`500ms`, `1m 30s`): whole numbers with units, the larger unit first, each unit once.
pub fn parse(text: &str) -> Option<Millis> {
    let mut rest = text.trim();
    let mut units = UNITS.iter();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        // `find` goes on behind the unit before, so that units can only become smaller.
        let (_, factor) = units.find(|(name, _)| *name == unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(*factor)?)?;
        rest = tail.trim_start();
    }
    Some(Millis(total))
}

/// Writes a duration so that [`parse`] reads the same.
pub(crate) fn format(length: Millis) -> String {
    let mut rest = length.0;
    let mut parts = Vec::new();
    for (unit, factor) in UNITS {
        if rest >= factor {
            parts.push(format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("3s", 3000),
            ("1m 30s", 90_000),
            ("1m30s", 90_000),
            ("10 m", 600_000),
            ("1s 5ms", 1005),
            ("1d 2h", 93_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_could_be_misread_is_refused() {
        let huge = "99999999999999999999s";
        let product = "9999999999999999d";
        for text in ["", " ", "5", "s", "-1s", "1.5s", "30s 1m", "1s 1s", "1S", "1x", huge, product]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_the_same(n: u64) {
            prop_assert_eq!(parse(&format(Millis(n))), Some(Millis(n)));
        }
    }
}
