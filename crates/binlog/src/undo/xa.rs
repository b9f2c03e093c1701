//! XA transactions: their rows count from the XA COMMIT on, which may be in another transaction of
//! the log, or not in it.

use std::collections::BTreeMap;

use crate::event::XaPrepare;

/// What an XA transaction is known by: format, global and branch part.
pub(super) type XaName = (i32, Vec<u8>, Vec<u8>);

/// The prepared ones, each with the number of the transaction that holds its rows.
#[derive(Debug, Default)]
pub(super) struct Prepared(BTreeMap<XaName, usize>);

impl Prepared {
    pub(super) fn add(&mut self, name: XaName, transaction: usize) {
        self.0.insert(name, transaction);
    }

    /// It was committed or rolled back; the transaction that holds its rows.
    pub(super) fn end(&mut self, name: &XaName) -> Option<usize> {
        self.0.remove(name)
    }

    /// Those that nobody ended.
    pub(super) fn left(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.values().copied()
    }
}

/// The name in an event of `XA PREPARE`.
pub(super) fn name_of(event: &XaPrepare<'_>) -> XaName {
    (event.format_id, event.global.to_vec(), event.branch.to_vec())
}

/// The name in a statement, as servers write it: `XA COMMIT X'61',X'62',1`.
pub(super) fn name_in(statement: &[u8]) -> Option<XaName> {
    let text = std::str::from_utf8(statement).ok()?;
    let name: String = text.split_whitespace().skip(2).collect();
    let mut fields = name.split(',');
    let global = hexadecimal(fields.next()?)?;
    let branch = hexadecimal(fields.next()?)?;
    Some((fields.next()?.parse().ok()?, global, branch))
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let inner = text.trim().strip_prefix(['X', 'x'])?.strip_prefix('\'')?.strip_suffix('\'')?;
    if !inner.is_ascii() || inner.len() % 2 != 0 {
        return None;
    }
    let byte = |at| u8::from_str_radix(inner.get(at..at + 2)?, 16).ok();
    (0..inner.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_servers_write_them() {
        let name = |text: &str| name_in(text.as_bytes());
        assert_eq!(name("XA COMMIT X'6162',X'',1"), Some((1, b"ab".to_vec(), Vec::new())));
        assert_eq!(name("XA ROLLBACK X'61',X'62',7"), Some((7, b"a".to_vec(), b"b".to_vec())));
        assert_eq!(name("XA COMMIT 'a'"), None);
        assert_eq!(name("XA COMMIT X'6',X'',1"), None);
        assert_eq!(name("XA"), None);
        assert_eq!(name("é"), None);
    }
}
