//! SQL literals and identifiers from texts that may hold anything.
//!
//! Whether a backslash in a literal stands for itself depends on `NO_BACKSLASH_ESCAPES` in
//! `sql_mode`, so no plain literal with a backslash means the same under both settings.

/// A string literal that means `text` under every `sql_mode`.
///
/// Quotes are doubled. A text with a backslash becomes `_utf8mb4 X'...'`, which is right in every
/// expression but is a *syntax error* where the grammar wants a plain literal (`IDENTIFIED BY`,
/// `SOURCE_PASSWORD =`): use [`quote_plain`] there. Injection is not possible in either case. Holds
/// for connections in utf8mb4, which ours are unless someone runs `SET NAMES`.
pub fn quote(text: &str) -> String {
    use std::fmt::Write as _;
    if !text.contains('\\') {
        return quote_plain(text, true);
    }
    let mut out = String::with_capacity(text.len() * 2 + 12);
    out.push_str("_utf8mb4 X'");
    for byte in text.bytes() {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02X}");
    }
    out.push('\'');
    out
}

/// A plain string literal for the `sql_mode` that is in force *now*: ask
/// [`Session::no_backslash_escapes`](crate::Session::no_backslash_escapes).
pub fn quote_plain(text: &str, no_backslash_escapes: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' if !no_backslash_escapes => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// The name of a database, table, channel or column in backticks, which hold under `ANSI_QUOTES`
/// too. (A name cannot hold NUL: servers refuse it.)
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn literals_hold_under_both_modes() {
        assert_eq!(quote("o'neil \"x\" ünï"), "'o''neil \"x\" ünï'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a\\' or 1=1 -- "), "_utf8mb4 X'615C27206F7220313D31202D2D20'");
        assert_eq!(quote_plain("a\\'b", false), "'a\\\\''b'");
        assert_eq!(quote_plain("a\\'b", true), "'a\\''b'");
    }

    #[test]
    fn identifiers_cannot_be_left() {
        assert_eq!(quote_identifier("a`; drop"), "`a``; drop`");
    }

    proptest! {
        #[test]
        fn a_plain_literal_has_no_lone_quote_inside(text: String) {
            let literal = quote(&text);
            if let Some(inner) = literal.strip_prefix('\'') {
                let inner = inner.strip_suffix('\'').unwrap();
                prop_assert!(!inner.contains('\\'));
                prop_assert_eq!(inner.replace("''", ""), text.replace('\'', ""));
            } else {
                prop_assert!(text.contains('\\'));
            }
        }
    }
}
