//! What a statement's text means for the boundaries of transactions.
//!
//! Servers write most of these texts themselves, in upper case and without comments; MariaDB
//! writes `ROLLBACK TO` and `XA` as the user sent them.

/// What a statement does to the boundaries of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`, of the whole transaction.
    Rollback,
    /// `SAVEPOINT`, `ROLLBACK TO`, `RELEASE SAVEPOINT`: it goes on.
    Savepoint,
    /// One of the XA statements.
    Xa(XaVerb),
    /// Anything else: DDL, or DML in statement format.
    Other,
}

/// Which XA statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XaVerb {
    /// `XA START`, `XA BEGIN`.
    Start,
    /// `XA END`.
    End,
    /// `XA PREPARE`.
    Prepare,
    /// `XA COMMIT`.
    Commit,
    /// `XA ROLLBACK`.
    Rollback,
}

impl Statement {
    /// How many bytes of a statement are looked at.
    pub const HEAD: usize = 256;

    /// The class of a statement that begins so.
    pub fn of(text: &[u8]) -> Self {
        let mut words = Words { left: text };
        let first = words.next();
        if is(first, b"BEGIN") {
            // BEGIN NOT ATOMIC is a compound statement of MariaDB.
            return if is(words.next(), b"NOT") { Self::Other } else { Self::Begin };
        }
        if is(first, b"COMMIT") {
            return Self::Commit;
        }
        if is(first, b"ROLLBACK") {
            let second = words.next();
            let next = if is(second, b"WORK") { words.next() } else { second };
            return if is(next, b"TO") { Self::Savepoint } else { Self::Rollback };
        }
        if is(first, b"SAVEPOINT") || is(first, b"RELEASE") {
            return Self::Savepoint;
        }
        if is(first, b"XA") {
            return words.next().and_then(xa).map_or(Self::Other, Self::Xa);
        }
        if is(first, b"START") && is(words.next(), b"TRANSACTION") {
            return Self::Begin;
        }
        Self::Other
    }
}

fn xa(word: &[u8]) -> Option<XaVerb> {
    const VERBS: [(&[u8], XaVerb); 6] = [
        (b"START", XaVerb::Start),
        (b"BEGIN", XaVerb::Start),
        (b"END", XaVerb::End),
        (b"PREPARE", XaVerb::Prepare),
        (b"COMMIT", XaVerb::Commit),
        (b"ROLLBACK", XaVerb::Rollback),
    ];
    VERBS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, verb)| *verb)
}

fn is(word: Option<&[u8]>, name: &[u8]) -> bool {
    word.is_some_and(|word| word.eq_ignore_ascii_case(name))
}

/// The words at the start of a text, without white space and comments.
struct Words<'a> {
    left: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.skip_blank();
        let length = self
            .left
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
            .unwrap_or(self.left.len());
        let (word, left) = self.left.split_at_checked(length)?;
        self.left = left;
        (!word.is_empty()).then_some(word)
    }
}

impl Words<'_> {
    fn skip_blank(&mut self) {
        loop {
            self.left = self.left.trim_ascii_start();
            let end = if let Some(comment) = self.left.strip_prefix(b"/*") {
                // What is in /*! */ is executed, but no server writes a boundary so.
                memchr::memmem::find(comment, b"*/").map(|end| end.saturating_add(4))
            } else if self.left.starts_with(b"#") || self.left.starts_with(b"-- ") {
                memchr::memchr(b'\n', self.left)
            } else {
                return;
            };
            self.left = end.and_then(|end| self.left.get(end..)).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_as_servers_and_users_write_them() {
        let cases = [
            ("BEGIN", Statement::Begin),
            ("COMMIT", Statement::Commit),
            ("COMMIT /* implicit */", Statement::Commit),
            ("ROLLBACK", Statement::Rollback),
            ("ROLLBACK TO `a`", Statement::Savepoint),
            ("rollback work to savepoint a", Statement::Savepoint),
            ("/* app */ ROLLBACK TO a", Statement::Savepoint),
            ("SAVEPOINT `s`", Statement::Savepoint),
            ("XA START X'61',X'',1", Statement::Xa(XaVerb::Start)),
            ("XA END X'61',X'',1", Statement::Xa(XaVerb::End)),
            ("xa commit 'a'", Statement::Xa(XaVerb::Commit)),
            ("XA ROLLBACK X'61',X'',1", Statement::Xa(XaVerb::Rollback)),
            ("BEGINNING", Statement::Other),
            ("INSERT INTO t VALUES ('ROLLBACK')", Statement::Other),
            ("-- COMMIT\nDROP TABLE t", Statement::Other),
            ("BEGIN NOT ATOMIC SELECT 1; END", Statement::Other),
            ("", Statement::Other),
            ("/* never closed", Statement::Other),
        ];
        for (text, class) in cases {
            assert_eq!(Statement::of(text.as_bytes()), class, "{text}");
        }
    }
}
