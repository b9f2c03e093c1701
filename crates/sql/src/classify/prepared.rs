//! `PREPARE`, `EXECUTE`, `DEALLOCATE`, `CALL`, `KILL`.

use crate::change::Change;
use crate::context::Prepared;
use crate::pin::Pin;
use crate::scan::Kind;
use crate::why::Why;

use super::reader::Reader;
use super::{read, rules};

pub(super) fn prepare(reader: &mut Reader<'_, '_>) {
    let Some(name) = reader.single_name() else { return rules::unknown(reader) };
    if !reader.takes("FROM") {
        return rules::unknown(reader);
    }
    let text = reader.token.text(reader.text);
    let is_string = reader.token.kind == Kind::String && matches!(text, [b'\'' | b'"', ..]);
    let token = reader.token;
    reader.advance();
    if is_string && reader.statement_ends() {
        let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        reader.class.changes.push(Change::Prepared(name, Some(inner)));
        return;
    }
    reader.class.changes.push(Change::Prepared(name, None));
    reader.class.because(Why::UnknownPrepared, Some(name));
    reader.class.pins(Pin::PreparedText);
    read::one(reader, token);
    read::rest(reader);
}

pub(super) fn execute(reader: &mut Reader<'_, '_>) {
    let Some(name) = reader.single_name() else { return rules::unknown(reader) };
    reader.class.changes.push(Change::Executed(name));
    match reader.context.session.prepared(name) {
        Prepared::Replica => {}
        Prepared::Primary => reader.class.because(Why::UnknownPrepared, Some(name)),
        Prepared::Unknown => {
            reader.class.because(Why::UnknownPrepared, Some(name));
            reader.class.pins(Pin::Opaque);
        }
    }
    read::rest(reader);
}

pub(super) fn deallocate(reader: &mut Reader<'_, '_>) {
    match reader.single_name() {
        Some(name) => reader.class.changes.push(Change::Deallocated(name)),
        None => rules::unknown(reader),
    }
}

pub(super) fn call(reader: &mut Reader<'_, '_>) {
    let Some((_, name)) = reader.name() else { return rules::unknown(reader) };
    reader.class.subject = Some(name);
    reader.class.variance.unknown = true;
    if reader.context.session.procedure_leaves_nothing(name) {
        reader.class.pin = None;
    }
    // A variable that is given to it may be one for results.
    reader.assigns_variables = true;
    if reader.takes_mark(b'(') {
        reader.depth += 1;
    }
    read::rest(reader);
}

/// `KILL [HARD | SOFT] [CONNECTION | QUERY [ID]] id | USER name`
pub(super) fn kill(reader: &mut Reader<'_, '_>) {
    let _ = reader.takes("HARD") || reader.takes("SOFT");
    let query = !reader.takes("CONNECTION") && reader.takes("QUERY");
    // The id of a query is not that of a connection.
    let is_query_id = reader.takes("ID");
    let token = reader.token;
    let id = std::str::from_utf8(token.text(reader.text)).ok().and_then(|text| text.parse().ok());
    reader.advance();
    let id = id.filter(|_| !is_query_id && token.kind == Kind::Number && reader.statement_ends());
    reader.class.changes.push(Change::Kill { query, id });
    read::one(reader, token);
    read::rest(reader);
}
