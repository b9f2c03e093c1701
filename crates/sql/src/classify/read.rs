//! Queries, writes, and expressions in any statement: one pass over the tokens that notices whatever
//! could make a statement more than a read.

use crate::change::{Change, Value};
use crate::class::Verb;
use crate::context::VariableState;
use crate::pin::Pin;
use crate::scan::{Kind, Token};
use crate::why::Why;
use crate::word::{BEFORE_PARENTHESIS, Function, Kw, NO_SPACE};

use super::reader::Reader;

/// `SELECT`, `WITH`, `VALUES`, `TABLE`, in parentheses or not.
#[inline]
pub(super) fn query(reader: &mut Reader<'_, '_>) {
    if reader.context.session.is_in_system_schema() {
        reader.class.because(Why::ServerLocal, None);
    }
    rest(reader);
}

/// `INSERT`, `UPDATE`, `DELETE`, `REPLACE`.
#[inline]
pub(super) fn write(reader: &mut Reader<'_, '_>, verb: Verb) {
    reader.class.verb = verb;
    reader.class.because(Why::WritesRows, None);
    reader.advance();
    if matches!(verb, Verb::Insert | Verb::Replace) {
        // The table's name, so that its column list is not taken for a call.
        while ["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"]
            .iter()
            .any(|word| reader.is_word(word))
        {
            reader.advance();
        }
        table_name(reader);
        if reader.takes_mark(b'(') {
            reader.depth += 1;
        }
    }
    rest(reader);
}

/// Steps over a table's name, and notices if it is a temporary one.
pub(super) fn table_name(reader: &mut Reader<'_, '_>) {
    while reader.token.is_identifier() {
        watched(reader, reader.token);
        reader.advance();
        if !reader.takes_mark(b'.') {
            break;
        }
    }
}

/// Everything up to the statement's end.
#[inline]
pub(super) fn rest(reader: &mut Reader<'_, '_>) {
    while !reader.statement_ends() {
        let token = reader.token;
        reader.advance();
        one(reader, token);
    }
}

/// One token; the reader is behind it.
#[inline]
pub(super) fn one(reader: &mut Reader<'_, '_>, token: Token) {
    match token.kind {
        Kind::Word => word(reader, token),
        Kind::Quoted => quoted(reader, token),
        Kind::Mark(b'(') => {
            // The query of `WITH x AS (...) (SELECT ...)`.
            if reader.depth == 0 && reader.earlier.is(b')') {
                reader.in_with_list = false;
            }
            reader.depth += 1;
            reader.ordered &= !level(reader.depth);
        }
        Kind::Mark(b')') => reader.depth = reader.depth.saturating_sub(1),
        Kind::UserVariable => user_variable(reader, token),
        Kind::SystemVariable => system_variable(reader),
        Kind::Assign if reader.earlier.kind != Kind::UserVariable => {
            reader.class.because(Why::AssignsVariable, None);
        }
        _ => {}
    }
}

fn level(depth: u32) -> u64 {
    1_u64.checked_shl(depth).unwrap_or(0)
}

#[inline]
fn word(reader: &mut Reader<'_, '_>, token: Token) {
    if reader.watches_names {
        watched(reader, token);
    }
    match token.keyword() {
        Kw::None | Kw::Clause => {}
        keyword => self::keyword(reader, keyword, token),
    }
    if reader.token.is(b'(') {
        call(reader, token);
    }
}

fn keyword(reader: &mut Reader<'_, '_>, keyword: Kw, token: Token) {
    let before = reader.earlier.keyword();
    let calls = reader.token.is(b'(');
    let top = reader.depth == 0;
    match keyword {
        Kw::Select | Kw::Values | Kw::Table if top => reader.in_with_list = false,
        Kw::Update | Kw::Share if before == Kw::For => {
            reader.class.because(Why::LocksRows, None);
        }
        Kw::Insert | Kw::Replace if calls => {}
        Kw::Insert | Kw::Replace | Kw::Update | Kw::Delete => {
            if reader.in_with_list && top {
                reader.in_with_list = false;
                reader.class.verb = if keyword == Kw::Update { Verb::Update } else { Verb::Delete };
            }
            reader.class.because(Why::WritesRows, Some(token.text(reader.text)));
        }
        Kw::Lock => reader.class.because(Why::LocksRows, None),
        Kw::Into => into(reader),
        Kw::Procedure => {
            reader.class.because(Why::UnknownStatement, Some(token.text(reader.text)));
        }
        Kw::Next | Kw::Previous if reader.token.keyword() == Kw::Value => {
            reader.class.because(Why::MovesSequence, None);
        }
        Kw::Order => reader.ordered |= level(reader.depth),
        Kw::Limit if reader.ordered & level(reader.depth) == 0 => {
            reader.class.variance.limit_without_order = true;
        }
        Kw::CalcFoundRows => reader.class.counts_found_rows = true,
        Kw::Clock => reader.class.variance.clock = true,
        Kw::SystemSchema if reader.token.is(b'.') || reader.class.verb == Verb::Show => {
            reader.class.because(Why::ServerLocal, Some(token.text(reader.text)));
        }
        _ => {}
    }
}

/// `SELECT ... INTO`; that of `INSERT INTO` does not come here.
#[cold]
fn into(reader: &mut Reader<'_, '_>) {
    if reader.token.kind != Kind::UserVariable {
        // A file; or a variable of a procedure, which is none of ours.
        reader.class.because(Why::WritesFile, None);
        return;
    }
    while reader.token.kind == Kind::UserVariable {
        let name = reader.token.name(reader.text);
        reader.assigns(name, Value::Computed);
        reader.advance();
        if !reader.takes_mark(b',') {
            break;
        }
    }
}

fn quoted(reader: &mut Reader<'_, '_>, token: Token) {
    if reader.watches_names {
        watched(reader, token);
    }
    let name = token.name(reader.text);
    let may_be_schema = reader.token.is(b'.') || reader.class.verb == Verb::Show;
    if may_be_schema && crate::word::find(name, 0, name.len()).keyword == Kw::SystemSchema {
        reader.class.because(Why::ServerLocal, Some(name));
    }
    if reader.token.is(b'(') {
        call(reader, token);
    }
}

fn watched(reader: &mut Reader<'_, '_>, token: Token) {
    if !reader.watches_names {
        return;
    }
    let (session, name) = (reader.context.session, token.name(reader.text));
    if reader.has_temporary_tables && session.is_temporary(name) {
        reader.class.because(Why::TouchesTemporaryTable, Some(name));
    } else if session.is_view_that_may_write(name) {
        reader.class.because(Why::ReadsUnsafeView, Some(name));
    }
}

fn user_variable(reader: &mut Reader<'_, '_>, token: Token) {
    let name = token.name(reader.text);
    if reader.token.kind == Kind::Assign || reader.assigns_variables {
        reader.assigns(name, Value::Computed);
        return;
    }
    reader.class.reads.user_variables.push(name);
    if reader.context.session.user_variable(name) == VariableState::OnPrimary {
        reader.class.because(Why::VariableOnPrimary, Some(name));
    }
}

/// The reader is behind `@@`.
fn system_variable(reader: &mut Reader<'_, '_>) {
    let Some(mut name) = reader.single_name() else { return };
    if ["GLOBAL", "SESSION", "LOCAL"].iter().any(|word| name.eq_ignore_ascii_case(word.as_bytes()))
        && reader.takes_mark(b'.')
    {
        name = reader.single_name().unwrap_or_default();
    }
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    if is("warning_count") || is("error_count") {
        reader.class.follows.diagnostics = true;
        reader.class.because(Why::AsksPrevious, Some(name));
    } else if is("identity") || is("last_insert_id") {
        reader.class.follows.insert_id = true;
        reader.class.because(Why::AsksInsertId, Some(name));
    } else {
        reader.class.reads.system_variables.push(name);
        reader.class.variance.server = true;
        reader.class.because(Why::ServerLocal, Some(name));
    }
}

/// A name with a parenthesis behind it, which is at hand.
fn call(reader: &mut Reader<'_, '_>, token: Token) {
    let text = reader.text;
    let qualified = reader.earlier.is(b'.');
    if !qualified {
        if token.slot.flags & BEFORE_PARENTHESIS != 0 && token.slot.function == Function::None {
            return;
        }
        // Behind a value or AS it is a name with columns, in a WITH list a name with columns too.
        let is_alias = match reader.earlier.kind {
            Kind::Mark(b')') | Kind::String | Kind::Number => true,
            _ => reader.earlier.keyword() == Kw::As,
        };
        let in_with_list = reader.in_with_list
            && reader.depth == 0
            && (reader.earlier.is(b',')
                || reader.earlier.keyword() == Kw::With
                || reader.earlier.text(text).eq_ignore_ascii_case(b"RECURSIVE"));
        if is_alias || in_with_list {
            return;
        }
    }
    let tight = token.slot.flags & NO_SPACE == 0
        || !reader.token.spaced
        || reader.context.sql_mode.ignore_space;
    let function = match qualified || token.kind == Kind::Quoted || !tight {
        true => Function::None,
        false => token.slot.function_of(reader.context.oldest, reader.context.newest),
    };
    let name = token.name(text);
    let class = &mut reader.class;
    match function {
        Function::Pure | Function::Sleeps => {}
        Function::Clock => class.variance.clock = true,
        Function::Random => class.variance.random = true,
        Function::Unique => class.variance.unique = true,
        Function::Local => {
            class.variance.server = true;
            class.because(Why::ServerLocal, Some(name));
        }
        Function::InsertId => {
            class.follows.insert_id = true;
            class.because(Why::AsksInsertId, None);
        }
        Function::RowCount => {
            class.follows.row_count = true;
            class.because(Why::AsksPrevious, None);
        }
        Function::FoundRows => {
            class.follows.found_rows = true;
            class.because(Why::AsksPrevious, None);
        }
        Function::TakesLock => {
            class.changes.push(Change::NamedLock);
            class.pins(Pin::NamedLock);
            class.because(Why::NamedLock, Some(name));
        }
        Function::OfLocks => {
            if name.eq_ignore_ascii_case(b"RELEASE_ALL_LOCKS") {
                class.changes.push(Change::ReleasesNamedLocks);
            }
            class.because(Why::NamedLock, Some(name));
        }
        Function::Sequence => class.because(Why::MovesSequence, Some(name)),
        Function::None => stored(reader, name),
    }
}

/// A stored or loadable function.
#[cold]
fn stored<'s>(reader: &mut Reader<'s, '_>, name: &'s [u8]) {
    let schema = qualifier(reader);
    if !reader.context.session.function_only_reads(schema, name) {
        reader.class.variance.unknown = true;
        reader.class.because(Why::UnknownFunction, Some(name));
    }
}

/// The schema that stands before a called function. The reader keeps two tokens only: the point is
/// the second last, so the schema is looked for in the text.
fn qualifier<'s>(reader: &Reader<'s, '_>) -> Option<&'s [u8]> {
    let point = reader.earlier;
    if !point.is(b'.') {
        return None;
    }
    let head = reader.text.get(..point.start)?.trim_ascii_end();
    let head = head.strip_suffix(b"`").map_or(head, |head| head);
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$');
    let start = head.iter().rposition(|byte| !is_part(byte)).map_or(0, |at| at + 1);
    Some(&head[start..])
}
