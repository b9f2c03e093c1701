//! Numbers, where the servers' lexers end them: `1e5for` is a number and a word, `1for` is a word.

/// The end of the number that begins at `at` with a digit; `None` if it is a word.
pub(super) fn end(text: &[u8], at: usize) -> Option<usize> {
    let digits = skip(text, at, |byte| byte.is_ascii_digit());
    match text.get(digits) {
        Some(b'.') => Some(fraction(text, digits + 1)),
        Some(b'e' | b'E') => exponent(text, digits).or_else(|| whole(text, at, digits)),
        _ => whole(text, at, digits),
    }
}

/// The end of what stands behind a decimal point: digits and an exponent.
pub(super) fn fraction(text: &[u8], at: usize) -> usize {
    let digits = skip(text, at, |byte| byte.is_ascii_digit());
    exponent(text, digits).unwrap_or(digits)
}

/// The end of an exponent, `e5` or `e-5`.
fn exponent(text: &[u8], at: usize) -> Option<usize> {
    if !matches!(text.get(at), Some(b'e' | b'E')) {
        return None;
    }
    let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
    let first = at + 1 + sign;
    text.get(first)?.is_ascii_digit().then(|| skip(text, first, |byte| byte.is_ascii_digit()))
}

/// An integer, or `0x1F` or `0b01`, with nothing of a word behind it.
fn whole(text: &[u8], at: usize, digits: usize) -> Option<usize> {
    let end = match (&text[at..digits], text.get(digits)) {
        (b"0", Some(b'x')) => skip(text, digits + 1, |byte| byte.is_ascii_hexdigit()),
        (b"0", Some(b'b')) => skip(text, digits + 1, |byte| matches!(byte, b'0' | b'1')),
        _ => digits,
    };
    let is_prefix_alone = end == digits + 1;
    let goes_on = text.get(end).is_some_and(|byte| super::IN_WORD[usize::from(*byte)]);
    (!goes_on && !is_prefix_alone).then_some(end)
}

fn skip(text: &[u8], mut at: usize, while_: impl Fn(u8) -> bool) -> usize {
    while text.get(at).is_some_and(|byte| while_(*byte)) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_end_where_the_servers_end_them() {
        let cases = [
            ("1", Some(1)),
            ("12,", Some(2)),
            ("1.5for", Some(3)),
            ("1.for", Some(2)),
            ("1.5e3x", Some(5)),
            ("1e5for", Some(3)),
            ("1e+5", Some(4)),
            ("1e+", None),
            ("1for", None),
            ("2nd", None),
            ("0x1F ", Some(4)),
            ("0x1Fg", None),
            ("0x", None),
            ("0b01", Some(4)),
            ("0b012", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(end(text.as_bytes(), 0), wanted, "{text}");
        }
    }
}
