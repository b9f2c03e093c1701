//! Statements cut into tokens as the servers' own lexers do it, without copying a byte.
//!
//! The scanner never fails: where the server would refuse the bytes, or could read them otherwise
//! than this scanner, it goes on and says so ([`Scanner::doubt`]); nothing is proven then.

mod bytes;
mod comment;
mod number;

use primacy_types::ServerVersion;

use crate::context::{Charset, Context, SqlMode};
use crate::word::{self, Kw, Slot};
use bytes::{BEGINS, Begins, IN_WORD};
use comment::{Executable, is_space};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The end of the text.
    End,
    /// A word without quotes: keyword, identifier, function.
    Word,
    /// An identifier in backticks, or in double quotes with `ANSI_QUOTES`.
    Quoted,
    /// A string, also `x'..'`, `b'..'` and `n'..'`.
    String,
    /// A number.
    Number,
    /// A placeholder, `?`.
    Parameter,
    /// `@name`, `@'name'`, `` @`name` ``, with what belongs to it.
    UserVariable,
    /// `@@`; what follows is a token of its own.
    SystemVariable,
    /// `:=`.
    Assign,
    /// `;`.
    Semicolon,
    /// One byte of punctuation.
    Mark(u8),
}

/// Why it is not certain what a server reads in these bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// A byte outside of quotes that no statement has there (NUL, other control bytes, `\`, `[`, `]`).
    OddByte,
    /// A string, an identifier or a comment has no end.
    Unterminated,
    /// Bytes that could be something else in the client's character set.
    Charset,
    /// An executable comment that servers of the cluster enter or skip, or could.
    Version,
    /// A word that begins with `$`: a dollar-quoted string on MySQL 9.
    DollarQuote,
    /// An optimizer hint with quotes in which its end could be hidden.
    HintQuote,
    /// An `sql_mode` with another grammar.
    Mode,
}

/// A token: what it is and where.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// The first byte.
    pub start: usize,
    /// The place after the last byte.
    pub end: usize,
    /// Whether white space or a comment stands before it.
    pub spaced: bool,
    /// What is known of a word; nothing of one right behind a point.
    pub(crate) slot: &'static Slot,
}

impl Token {
    /// Its bytes.
    pub fn text<'s>(&self, statement: &'s [u8]) -> &'s [u8] {
        statement.get(self.start..self.end).unwrap_or_default()
    }

    /// An identifier's or a variable's name without quotes and without `@`; doubled quotes inside
    /// stay doubled.
    pub fn name<'s>(&self, statement: &'s [u8]) -> &'s [u8] {
        let text = self.text(statement);
        let text = text.strip_prefix(b"@").unwrap_or(text);
        match text {
            [quote @ (b'`' | b'"' | b'\''), inner @ .., last] if quote == last => inner,
            _ => text,
        }
    }

    /// The keyword that it is.
    pub(crate) fn keyword(&self) -> Kw {
        self.slot.keyword
    }

    /// Whether this is the mark.
    pub(crate) fn is(&self, mark: u8) -> bool {
        self.kind == Kind::Mark(mark)
    }

    /// Whether it can name a table, a column or a variable.
    pub(crate) fn is_identifier(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Quoted)
    }

    /// Whether the statement ends here.
    pub(crate) fn is_end(&self) -> bool {
        matches!(self.kind, Kind::End | Kind::Semicolon)
    }
}

/// Cuts a text into tokens; also the next statements behind a `;`.
#[derive(Clone, Debug)]
pub struct Scanner<'s> {
    text: &'s [u8],
    at: usize,
    /// Inside of an executable comment that was entered.
    executable: bool,
    /// The token before was a point with nothing behind it: what follows is no keyword.
    after_point: bool,
    /// Where the token before ended, if it was an identifier; `usize::MAX` otherwise.
    identifier_end: usize,
    /// The token before is one after which MySQL reads optimizer hints.
    takes_hints: bool,
    doubt: Option<Doubt>,
    /// How many tokens there were, and the comments that speak to the proxy.
    tokens: u32,
    pub(crate) directive: Option<(usize, usize)>,
    pub(crate) late_directive: Option<(usize, usize)>,
    pub(crate) sets_variable: bool,
    oldest: ServerVersion,
    newest: ServerVersion,
    mode: SqlMode,
    charset: Charset,
}

impl<'s> Scanner<'s> {
    /// At the beginning of a text.
    pub fn new(text: &'s [u8], context: &Context<'_>) -> Self {
        let mut scanner = Self {
            text,
            at: 0,
            executable: false,
            after_point: false,
            identifier_end: usize::MAX,
            takes_hints: false,
            doubt: None,
            tokens: 0,
            directive: None,
            late_directive: None,
            sets_variable: false,
            oldest: context.oldest,
            newest: context.newest,
            mode: context.sql_mode,
            charset: context.charset,
        };
        if context.sql_mode.foreign || context.oldest.flavor != context.newest.flavor {
            scanner.doubt = Some(Doubt::Mode);
        }
        if context.charset == Charset::MultiByte {
            scanner.look_for_hidden_backslash();
        }
        scanner
    }

    /// Why the server could read something else than what was scanned so far.
    pub fn doubt(&self) -> Option<Doubt> {
        self.doubt
    }

    /// Where the next token is looked for.
    pub fn position(&self) -> usize {
        self.at
    }

    /// A backslash that can be the second byte of a character (gbk, big5, sjis, cp932): in the
    /// servers' strings it then escapes nothing. Quotes are no second bytes anywhere, and high bytes
    /// outside of strings are doubted on their own.
    fn look_for_hidden_backslash(&mut self) {
        if self.text.windows(2).any(|pair| pair[0] >= 0x80 && pair[1] == b'\\') {
            self.doubts(Doubt::Charset);
        }
    }

    #[cold]
    fn doubts(&mut self, doubt: Doubt) {
        self.doubt.get_or_insert(doubt);
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next token; at the end of the text [`Kind::End`], again and again.
    #[inline]
    pub fn next_token(&mut self) -> Token {
        let before = self.at;
        loop {
            let start = self.at;
            let Some(&byte) = self.text.get(start) else {
                if self.executable {
                    self.doubts(Doubt::Unterminated);
                }
                return self.token(Kind::End, start, start != before);
            };
            let spaced = start != before;
            let kind = match BEGINS[usize::from(byte)] {
                Begins::Space => {
                    self.at += 1;
                    while self.text.get(self.at).is_some_and(|byte| is_space(*byte)) {
                        self.at += 1;
                    }
                    continue;
                }
                Begins::Word => return self.word(start, spaced),
                Begins::Digit => match number::end(self.text, start) {
                    Some(end) if !self.adjoins_point(start) => {
                        self.at = end;
                        Kind::Number
                    }
                    _ => return self.word(start, spaced),
                },
                Begins::Quote => {
                    self.string(b'\'', !self.mode.no_backslash_escapes);
                    Kind::String
                }
                Begins::DoubleQuote if !self.mode.ansi_quotes => {
                    self.string(b'"', !self.mode.no_backslash_escapes);
                    Kind::String
                }
                Begins::DoubleQuote | Begins::Backtick => {
                    self.quoted(byte);
                    Kind::Quoted
                }
                Begins::At => self.variable(),
                Begins::Slash if self.byte(1) == b'*' => {
                    self.comment();
                    continue;
                }
                Begins::Star if self.executable && self.byte(1) == b'/' => {
                    self.executable = false;
                    self.at += 2;
                    continue;
                }
                Begins::Minus if self.is_dash_comment() => {
                    self.line_comment();
                    continue;
                }
                Begins::Hash => {
                    self.line_comment();
                    continue;
                }
                Begins::Point if self.byte(1).is_ascii_digit() && self.identifier_end != start => {
                    self.at = number::fraction(self.text, start + 1);
                    Kind::Number
                }
                Begins::Colon if self.byte(1) == b'=' => {
                    self.at += 2;
                    Kind::Assign
                }
                Begins::Semicolon => {
                    self.at += 1;
                    Kind::Semicolon
                }
                Begins::Question => {
                    self.at += 1;
                    Kind::Parameter
                }
                Begins::Point
                | Begins::Slash
                | Begins::Star
                | Begins::Minus
                | Begins::Colon
                | Begins::Mark => {
                    self.at += 1;
                    Kind::Mark(byte)
                }
                Begins::Dollar => {
                    self.doubts(Doubt::DollarQuote);
                    return self.word(start, spaced);
                }
                Begins::High => return self.word(start, spaced),
                Begins::Odd => {
                    self.doubts(Doubt::OddByte);
                    self.at += 1;
                    Kind::Mark(byte)
                }
            };
            return self.token(kind, start, spaced);
        }
    }

    #[inline]
    fn token(&mut self, kind: Kind, start: usize, spaced: bool) -> Token {
        self.tokens += 1;
        self.after_point = kind == Kind::Mark(b'.');
        self.identifier_end = if kind == Kind::Quoted { self.at } else { usize::MAX };
        self.takes_hints = false;
        Token { kind, start, end: self.at, spaced, slot: &Slot::NONE }
    }

    /// Whether a point stands right before this place: what follows is an identifier.
    fn adjoins_point(&self, start: usize) -> bool {
        self.after_point && start > 0 && self.text.get(start - 1) == Some(&b'.')
    }

    #[inline]
    fn word(&mut self, start: usize, spaced: bool) -> Token {
        let mut end = start + 1;
        let mut high = self.text[start];
        while let Some(&byte) = self.text.get(end) {
            if !IN_WORD[usize::from(byte)] {
                break;
            }
            high |= byte;
            end += 1;
        }
        if end == start + 1
            && self.text.get(end) == Some(&b'\'')
            && let Some(token) = self.prefixed_string(start, spaced)
        {
            return token;
        }
        self.at = end;
        let slot = match self.adjoins_point(start) {
            true => &Slot::NONE,
            false => word::find(self.text, start, end),
        };
        if high >= 0x80 {
            self.judge_high_bytes(start, end);
        } else if self.text[start] == b'_'
            && word::is_treacherous_introducer(&self.text[start..end])
        {
            self.doubts(Doubt::Charset);
        }
        self.tokens += 1;
        self.after_point = false;
        self.identifier_end = end;
        self.takes_hints = slot.flags & word::TAKES_HINTS != 0;
        Token { kind: Kind::Word, start, end, spaced, slot }
    }

    /// `x'..'`, `b'..'` and `n'..'` are one token.
    #[cold]
    fn prefixed_string(&mut self, start: usize, spaced: bool) -> Option<Token> {
        let escapes = match self.text[start] | 0x20 {
            b'x' | b'b' => false,
            b'n' => !self.mode.no_backslash_escapes,
            _ => return None,
        };
        self.at = start + 1;
        self.string(b'\'', escapes);
        Some(self.token(Kind::String, start, spaced))
    }

    /// High bytes in a word: letters in UTF-8, but a space in latin1, and elsewhere who knows.
    #[cold]
    fn judge_high_bytes(&mut self, start: usize, end: usize) {
        let certain =
            self.charset == Charset::Utf8 && std::str::from_utf8(&self.text[start..end]).is_ok();
        if !certain {
            self.doubts(Doubt::Charset);
        }
    }

    /// Steps over a string; the scanner is at its quote.
    fn string(&mut self, quote: u8, escapes: bool) {
        let mut at = self.at + 1;
        while let Some(&byte) = self.text.get(at) {
            at += 1;
            if byte == quote {
                if self.text.get(at) == Some(&quote) {
                    at += 1;
                } else {
                    self.at = at;
                    return;
                }
            } else if byte == b'\\' && escapes {
                at += 1;
            }
        }
        self.at = self.text.len();
        self.doubts(Doubt::Unterminated);
    }

    /// Steps over a quoted identifier. In it the servers step over as many bytes as the first byte
    /// of a character announces, whatever these are, and NUL ends everything.
    fn quoted(&mut self, quote: u8) {
        let start = self.at + 1;
        let mut at = start;
        let mut high = 0;
        while let Some(&byte) = self.text.get(at) {
            at += 1;
            high |= byte;
            if byte == quote {
                if self.text.get(at) == Some(&quote) {
                    at += 1;
                    continue;
                }
                self.at = at;
                let inner = &self.text[start..at - 1];
                let certain = high < 0x80
                    || match self.charset {
                        Charset::SingleByte => true,
                        Charset::Utf8 => std::str::from_utf8(inner).is_ok(),
                        Charset::MultiByte => false,
                    };
                if !certain {
                    self.doubts(Doubt::Charset);
                }
                return;
            }
            if byte == 0 {
                self.doubts(Doubt::OddByte);
            }
        }
        self.at = self.text.len();
        self.doubts(Doubt::Unterminated);
    }

    /// `@x`, `@'x'`, `@@`: the scanner is at the first `@`.
    fn variable(&mut self) -> Kind {
        self.at += 1;
        match self.byte(0) {
            b'@' => {
                self.at += 1;
                return Kind::SystemVariable;
            }
            quote @ (b'\'' | b'"') if quote == b'\'' || !self.mode.ansi_quotes => {
                self.string(quote, !self.mode.no_backslash_escapes);
            }
            quote @ (b'`' | b'"') => self.quoted(quote),
            _ => {
                let start = self.at;
                while self.at < self.text.len()
                    && (IN_WORD[usize::from(self.byte(0))] || self.byte(0) == b'.')
                {
                    if self.byte(0) >= 0x80 {
                        self.doubts(Doubt::Charset);
                    }
                    self.at += 1;
                }
                if self.at == start {
                    return Kind::Mark(b'@');
                }
            }
        }
        Kind::UserVariable
    }

    /// `--` begins a comment only if white space, a control byte or the end follows.
    fn is_dash_comment(&self) -> bool {
        self.byte(1) == b'-' && matches!(self.byte(2), 0..=b' ' | 0x7F)
    }

    fn line_comment(&mut self) {
        while let Some(&byte) = self.text.get(self.at) {
            if byte == b'\n' || byte == 0 {
                // NUL ends the comment too; the scanner stumbles over it next.
                return;
            }
            self.at += 1;
        }
    }

    /// `/*`: skipped, or entered.
    #[cold]
    fn comment(&mut self) {
        let start = self.at;
        let rest = &self.text[start..];
        let made = comment::executable(rest, self.oldest);
        if made != comment::executable(rest, self.newest) || made == Executable::Unknown {
            self.doubts(Doubt::Version);
        }
        if let Executable::Enter(length) = made {
            self.executable = true;
            self.at = start + length;
            return;
        }
        let end = comment::end(self.text, start + 2, made == Executable::Skip);
        if end.is_none() {
            self.doubts(Doubt::Unterminated);
        }
        self.at = end.unwrap_or(self.text.len());
        let content = (start + 2, end.map_or(self.at, |end| end - 2));
        if made == Executable::Plain {
            self.read_comment(content);
        }
    }

    /// What a comment may say: something to the proxy, or to MySQL's optimizer.
    fn read_comment(&mut self, (start, end): (usize, usize)) {
        let content = self.text.get(start..end).unwrap_or_default();
        if content.first() == Some(&b'+') {
            // Quotes inside may hide the end that the server sees; without them there is one end.
            let quotes = |quote: u8| content.iter().filter(|byte| **byte == quote).count() % 2 == 1;
            if self.takes_hints && [b'\'', b'"', b'`'].into_iter().any(quotes) {
                self.doubts(Doubt::HintQuote);
            }
            self.sets_variable |= self.takes_hints
                && content.windows(7).any(|word| word.eq_ignore_ascii_case(b"SET_VAR"));
        } else if crate::hint::speaks_to_us(content) {
            let place = match self.tokens <= 1 && !self.executable {
                true => &mut self.directive,
                false => &mut self.late_directive,
            };
            place.get_or_insert((start, end));
        }
    }
}
