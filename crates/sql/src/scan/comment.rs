//! Comments, as the servers' own lexers skip or enter them.

use primacy_types::ServerVersion;

/// What becomes of an executable comment (`/*! */`, `/*M! */`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Executable {
    /// Its content is part of the statement; it begins after so many bytes.
    Enter(usize),
    /// Nothing of it is read by the server.
    Skip,
    /// It is a comment like any other.
    Plain,
    /// It depends on a patch level that is not known here.
    Unknown,
}

/// What a server makes of the comment that begins at the beginning of `text` with `/*`.
///
/// MySQL (`sql_lex.cc` of 5.6, 8.4 and 9.7): `/*!` with exactly five digits is entered by servers of
/// that version or a later one, with other contents always. Six digits count as a version only if
/// white space follows them, and only since a patch level of 8.0; before that the sixth digit was
/// part of the content.
///
/// MariaDB (10.5 to 11.8): five or six digits. Versions 50700 to 99999 are MySQL's own and are
/// skipped by any MariaDB, unless the comment says `/*M!`, which MySQL does not know.
pub(super) fn executable(text: &[u8], server: ServerVersion) -> Executable {
    let (marker, for_mariadb) = match text {
        [b'/', b'*', b'!', ..] => (3, false),
        [b'/', b'*', b'M', b'!', ..] if server.is_mariadb() => (4, true),
        _ => return Executable::Plain,
    };
    let content = &text[marker..];
    let digits = content.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    if digits < 5 {
        return Executable::Enter(marker);
    }
    let (major, minor, patch) = server.number;
    let here = u64::from(major) * 10_000 + u64::from(minor) * 100 + u64::from(patch);
    let number = |length: usize| {
        content[..length].iter().fold(0_u64, |sum, byte| sum * 10 + u64::from(byte - b'0'))
    };
    let enter_if = |enter: bool, length: usize| match enter {
        true => Executable::Enter(marker + length),
        false => Executable::Skip,
    };
    if server.is_mariadb() {
        let version = number(digits);
        let of_mysql = !for_mariadb && (50_700..=99_999).contains(&version);
        return enter_if(version <= here && !of_mysql, digits);
    }
    let six = digits == 6 && content.get(6).is_some_and(|byte| is_space(*byte));
    match six {
        true if here >= 80_400 => enter_if(number(6) <= here, 6),
        true if here >= 80_000 => Executable::Unknown,
        _ => enter_if(number(5) <= here, 5),
    }
}

/// The end of the comment whose content begins at `at`: the place after its `*/`; `None` if it has
/// none. In a skipped executable comment the servers step over one level of comments inside.
pub(super) fn end(text: &[u8], mut at: usize, nested: bool) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        let found = rest.iter().position(|byte| matches!(byte, b'*' | b'/'))?;
        at += found;
        match (text[at], text.get(at + 1)?) {
            (b'*', b'/') => return Some(at + 2),
            (b'/', b'*') if nested => at = end(text, at + 2, false)?,
            _ => at += 1,
        }
    }
}

/// White space below 128 as the servers' character tables have it.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const MYSQL: ServerVersion = ServerVersion::mysql(9, 7, 4);
    const OLD: ServerVersion = ServerVersion::mysql(5, 6, 24);
    const MARIADB: ServerVersion = ServerVersion::mariadb(10, 11, 14);

    #[test]
    fn executable_comments_are_entered_as_the_servers_do() {
        use Executable::{Enter, Plain, Skip, Unknown};
        let cases = [
            ("/* x */", Plain, Plain, Plain),
            ("/*! x */", Enter(3), Enter(3), Enter(3)),
            ("/*!1234 x */", Enter(3), Enter(3), Enter(3)),
            ("/*!50000 x */", Enter(8), Enter(8), Enter(8)),
            ("/*!50600 x */", Enter(8), Enter(8), Enter(8)),
            ("/*!50699 x */", Skip, Enter(8), Enter(8)),
            ("/*!50700 x */", Skip, Enter(8), Skip),
            ("/*!80000 x */", Skip, Enter(8), Skip),
            ("/*!99999 x */", Skip, Skip, Skip),
            ("/*!050000 x */", Enter(8), Enter(9), Enter(9)),
            ("/*!050700 x */", Enter(8), Enter(9), Skip),
            ("/*!100000 x */", Enter(8), Skip, Enter(9)),
            ("/*!100000x */", Enter(8), Enter(8), Enter(9)),
            ("/*!101200 x */", Enter(8), Skip, Skip),
            ("/*M! x */", Plain, Plain, Enter(4)),
            ("/*M!50700 x */", Plain, Plain, Enter(9)),
            ("/*M!101100 x */", Plain, Plain, Enter(10)),
            ("/*M!110000 x */", Plain, Plain, Skip),
            ("/*m! x */", Plain, Plain, Plain),
        ];
        for (text, old, mysql, mariadb) in cases {
            assert_eq!(executable(text.as_bytes(), OLD), old, "{text} on {OLD}");
            assert_eq!(executable(text.as_bytes(), MYSQL), mysql, "{text} on {MYSQL}");
            assert_eq!(executable(text.as_bytes(), MARIADB), mariadb, "{text} on {MARIADB}");
        }
        let between = ServerVersion::mysql(8, 0, 30);
        assert_eq!(executable(b"/*!080000 x */", between), Unknown);
    }

    #[test]
    fn a_comment_ends_at_the_first_end_unless_one_is_nested_in_a_skipped_one() {
        assert_eq!(end(b"/* a */ b */", 2, false), Some(7));
        assert_eq!(end(b"/*!99999 /* a */ b */", 3, true), Some(21));
        assert_eq!(end(b"/*/", 2, false), None);
        assert_eq!(end(b"/**/", 2, false), Some(4));
        assert_eq!(end(b"/***/", 2, false), Some(5));
        assert_eq!(end(b"/*", 2, false), None);
    }
}
