//! Text that may be written to a terminal, whatever was in the file: one line, no control bytes.

use std::fmt::Write;

/// The text on one line. Line breaks and tabs become blanks; other control characters, and those
/// that change the direction of writing, are shown as `\u{...}`.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push(&mut out, text);
    out.trim_end().to_owned()
}

/// The same for bytes that need not be UTF-8: others are shown as `\x..`.
pub(super) fn plain_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        push(&mut out, chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.trim_end().to_owned()
}

/// At most `width` characters; what is cut off is shown as `...`.
pub fn shortened(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(width.saturating_sub(3)).collect();
            format!("{}...", kept.trim_end())
        }
    }
}

fn push(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' | ' ' => {
                if !out.ends_with(' ') && !out.is_empty() {
                    out.push(' ');
                }
            }
            c if c.is_control() || redirects(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Characters that show other text than is there: marks of direction, and line separators.
const fn redirects(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn control_bytes_do_not_reach_the_terminal() {
        assert_eq!(plain("a\x1b[31mred\x07"), "a\\u{1b}[31mred\\u{7}");
        assert_eq!(plain("INSERT\n\t INTO t\r\n"), "INSERT INTO t");
        assert_eq!(plain("\u{202e}evil"), "\\u{202e}evil");
        assert_eq!(plain_bytes(b"na\xefve \xc3\xa9"), "na\\xefve é");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("äöüäöü", 6), "äöüäöü");
        assert_eq!(shortened("äöüäöüx", 6), "äöü...");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_one_harmless_line(bytes: Vec<u8>) {
            let text = plain_bytes(&bytes);
            prop_assert!(!text.chars().any(char::is_control));
        }
    }
}
