//! The lines of an MHA file: what each one is, where its key and value stand, and which bytes it has,
//! so that a file can be read and also be changed without touching anything else in it.
//!
//! The rules are those of Config::Tiny, which MHA reads with: a line is blank, a comment (`#` or `;`
//! at its beginning), `[section]` or `key = value`; ` ;` begins a comment behind a value, `#` does
//! not. Lines end with a line feed, a carriage return, or both.

use std::ops::Range;

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Counted from 1.
    pub(crate) number: usize,
    /// Its bytes in the file, its line break included.
    pub(crate) bytes: Range<usize>,
    /// Its text without the line break.
    pub(crate) text: &'a str,
    pub(crate) holds: Holds<'a>,
}

/// What stands on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds<'a> {
    Blank,
    Comment,
    /// The name between the brackets.
    Section(&'a str),
    Pair(Pair<'a>),
    /// None of these.
    Strange,
}

/// A key and its value, both without the blanks around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    pub(crate) key: &'a str,
    /// Quotes as they are written, a comment behind it left out.
    pub(crate) value: &'a str,
    /// A comment begins right behind the `;`, without a blank: it may have been meant as a value.
    pub(crate) doubtful_comment: bool,
}

/// The lines of a text, in order; put together, their bytes are the text.
pub(crate) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut found = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let rest = &text[start..];
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let ending = match rest.as_bytes().get(length..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([_, ..]) => 1,
            _ => 0,
        };
        let line = &rest[..length];
        // A mark that some editors put before the first line.
        let shown = if start == 0 { line.trim_start_matches('\u{feff}') } else { line };
        let number = found.len() + 1;
        let bytes = start..start + length + ending;
        start = bytes.end;
        found.push(Line { number, bytes, text: line, holds: holds(shown) });
    }
    found
}

fn holds(line: &str) -> Holds<'_> {
    let line = line.trim();
    if line.is_empty() {
        return Holds::Blank;
    }
    if line.starts_with(['#', ';']) {
        return Holds::Comment;
    }
    let (said, doubtful_comment) = without_comment(line);
    let said = said.trim_end();
    if let Some(name) = said.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match name.trim() {
            "" => Holds::Strange,
            name => Holds::Section(name),
        };
    }
    match said.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Holds::Pair(Pair { key: key.trim(), value: value.trim(), doubtful_comment })
        }
        _ => Holds::Strange,
    }
}

/// What stands before a comment at the end of a line, and whether that comment is a doubtful one.
fn without_comment(line: &str) -> (&str, bool) {
    let begin = line
        .char_indices()
        .zip(line.char_indices().skip(1))
        .find_map(|((at, a), (_, b))| (a.is_whitespace() && b == ';').then_some(at));
    let Some(at) = begin else { return (line, false) };
    let (said, comment) = line.split_at(at);
    let behind = comment.trim_start().trim_start_matches(';').chars().next();
    (said, behind.is_some_and(|c| !c.is_whitespace()))
}

/// A value without the quotes around it, and whether they were a pair.
///
/// One quote at the beginning and one at the end are removed, whichever they are: so MHA reads them.
pub(crate) fn unquoted(value: &str) -> (&str, bool) {
    let quote = |c: Option<char>| c.filter(|c| matches!(c, '"' | '\''));
    let first = quote(value.chars().next());
    let inner = if first.is_some() { &value[1..] } else { value };
    let last = quote(inner.chars().next_back());
    let inner = if last.is_some() { &inner[..inner.len() - 1] } else { inner };
    (inner, first == last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(line: &str) -> (String, String) {
        match lines(line).remove(0).holds {
            Holds::Pair(pair) => (pair.key.to_owned(), pair.value.to_owned()),
            other => panic!("{line:?} is {other:?}"),
        }
    }

    #[test]
    fn what_a_line_holds() {
        for (line, wanted) in [
            ("", Holds::Blank),
            ("  \t", Holds::Blank),
            ("# port=1", Holds::Comment),
            ("  ; port=1", Holds::Comment),
            ("[server default]", Holds::Section("server default")),
            (" [ server1 ]  ", Holds::Section("server1")),
            ("[server1] ; the first", Holds::Section("server1")),
            ("[]", Holds::Strange),
            ("=x", Holds::Strange),
            ("hostname", Holds::Strange),
            ("[server1", Holds::Strange),
        ] {
            let found = lines(line);
            assert_eq!(found.first().map_or(Holds::Blank, |line| line.holds), wanted, "{line:?}");
        }
    }

    #[test]
    fn keys_and_values_lose_the_blanks_around_them_and_a_comment_behind() {
        for (line, key, value) in [
            ("port=3306", "port", "3306"),
            ("  port \t=  3306  ", "port", "3306"),
            ("a=b=c", "a", "b=c"),
            ("a=", "a", ""),
            ("port=3306 ; the usual one", "port", "3306"),
            ("port=3306 ;the usual one", "port", "3306"),
            ("port=3306 # no comment", "port", "3306 # no comment"),
            ("a=b;c", "a", "b;c"),
            ("password='p w'", "password", "'p w'"),
        ] {
            assert_eq!(pair(line), (key.to_owned(), value.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn a_comment_that_touches_its_semicolon_is_doubtful() {
        for (line, doubtful) in [("a=b ;c", true), ("a=b ; c", false), ("a=b ;", false)] {
            let Holds::Pair(pair) = lines(line).remove(0).holds else { panic!("{line}") };
            assert_eq!(pair.doubtful_comment, doubtful, "{line}");
        }
    }

    #[test]
    fn lines_end_in_three_ways_and_keep_every_byte() {
        let text = "a=1\r\nb=2\rc=3\n\n\r\nd=4";
        let found = lines(text);
        let numbers: Vec<_> = found.iter().map(|line| (line.number, line.text)).collect();
        assert_eq!(numbers, [(1, "a=1"), (2, "b=2"), (3, "c=3"), (4, ""), (5, ""), (6, "d=4")]);
        let together: String = found.iter().map(|line| &text[line.bytes.clone()]).collect();
        assert_eq!(together, text);
    }

    #[test]
    fn one_quote_is_removed_at_each_end() {
        for (value, inner, paired) in [
            ("\"a b\"", "a b", true),
            ("'a b'", "a b", true),
            ("a", "a", true),
            ("\"", "", false),
            ("\"\"", "", true),
            ("'a\"", "a", false),
            ("a\"", "a", false),
            ("\"\"a\"\"", "\"a\"", true),
        ] {
            assert_eq!(unquoted(value), (inner, paired), "{value:?}");
        }
    }
}
