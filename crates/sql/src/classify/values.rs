//! Values in `SET`: which are the same on every server.

use crate::change::Value;
use crate::scan::Kind;
use crate::word::Kw;

use super::read;
use super::reader::Reader;

/// Reads a value up to the next comma outside of parentheses, or the statement's end.
pub(super) fn value<'s>(reader: &mut Reader<'s, '_>) -> Value<'s> {
    let start = reader.token.start;
    let mut end = start;
    let mut tokens = 0;
    let mut constant = true;
    let depth = reader.depth;
    while !reader.statement_ends() {
        // `FOR` ends the list of `SET STATEMENT`.
        let ends = reader.token.is(b',') || reader.token.keyword() == Kw::For;
        if ends && reader.depth == depth {
            break;
        }
        let token = reader.token;
        let is_sign = tokens == 0 && (token.is(b'-') || token.is(b'+'));
        constant &= is_sign
            || matches!(token.kind, Kind::String | Kind::Number | Kind::Parameter)
            || (token.kind == Kind::Word && is_constant_word(token.text(reader.text), tokens));
        tokens += u32::from(!is_sign);
        reader.advance();
        read::one(reader, token);
        end = reader.before.end;
    }
    let text = reader.text.get(start..end).unwrap_or_default();
    match (constant, tokens) {
        (true, 1) if text.eq_ignore_ascii_case(b"DEFAULT") => Value::Default,
        // A placeholder's value is not in the text, but the client sends it.
        (true, 1) if text == b"?" => Value::Expression(text),
        (true, 1) => Value::Constant(text),
        // `_utf8'x'`
        (true, 2) if text.first() == Some(&b'_') => Value::Constant(text),
        _ => Value::Expression(text),
    }
}

/// Words that are values: `ON`, `utf8mb4`, `ROW`, but no clock and no function without parentheses.
fn is_constant_word(word: &[u8], before: u32) -> bool {
    let slot = crate::word::find(word, 0, word.len());
    before == 0 && slot.keyword != Kw::Clock && !word.eq_ignore_ascii_case(b"CURRENT_USER")
}

/// Whether a constant says on or off.
pub(super) fn switch(value: Value<'_>) -> Option<bool> {
    let Value::Constant(text) = value else { return None };
    let text = match text {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => text,
    };
    let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
    match () {
        () if is("1") || is("ON") || is("TRUE") => Some(true),
        () if is("0") || is("OFF") || is("FALSE") => Some(false),
        () => None,
    }
}
