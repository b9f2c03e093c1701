//! `SET` in all its kinds, and `USE`.

use crate::change::{Change, Isolation, Scope, Value};
use crate::pin::Pin;
use crate::scan::Kind;
use crate::why::Why;
use crate::word::Kw;

use super::reader::Reader;
use super::{needs_the_server, read, rules, statement as any_statement, values};

/// Variables that belong to one connection: their value on another one would be wrong, or would
/// write another binary log.
pub(crate) const OF_ONE_CONNECTION: &[&str] = &[
    "debug",
    "debug_dbug",
    "debug_sync",
    "gtid_domain_id",
    "gtid_next",
    "gtid_seq_no",
    "insert_id",
    "last_insert_id",
    "identity",
    "pseudo_replica_mode",
    "pseudo_slave_mode",
    "pseudo_thread_id",
    "rand_seed1",
    "rand_seed2",
    "server_id",
    "skip_replication",
    "sql_log_bin",
    "sql_log_off",
    "timestamp",
    "wsrep_on",
    "wsrep_trx_fragment_size",
    "wsrep_osu_method",
];

/// `SET a = 1, @b = 2, GLOBAL c = 3, ...`
pub(super) fn assignments(reader: &mut Reader<'_, '_>) {
    let mut scope = Scope::Session;
    loop {
        if !assignment(reader, &mut scope) {
            rules::unknown(reader);
            return;
        }
        if !reader.takes_mark(b',') {
            break;
        }
    }
    if !reader.statement_ends() {
        rules::unknown(reader);
        return;
    }
    if needs_the_server(&reader.class.changes) {
        reader.class.because(Why::AssignsVariable, None);
    }
}

fn assignment(reader: &mut Reader<'_, '_>, scope: &mut Scope) -> bool {
    if reader.token.kind == Kind::UserVariable {
        let name = reader.token.name(reader.text);
        reader.advance();
        if !takes_assign(reader) {
            return false;
        }
        let value = match values::value(reader) {
            // There is no default of a user variable.
            Value::Default => Value::Computed,
            value => value,
        };
        reader.assigns(name, value);
        return true;
    }
    let mut own = *scope;
    let mut one_time = false;
    if reader.token.kind == Kind::SystemVariable {
        reader.advance();
        // `SET @@tx_isolation = x` is of the next transaction only; `@@session.` is of the session.
        one_time = true;
        if let Some(found) = scope_word(reader) {
            if !reader.takes_mark(b'.') {
                return false;
            }
            own = found;
            one_time = false;
        } else {
            own = Scope::Session;
        }
    } else if let Some(found) = scope_word(reader) {
        own = found;
        *scope = found;
        // `SET SESSION TRANSACTION ...` in a list does not exist.
    }
    let Some(name) = reader.single_name() else { return false };
    if reader.token.is(b'.') || !takes_assign(reader) {
        return false;
    }
    let value = values::value(reader);
    variable(reader, own, one_time, name, value);
    true
}

fn takes_assign(reader: &mut Reader<'_, '_>) -> bool {
    if reader.token.kind == Kind::Assign {
        reader.advance();
        return true;
    }
    reader.takes_mark(b'=')
}

fn scope_word(reader: &mut Reader<'_, '_>) -> Option<Scope> {
    // A variable has a name like none of these.
    if reader.takes("SESSION") || reader.takes("LOCAL") {
        return Some(Scope::Session);
    }
    let global = reader.takes("GLOBAL") || reader.takes("PERSIST") || reader.takes("PERSIST_ONLY");
    global.then_some(Scope::Global)
}

/// Notes what setting a system variable means.
fn variable<'s>(
    reader: &mut Reader<'s, '_>,
    scope: Scope,
    one_time: bool,
    name: &'s [u8],
    value: Value<'s>,
) {
    let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
    let class = &mut reader.class;
    if scope == Scope::Global {
        class.changes.push(Change::SystemVariable { scope, name, value });
        class.because(Why::SetsServer, Some(name));
        return;
    }
    let of_transaction = if one_time { Scope::NextTransaction } else { scope };
    if is("autocommit") {
        let on = values::switch(value);
        // Switching it on ends a transaction that was open because it was off.
        class.commits |= on != Some(false);
        class.changes.push(Change::Autocommit(on));
    } else if is("transaction_isolation") || is("tx_isolation") {
        let level = isolation_named(value);
        class.changes.push(Change::Isolation(of_transaction, level));
        if level == Some(Isolation::Serializable) {
            class.pins(Pin::Serializable);
        }
    } else if is("transaction_read_only") || is("tx_read_only") {
        class.changes.push(Change::ReadOnly(of_transaction, values::switch(value)));
    } else {
        class.changes.push(Change::SystemVariable { scope, name, value });
        if OF_ONE_CONNECTION.iter().any(|word| is(word)) {
            class.because(Why::AssignsVariable, Some(name));
            class.pins(Pin::ConnectionVariable);
            return;
        }
    }
    if class.changes.last().is_some_and(|change| needs_the_server(&[*change])) {
        class.pins(Pin::SessionVariable);
    }
}

fn isolation_named(value: Value<'_>) -> Option<Isolation> {
    let Value::Constant(text) = value else { return None };
    let text = match text {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => text,
    };
    let is = |word: &str| text.eq_ignore_ascii_case(word.as_bytes());
    match () {
        () if is("READ-UNCOMMITTED") => Some(Isolation::ReadUncommitted),
        () if is("READ-COMMITTED") => Some(Isolation::ReadCommitted),
        () if is("REPEATABLE-READ") => Some(Isolation::RepeatableRead),
        () if is("SERIALIZABLE") => Some(Isolation::Serializable),
        () => None,
    }
}

pub(super) fn next_transaction(reader: &mut Reader<'_, '_>) {
    characteristics(reader, Scope::NextTransaction);
}

pub(super) fn session_transaction(reader: &mut Reader<'_, '_>) {
    characteristics(reader, Scope::Session);
}

pub(super) fn global_transaction(reader: &mut Reader<'_, '_>) {
    characteristics(reader, Scope::Global);
}

/// `ISOLATION LEVEL x, READ ONLY`
fn characteristics(reader: &mut Reader<'_, '_>, scope: Scope) {
    loop {
        if reader.takes("ISOLATION") {
            reader.takes("LEVEL");
            let level = match () {
                () if reader.takes("SERIALIZABLE") => Isolation::Serializable,
                () if reader.takes("REPEATABLE") && reader.takes("READ") => {
                    Isolation::RepeatableRead
                }
                () if reader.takes("READ") && reader.takes("COMMITTED") => Isolation::ReadCommitted,
                () if reader.takes("UNCOMMITTED") => Isolation::ReadUncommitted,
                () => return rules::unknown(reader),
            };
            reader.class.changes.push(Change::Isolation(scope, Some(level)));
            if level == Isolation::Serializable && scope != Scope::Global {
                reader.class.pins(Pin::Serializable);
            }
        } else if reader.takes("READ") {
            let only = reader.takes("ONLY");
            if !only && !reader.takes("WRITE") {
                return rules::unknown(reader);
            }
            reader.class.changes.push(Change::ReadOnly(scope, Some(only)));
        } else {
            return rules::unknown(reader);
        }
        if !reader.takes_mark(b',') {
            break;
        }
    }
    if !reader.statement_ends() {
        rules::unknown(reader);
    }
}

/// `SET NAMES x COLLATE y, a = 1`: assignments may follow.
pub(super) fn names(reader: &mut Reader<'_, '_>) {
    if reader.token.is(b'=') {
        // A variable called `names` does not exist: the server refuses it.
        return rules::unknown(reader);
    }
    let set = word_or_string(reader);
    let collation = if reader.takes("COLLATE") { word_or_string(reader) } else { None };
    reader.class.changes.push(Change::Names(set.flatten(), collation.flatten()));
    more(reader, set.is_some());
}

pub(super) fn character_set(reader: &mut Reader<'_, '_>) {
    let set = word_or_string(reader);
    reader.class.changes.push(Change::CharacterSet(set.flatten()));
    more(reader, set.is_some());
}

fn more(reader: &mut Reader<'_, '_>, understood: bool) {
    if !understood {
        rules::unknown(reader);
    } else if reader.takes_mark(b',') {
        assignments(reader);
    } else if !reader.statement_ends() {
        rules::unknown(reader);
    }
}

/// A name as a word or a string; `Some(None)` is DEFAULT.
fn word_or_string<'s>(reader: &mut Reader<'s, '_>) -> Option<Option<&'s [u8]>> {
    if !reader.token.is_identifier() && reader.token.kind != Kind::String {
        return None;
    }
    let is_default = reader.is_word("DEFAULT");
    let name = reader.token.name(reader.text);
    reader.advance();
    Some((!is_default).then_some(name))
}

pub(super) fn role(reader: &mut Reader<'_, '_>) {
    let start = reader.token.start;
    reader.skip();
    let text = reader.text.get(start..reader.before.end).unwrap_or_default();
    reader.class.changes.push(Change::Role(text));
}

pub(super) fn schema(reader: &mut Reader<'_, '_>) {
    match reader.single_name() {
        Some(name) if reader.statement_ends() => {
            reader.class.changes.push(Change::Schema(name));
        }
        _ => rules::unknown(reader),
    }
}

/// MariaDB's `SET STATEMENT a = 1, b = 2 FOR statement`: the statement decides.
pub(super) fn statement(reader: &mut Reader<'_, '_>) {
    loop {
        // Other expressions than constants are noticed as in any statement.
        if reader.single_name().is_none() || !takes_assign(reader) {
            return rules::unknown(reader);
        }
        values::value(reader);
        if !reader.takes_mark(b',') {
            break;
        }
    }
    if reader.token.keyword() != Kw::For {
        return rules::unknown(reader);
    }
    reader.advance();
    let before = (reader.class.why, reader.class.subject);
    any_statement(reader);
    reader.class.because(before.0, before.1);
    read::rest(reader);
}
