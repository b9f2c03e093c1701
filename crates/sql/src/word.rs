//! Which words mean something: keywords and built-in functions, found in a few nanoseconds.
//!
//! The tables are `keywords.rs` and `functions.rs`; this file makes one hash table of both at
//! compile time.

mod functions;
mod keywords;

use primacy_types::{Flavor, ServerVersion};

pub(crate) use functions::FUNCTIONS;
pub use functions::Function;
use keywords::KEYWORDS;
pub(crate) use keywords::Kw;

/// Written in capital letters in a digest, wherever it stands.
pub(crate) const RESERVED: u8 = 1;
/// May stand before a parenthesis without calling a function, on every server.
pub(crate) const BEFORE_PARENTHESIS: u8 = 2;
/// MySQL reads an optimizer hint behind it.
pub(crate) const TAKES_HINTS: u8 = 4;
/// A built-in function only if the parenthesis follows at once (or with `IGNORE_SPACE`): with a
/// space between it is a stored function of that name.
pub(crate) const NO_SPACE: u8 = 8;
/// MySQL 9.6 moved it into a component: there it is a loadable function.
pub(crate) const LEFT_IN_9_6: u8 = 16;

/// "Not on this family", in a table of versions.
pub(crate) const NEVER: u16 = u16::MAX;

/// A version in the tables: 8.0 is 800, 10.11 is 1011.
const fn version(server: ServerVersion) -> u16 {
    server.number.0 * 100 + server.number.1
}

/// What is known of a word.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) name: &'static str,
    first: u64,
    last: u64,
    length: u8,
    pub(crate) flags: u8,
    pub(crate) keyword: Kw,
    pub(crate) function: Function,
    mysql: u16,
    mariadb: u16,
}

impl Slot {
    /// A word of which nothing is known.
    pub(crate) const NONE: Self = Self {
        name: "",
        first: 0,
        last: 0,
        length: 0,
        flags: 0,
        keyword: Kw::None,
        function: Function::None,
        mysql: NEVER,
        mariadb: NEVER,
    };

    /// The built-in function of this name, if all servers between these versions have it.
    pub(crate) fn function_of(&self, oldest: ServerVersion, newest: ServerVersion) -> Function {
        let since = match oldest.flavor {
            Flavor::MySql => self.mysql,
            Flavor::MariaDb => self.mariadb,
        };
        let left = self.flags & LEFT_IN_9_6 != 0 && newest.is_mysql() && version(newest) >= 906;
        if since <= version(oldest) && !left { self.function } else { Function::None }
    }
}

const BITS: u32 = 11;
const SIZE: usize = 1 << BITS;

/// The longest word in the tables.
const LONGEST: usize = 32;

/// Letters in one case: a bit that no other byte of a word uses.
const FOLD: u64 = 0xDFDF_DFDF_DFDF_DFDF;

const fn place(first: u64, last: u64, length: usize) -> usize {
    let mixed = (first ^ last.rotate_left(29) ^ ((length as u64) << 56))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> (64 - BITS)) as usize
}

/// Up to eight bytes as a number, in one case.
const fn slowly(text: &[u8], start: usize, end: usize) -> u64 {
    let (mut value, mut at) = (0, start);
    while at < end {
        value |= (text[at] as u64) << (8 * (at - start));
        at += 1;
    }
    value & FOLD
}

#[inline]
fn load(text: &[u8], start: usize, end: usize) -> u64 {
    let bytes = text.get(start..start + 8).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    match bytes {
        Some(bytes) => {
            let unused = 64 - 8 * (end - start) as u32;
            u64::from_le_bytes(bytes) & (u64::MAX >> unused) & FOLD
        }
        None => slowly(text, start, end),
    }
}

static TABLE: [Slot; SIZE] = table();

const fn table() -> [Slot; SIZE] {
    let mut table = [const { Slot::NONE }; SIZE];
    let mut row = 0;
    while row < KEYWORDS.len() {
        let group = &KEYWORDS[row];
        let mut rest = group.names.as_bytes();
        while let Some((name, next)) = split(rest) {
            let slot = &mut table[free(&table, name)];
            name_it(slot, name);
            slot.keyword = group.keyword;
            slot.flags |= group.flags;
            rest = next;
        }
        row += 1;
    }
    row = 0;
    while row < FUNCTIONS.len() {
        let group = &FUNCTIONS[row];
        let mut rest = group.names.as_bytes();
        while let Some((name, next)) = split(rest) {
            let slot = &mut table[free(&table, name)];
            name_it(slot, name);
            slot.function = group.function;
            slot.mysql = group.mysql;
            slot.mariadb = group.mariadb;
            slot.flags |= group.flags;
            rest = next;
        }
        row += 1;
    }
    table
}

const fn name_it(slot: &mut Slot, name: &'static [u8]) {
    let (first, last) = ends(name);
    slot.first = first;
    slot.last = last;
    slot.length = name.len() as u8;
    slot.name = match std::str::from_utf8(name) {
        Ok(name) => name,
        Err(_) => panic!("names are ASCII"),
    };
}

const fn ends(name: &[u8]) -> (u64, u64) {
    let length = name.len();
    assert!(length >= 2 && length <= LONGEST);
    match length {
        2..=8 => (slowly(name, 0, length), 0),
        _ => (slowly(name, 0, 8), slowly(name, length - 8, length)),
    }
}

/// The place of a word in the table while it is made: its own, or a free one.
const fn free(table: &[Slot; SIZE], name: &[u8]) -> usize {
    let (first, last) = ends(name);
    let mut at = place(first, last, name.len());
    loop {
        let slot = &table[at];
        if slot.length == 0
            || (slot.first == first && slot.last == last && slot.length as usize == name.len())
        {
            return at;
        }
        at = (at + 1) % SIZE;
    }
}

/// The next of the words between spaces and newlines.
const fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    while start < text.len() && (text[start] == b' ' || text[start] == b'\n') {
        start += 1;
    }
    let mut end = start;
    while end < text.len() && text[end] != b' ' && text[end] != b'\n' {
        end += 1;
    }
    if start == end {
        return None;
    }
    let (head, rest) = text.split_at(end);
    let (_, name) = head.split_at(start);
    Some((name, rest))
}

/// What is known of the word in these bytes.
#[inline]
pub(crate) fn find(text: &[u8], start: usize, end: usize) -> &'static Slot {
    let length = end - start;
    if !(2..=LONGEST).contains(&length) {
        return &Slot::NONE;
    }
    let first = load(text, start, end.min(start + 8));
    let last = if length > 8 { load(text, end - 8, end) } else { 0 };
    let mut at = place(first, last, length);
    loop {
        let slot = &TABLE[at % SIZE];
        if slot.length == 0 {
            return &Slot::NONE;
        }
        if slot.first == first
            && slot.last == last
            && usize::from(slot.length) == length
            && (length <= 16 || text[start..end].eq_ignore_ascii_case(slot.name.as_bytes()))
        {
            return slot;
        }
        at += 1;
    }
}

/// Whether a string behind this word (`_gbk'..'`) is in a character set whose characters may hold a
/// backslash.
pub(crate) fn is_treacherous_introducer(word: &[u8]) -> bool {
    const SETS: [&[u8]; 5] = [b"_gbk", b"_big5", b"_sjis", b"_cp932", b"_gb18030"];
    SETS.iter().any(|set| set.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_tables_is_found_in_either_case() {
        let groups = KEYWORDS.iter().map(|group| group.names);
        let mut count = 0;
        for name in
            groups.chain(FUNCTIONS.iter().map(|group| group.names)).flat_map(str::split_whitespace)
        {
            for text in [name.to_owned(), name.to_lowercase(), format!("{name} and more text")] {
                let found = find(text.as_bytes(), 0, name.len());
                assert_eq!(found.name, name);
            }
            count += 1;
        }
        assert!(count > 500, "{count}");
    }

    #[test]
    fn no_name_stands_twice_in_a_table() {
        for names in [
            KEYWORDS.iter().flat_map(|group| group.names.split_whitespace()).collect::<Vec<_>>(),
            FUNCTIONS.iter().flat_map(|group| group.names.split_whitespace()).collect(),
        ] {
            let mut sorted = names.clone();
            sorted.sort_unstable();
            let twice: Vec<_> = sorted.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(twice.is_empty(), "{twice:?}");
        }
    }

    #[test]
    fn what_is_no_word_of_the_tables_is_not_found() {
        for text in ["", "a", "selec", "selects", "sbtest1", "c", "sel\u{e9}ct", "_", "p0"] {
            assert_eq!(find(text.as_bytes(), 0, text.len()).name, "", "{text}");
        }
        let long = "x".repeat(100);
        assert_eq!(find(long.as_bytes(), 0, 100).name, "");
    }
}
