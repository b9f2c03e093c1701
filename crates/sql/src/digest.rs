//! Statements without their values: the same text and number for all that differ in values,
//! comments, white space, and the case of keywords only.
//!
//! As MySQL's digests, with fewer spaces: values are `?`; a list of values behind `IN` and a row of
//! values behind `VALUES` are `(...)`, however many; further rows of values are left out; the sign of
//! a value belongs to it; an identifier loses quotes that it does not need.

mod lists;
mod output;

use crate::context::Context;
use crate::scan::{Kind, Scanner, Token};
use crate::word::{BEFORE_PARENTHESIS, Function, RESERVED};
use lists::Lists;
use output::Output;

/// What a statement looks like without its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// A hash of the whole, also of what did not fit into the buffer; the same in every version of
    /// this program that writes the same text.
    pub hash: u64,
    /// How many bytes of the buffer were written.
    pub length: usize,
    /// Whether the buffer was too small for the whole.
    pub truncated: bool,
}

/// Writes a statement without its values into the buffer.
///
/// The bytes of identifiers are kept as they are, valid or not; a character that does not fit is cut
/// off at the buffer's end.
pub fn digest(text: &[u8], context: &Context<'_>, buffer: &mut [u8]) -> Digest {
    let mut scanner = Scanner::new(text, context);
    let mut writer = Writer {
        text,
        output: Output::new(buffer),
        lists: Lists::default(),
        before: None,
        sign: None,
        semicolon: false,
    };
    let mut token = scanner.next_token();
    while token.kind != Kind::End {
        let next = scanner.next_token();
        writer.token(token, next);
        token = next;
    }
    writer.flush_sign();
    writer.output.finish()
}

struct Writer<'s, 'o> {
    text: &'s [u8],
    output: Output<'o>,
    lists: Lists,
    /// The token before, as far as it was written or counts as written.
    before: Option<Token>,
    /// A sign that may belong to a value.
    sign: Option<Token>,
    /// A `;` that counts only if something follows.
    semicolon: bool,
}

impl Writer<'_, '_> {
    fn token(&mut self, token: Token, next: Token) {
        if token.kind == Kind::Semicolon {
            self.flush_sign();
            self.semicolon = self.before.is_some();
            return;
        }
        if std::mem::take(&mut self.semicolon) {
            self.output.piece(b";", false);
            self.lists = Lists::default();
        }
        if matches!(token.kind, Kind::Mark(b'-' | b'+')) && !self.ends_operand() {
            self.flush_sign();
            self.sign = Some(token);
            return;
        }
        let is_value = is_value(token) || self.is_null_in_list(token);
        if is_value && token.kind == Kind::Number {
            self.sign = None;
        }
        self.flush_sign();
        if is_value {
            self.value(token);
        } else {
            self.lists.other(token, &mut self.output);
            self.write(token, next);
            if token.is(b')') {
                self.lists.row_closed(&mut self.output);
            }
        }
        self.before = Some(token);
    }

    /// Writes a sign that belongs to no value.
    fn flush_sign(&mut self) {
        if let Some(sign) = self.sign.take() {
            self.lists.other(sign, &mut self.output);
            self.write(sign, sign);
            self.before = Some(sign);
        }
    }

    /// Whether a sign behind the last token is an operator between two operands.
    fn ends_operand(&self) -> bool {
        if self.sign.is_some() {
            return false;
        }
        self.before.is_some_and(|before| match before.kind {
            Kind::Mark(mark) => mark == b')',
            Kind::Word => before.slot.flags & RESERVED == 0,
            Kind::Assign | Kind::SystemVariable | Kind::Semicolon | Kind::End => false,
            Kind::Quoted | Kind::String | Kind::Number | Kind::Parameter | Kind::UserVariable => {
                true
            }
        })
    }

    fn is_null_in_list(&self, token: Token) -> bool {
        token.kind == Kind::Word
            && self.lists.folds()
            && token.text(self.text).eq_ignore_ascii_case(b"NULL")
    }

    fn value(&mut self, token: Token) {
        let glued = token.kind == Kind::String
            && self.before.is_some_and(|before| before.kind == Kind::String);
        if glued {
            return;
        }
        let starts_item =
            self.before.is_some_and(|before| matches!(before.kind, Kind::Mark(b'(' | b',')));
        if let Some(text) = self.lists.value(starts_item, &mut self.output) {
            let spaced = self.wants_space(token);
            self.output.piece(text, spaced);
        }
    }

    fn write(&mut self, token: Token, next: Token) {
        let spaced = self.wants_space(token);
        let own = token.text(self.text);
        if token.is(b',') && self.lists.holds_comma() {
            return;
        }
        let calls = token.slot.function != Function::None && next.is(b'(');
        match token.kind {
            Kind::Word if token.slot.flags & RESERVED != 0 || calls => {
                self.output.piece(token.slot.name.as_bytes(), spaced);
            }
            Kind::Quoted if needs_no_quotes(token.name(self.text)) => {
                self.output.piece(token.name(self.text), spaced);
            }
            _ => self.output.piece(own, spaced),
        }
    }

    /// Whether a space stands between the last token and this one.
    fn wants_space(&self, token: Token) -> bool {
        let Some(before) = self.before else { return false };
        let joins_before = match before.kind {
            Kind::SystemVariable => true,
            Kind::Mark(mark) => match token.kind {
                _ if matches!(mark, b'(' | b'.') => true,
                Kind::Mark(other) => !token.spaced && mark != b')' && mark != b',' && other != b'(',
                _ => false,
            },
            _ => false,
        };
        let joins_this = match token.kind {
            Kind::Mark(b')' | b',' | b'.') => true,
            Kind::Mark(b'(') => {
                before.is_identifier() && before.slot.flags & BEFORE_PARENTHESIS == 0
            }
            _ => false,
        };
        !joins_before && !joins_this
    }
}

fn is_value(token: Token) -> bool {
    matches!(token.kind, Kind::String | Kind::Number | Kind::Parameter)
}

/// Whether a quoted identifier is the same without quotes.
fn needs_no_quotes(name: &[u8]) -> bool {
    name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        && crate::word::find(name, 0, name.len()).name.is_empty()
}
