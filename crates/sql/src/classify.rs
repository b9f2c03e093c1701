//! From a text to its [`Class`]: each statement by its first words, several merged into one.

mod prepared;
mod read;
mod reader;
pub(crate) mod rules;
mod set;
mod tables;
mod transaction;
mod values;

use crate::change::Change;
use crate::class::{Class, Route, Verb};
use crate::context::Context;
use crate::hint::{self, HintProblem, HintRoute};
use crate::pin::Pin;
use crate::scan::Doubt;
use crate::why::Why;
use crate::word::Kw;
use reader::Reader;

/// Says what is known of a text that a client sends: one statement, or several with `;` between.
///
/// It never fails, takes time in proportion to the length, and allocates only for what a statement
/// does to its session. [`Class::changes`] and [`Class::pin`] hold if the server then carries the
/// statement out: one that it refuses changes nothing.
pub fn classify<'s>(text: &'s [u8], context: &Context<'_>) -> Class<'s> {
    let mut reader = Reader::new(text, context);
    statement(&mut reader);
    let mut misread = false;
    while !reader.at_end() {
        next_statement(&mut reader, &mut misread);
    }
    finish(reader)
}

/// A further statement behind a `;`. Once a setting is changed by which statements are read, the
/// server reads the rest of the text by the new one, and this reader by the old one.
#[cold]
fn next_statement(reader: &mut Reader<'_, '_>, misread: &mut bool) {
    let own = &reader.class.changes[reader.judged..];
    *misread |= own.iter().any(changes_reading);
    let before = std::mem::replace(&mut reader.class, Class::of(Verb::Empty, Why::OnlyReads));
    reader.next_statement();
    statement(reader);
    let last = std::mem::replace(&mut reader.class, before);
    reader.judged = reader.class.changes.len();
    if *misread && last.verb != Verb::Empty {
        reader.class.doubt = Some(Doubt::Mode);
        reader.class.pins(Pin::Opaque);
        reader.class.can_retry = false;
    }
    merge(&mut reader.class, last);
}

/// Reads one statement into the reader's class, up to its `;` or the end.
#[inline]
fn statement(reader: &mut Reader<'_, '_>) {
    let mut depth = 0;
    while reader.token.is(b'(') {
        reader.advance();
        depth += 1;
    }
    reader.depth = depth;
    match reader.token.keyword() {
        Kw::Select | Kw::Values | Kw::Table => {
            reader.class.verb = Verb::Select;
            read::query(reader);
        }
        Kw::With => {
            reader.class.verb = Verb::Select;
            reader.in_with_list = true;
            read::query(reader);
        }
        _ if depth > 0 => rules::unknown(reader),
        Kw::Insert => read::write(reader, Verb::Insert),
        Kw::Replace => read::write(reader, Verb::Replace),
        Kw::Update => read::write(reader, Verb::Update),
        Kw::Delete => read::write(reader, Verb::Delete),
        _ => rules::by_first_words(reader),
    }
    conclude(reader);
}

/// What follows from all that was seen of a statement.
#[inline]
fn conclude(reader: &mut Reader<'_, '_>) {
    let class = &mut reader.class;
    class.route = class.why.route();
    if class.why == Why::AssignsVariable && class.follows.previous() {
        // The assignment can be made on any connection, the question only on one.
        class.why = Why::AsksPrevious;
        class.route = Route::Previous;
    }
    class.can_retry = class.pin.is_none()
        && matches!(
            class.why,
            Why::OnlyReads
                | Why::ReadOnlyTransaction
                | Why::SetsSession
                | Why::ServerLocal
                | Why::Metadata
                | Why::BeginsTransaction
        );
}

/// Adds a further statement of the same text.
fn merge<'s>(class: &mut Class<'s>, mut next: Class<'s>) {
    if next.verb == Verb::Empty {
        return;
    }
    if class.verb == Verb::Empty {
        *class = next;
        return;
    }
    class.route = match (class.route, next.route) {
        (Route::Replica, Route::Replica | Route::Previous) => Route::Replica,
        (Route::Previous, Route::Replica | Route::Previous) => Route::Previous,
        _ => Route::Primary,
    };
    if class.route == Route::Primary {
        class.why = Why::SeveralStatements;
        class.subject = None;
    }
    class.verb = Verb::Several;
    class.follows.merge(next.follows);
    class.changes.append(&mut next.changes);
    class.reads.user_variables.append(&mut next.reads.user_variables);
    class.reads.system_variables.append(&mut next.reads.system_variables);
    if let Some(pin) = next.pin {
        class.pins(pin);
    }
    class.variance.merge(next.variance);
    class.commits |= next.commits;
    class.can_retry &= next.can_retry;
    class.counts_found_rows |= next.counts_found_rows;
    class.statements += 1;
}

/// Whether what follows in the same text is cut into words in another way.
fn changes_reading(change: &Change<'_>) -> bool {
    match change {
        Change::Names(..) | Change::CharacterSet(_) => true,
        Change::SystemVariable { name, .. } => ["sql_mode", "character_set_client"]
            .iter()
            .any(|word| name.eq_ignore_ascii_case(word.as_bytes())),
        _ => false,
    }
}

/// What holds for the whole text: doubts and hints.
#[inline]
fn finish<'s>(reader: Reader<'s, '_>) -> Class<'s> {
    let mut class = reader.class;
    class.sets_variable = reader.scanner.sets_variable;
    if let Some(doubt) = reader.scanner.doubt() {
        class.doubt = Some(doubt);
        class.because(Why::Uncertain, None);
        class.route = Route::Primary;
        class.pins(Pin::Opaque);
        class.can_retry = false;
    }
    if reader.scanner.directive.is_some() || reader.scanner.late_directive.is_some() {
        obey(&mut class, reader.text, reader.scanner.directive, reader.scanner.late_directive);
    }
    class
}

/// Obeys a hint, or says why not.
#[cold]
fn obey(
    class: &mut Class<'_>,
    text: &[u8],
    directive: Option<(usize, usize)>,
    late: Option<(usize, usize)>,
) {
    let parsed = match (directive, late) {
        (_, Some(_)) => Err(HintProblem::Misplaced),
        (Some((start, end)), None) => hint::parse(text.get(start..end).unwrap_or_default()),
        (None, None) => return,
    };
    let hint = match parsed {
        Ok(hint) => hint,
        Err(problem) => {
            class.hint_problem = Some(problem);
            return;
        }
    };
    match (hint.route, class.route) {
        (Some(HintRoute::Primary), Route::Replica) => class.route = Route::Primary,
        (Some(HintRoute::Replica), Route::Primary) if class.why.yields_to_hint() => {
            class.route = Route::Replica;
        }
        (Some(HintRoute::Replica), Route::Primary | Route::Previous | Route::Transaction) => {
            class.hint_problem = Some(HintProblem::NotOnReplica);
            return;
        }
        _ => {}
    }
    class.hint = hint;
}

/// Whether any change needs a value that only the server knows.
pub(crate) fn needs_the_server(changes: &[Change<'_>]) -> bool {
    changes.iter().any(|change| match change {
        Change::SystemVariable { value, .. } | Change::UserVariable { value, .. } => {
            !value.can_be_carried()
        }
        Change::Autocommit(None) | Change::Isolation(_, None) | Change::ReadOnly(_, None) => true,
        _ => false,
    })
}
