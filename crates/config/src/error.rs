//! What is wrong with a configuration file, written for the person who has to mend it.
//!
//! [`Source`] knows the text and turns byte ranges into lines and columns; [`Problems`] collects.
//! A line that may hold a secret is shown only up to its `=`.

use std::fmt;
use std::ops::Range;

/// More problems than this are counted, not described.
const DESCRIBED: usize = 200;

/// At most so many characters of a line are shown.
const SHOWN: usize = 120;

/// One problem: where it is, what was seen, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as the caller named it.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column in characters, counted from 1.
    pub column: usize,
    /// The line's text, shortened if it is long, secrets left out.
    pub excerpt: String,
    /// Where in `excerpt` the marks stand: first character (counted from 0) and how many.
    pub marks: (usize, usize),
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let (start, length) = self.marks;
        writeln!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{}", format!("{number} | {}", self.excerpt).trim_end())?;
        writeln!(f, "{gutter} | {}{}", " ".repeat(start), "^".repeat(length))?;
        write!(f, "{gutter} = {}", self.help)
    }
}

impl std::error::Error for ConfigError {}

/// Every problem of a configuration file, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<ConfigError>,
    not_described: usize,
}

impl ConfigErrors {
    /// These problems, file by file in the order in which the files are met; `None`: there are none.
    pub fn of(mut errors: Vec<ConfigError>) -> Option<Self> {
        let mut files: Vec<String> = Vec::new();
        for error in &errors {
            if !files.contains(&error.file) {
                files.push(error.file.clone());
            }
        }
        let place = |e: &ConfigError| (files.iter().position(|f| *f == e.file), e.line, e.column);
        errors.sort_by_key(place);
        (!errors.is_empty()).then_some(Self { errors, not_described: 0 })
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }

    /// How many there are, those that are only counted included.
    pub fn count(&self) -> usize {
        self.errors.len() + self.not_described
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{error}\n")?;
        }
        let mut files: Vec<&str> = self.errors.iter().map(|e| e.file.as_str()).collect();
        files.dedup();
        let file = files.join(" and ");
        match (self.count(), self.not_described) {
            (1, _) => write!(f, "1 problem in {file}"),
            (n, 0) => write!(f, "{n} problems in {file}"),
            (n, more) => write!(f, "{n} problems in {file}, {more} of them not described here"),
        }
    }
}

impl std::error::Error for ConfigErrors {}

/// The text of a file, with its lines found once.
pub(crate) struct Source<'a> {
    file_name: &'a str,
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(text: &'a str, file_name: &'a str) -> Self {
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file_name, text, line_starts }
    }

    /// `line 12, column 3`, for a place that another problem refers to.
    pub(crate) fn place(&self, at: usize) -> String {
        let (line, column, _) = self.locate(at);
        format!("line {line}, column {column}")
    }

    /// The line of a place, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at)
    }

    /// The place of one character (from 1) of a text that stands at `span`; all of it, if the text
    /// is not written there letter by letter (escapes, several lines).
    pub(crate) fn character(&self, span: &Range<usize>, text: &str, nth: usize) -> Range<usize> {
        let written = self.text.get(span.clone()).unwrap_or_default();
        let inner = written.get(1..written.len().saturating_sub(1));
        let found = text.char_indices().nth(nth.saturating_sub(1));
        match (inner, found) {
            (Some(inner), Some((at, character))) if inner == text => {
                let start = span.start + 1 + at;
                start..start + character.len_utf8()
            }
            _ => span.clone(),
        }
    }

    /// Line and column (from 1) and the text of the line.
    fn locate(&self, at: usize) -> (usize, usize, &'a str) {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let line = self.line_starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|n| self.line_starts.get(n)).map_or(0, |s| *s);
        let end = self.line_starts.get(line).map_or(self.text.len(), |next| next - 1);
        let text = self.text.get(start..end).unwrap_or_default().trim_end_matches('\r');
        let before = self.text.get(start..at).unwrap_or_default();
        (line, before.chars().count() + 1, text)
    }

    fn describe(
        &self,
        span: &Range<usize>,
        elide: bool,
        reason: String,
        help: String,
    ) -> ConfigError {
        let (line, column, text) = self.locate(span.start);
        let marked = self.text.get(span.clone()).unwrap_or_default();
        let wanted = marked.lines().next().unwrap_or_default().chars().count().max(1);
        let (excerpt, marks) = excerpt(text, column - 1, wanted, elide);
        let file = self.file_name.to_owned();
        ConfigError { file, line, column, excerpt, marks, reason, help }
    }
}

/// The part of a line that is shown, and where the marks stand in it.
fn excerpt(line: &str, at: usize, wanted: usize, elide: bool) -> (String, (usize, usize)) {
    let visible = if elide { shown_until(line, at) } else { secret_from(line) };
    let kept = visible.map_or(line, |end| line.get(..end).unwrap_or(line));
    let mut chars: Vec<char> = kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if visible.is_some() {
        chars.extend(" …".chars());
    }
    let first = at.saturating_sub(SHOWN / 2).min(chars.len().saturating_sub(SHOWN));
    let last = chars.len().min(first + SHOWN);
    let mut shown: String = chars.get(first..last).unwrap_or_default().iter().collect();
    let mut start = at.min(last) - first;
    if first > 0 {
        shown.insert(0, '…');
        start += 1;
    }
    if last < chars.len() {
        shown.push('…');
    }
    let room = shown.chars().count().saturating_sub(start).max(1);
    (shown, (start, wanted.min(room)))
}

/// The end of the first `=` behind a column: what follows is the value of an unwanted key.
fn shown_until(line: &str, at: usize) -> Option<usize> {
    let from = line.char_indices().nth(at).map_or(line.len(), |(offset, _)| offset);
    line.get(from..)?.find('=').map(|offset| from + offset + 1)
}

/// The end of the first `=` that a word about secrets stands before.
fn secret_from(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let word = ["pas", "psw", "pw", "secret", "credential", "url"]
        .iter()
        .filter_map(|w| lower.find(w))
        .min()?;
    lower.get(word..)?.find('=').map(|offset| word + offset + 1)
}

/// Collects what is wrong while the file is read.
pub(crate) struct Problems<'a> {
    pub(crate) source: Source<'a>,
    found: Vec<ConfigError>,
    not_described: usize,
}

impl<'a> Problems<'a> {
    pub(crate) fn new(text: &'a str, file_name: &'a str) -> Self {
        Self { source: Source::new(text, file_name), found: Vec::new(), not_described: 0 }
    }

    /// Notes a problem at a byte range of the text.
    pub(crate) fn add(
        &mut self,
        span: &Range<usize>,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(span, false, reason.into(), help.into());
    }

    /// The same for a key that does not belong here: its value may be a secret and is not shown.
    pub(crate) fn add_eliding(
        &mut self,
        span: &Range<usize>,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(span, true, reason.into(), help.into());
    }

    fn note(&mut self, span: &Range<usize>, elide: bool, reason: String, help: String) {
        if self.is_full() {
            return self.count_one();
        }
        let error = self.source.describe(span, elide, reason, help);
        // A mistake under [defaults] is met once for each cluster.
        if !self.found.contains(&error) {
            self.found.push(error);
        }
    }

    /// Whether further problems are only counted.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= DESCRIBED
    }

    /// Counts a problem that is not described.
    pub(crate) fn count_one(&mut self) {
        self.not_described += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn into_errors(mut self) -> ConfigErrors {
        self.found.sort_by_key(|e| (e.line, e.column));
        ConfigErrors { errors: self.found, not_described: self.not_described }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> String {
        let mut problems = Problems::new(text, "f");
        problems.add(&span, "why", "how");
        problems.into_errors().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_caret_stands_under_what_is_meant() {
        insta::assert_snapshot!(shown("a = 1\n\té = bad\n", 12..15), @"
        f:2:6: why
          |
        2 |  é = bad
          |      ^^^
          = how
        ");
    }

    #[test]
    fn a_place_behind_the_end_or_inside_a_character_is_no_accident() {
        for at in 0..20 {
            shown("é\n€", at..at + 3);
            shown("", at..at);
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("key = \"{}X{}\"", "a".repeat(500), "b".repeat(500));
        let shown = shown(&text, 507..508);
        assert!(shown.lines().all(|l| l.chars().count() < 140), "{shown}");
        assert!(shown.contains('X'), "{shown}");
    }

    #[test]
    fn a_value_behind_a_word_for_secrets_is_never_shown() {
        for line in ["password = hunter2", "x = { user = 1, Passwd = 'hunter2' }", "secret=hunter2"]
        {
            let shown = shown(line, 0..1);
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
