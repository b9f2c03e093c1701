//! Statements about tables: definitions, locks, temporary tables, `HANDLER`, `LOAD DATA`, blocks.

use crate::change::Change;
use crate::class::Verb;
use crate::pin::Pin;
use crate::scan::Kind;
use crate::why::Why;
use crate::word::{Kw, RESERVED};

use super::reader::Reader;
use super::{read, rules};

/// `CREATE ...`
pub(super) fn create(reader: &mut Reader<'_, '_>) {
    if reader.takes("OR") {
        reader.takes("REPLACE");
    }
    if reader.takes("TEMPORARY") {
        reader.class.commits = false;
        return create_temporary(reader);
    }
    // Before its kind only a definer, an algorithm and the like.
    while !reader.statement_ends() && !reader.token.is(b'(') {
        if ["USER", "ROLE"].iter().any(|word| reader.is_word(word)) {
            reader.class.verb = Verb::Account;
            reader.class.why = Why::ChangesAccounts;
        }
        if ["PROCEDURE", "FUNCTION", "TRIGGER", "EVENT", "PACKAGE"]
            .iter()
            .any(|word| reader.is_word(word))
        {
            return stored_program(reader);
        }
        if [
            "TABLE",
            "VIEW",
            "INDEX",
            "DATABASE",
            "SCHEMA",
            "SERVER",
            "SEQUENCE",
            "TABLESPACE",
            "USER",
            "ROLE",
        ]
        .iter()
        .any(|word| reader.is_word(word))
        {
            break;
        }
        reader.advance();
    }
    read::rest(reader);
}

/// A `;` in it may end a statement of its body or the whole: what stands behind one is not known.
fn stored_program(reader: &mut Reader<'_, '_>) {
    reader.skip();
    reader.in_block = true;
    if reader.token.kind == Kind::Semicolon {
        reader.advance();
        if !reader.at_end() {
            reader.class.pins(Pin::Opaque);
        }
    }
    reader.skip();
}

fn create_temporary(reader: &mut Reader<'_, '_>) {
    if !reader.takes("TABLE") && !reader.takes("SEQUENCE") {
        return rules::unknown(reader);
    }
    if reader.takes("IF") {
        reader.takes("NOT");
        reader.takes("EXISTS");
    }
    let Some((schema, name)) = reader.name() else { return rules::unknown(reader) };
    reader.class.changes.push(Change::TemporaryTableMade(schema, name));
    reader.class.pins(Pin::TemporaryTable);
    if reader.takes_mark(b'(') {
        reader.depth += 1;
    }
    read::rest(reader);
}

/// `DROP [TEMPORARY] TABLE a, b`; other things that are dropped have no part in a session.
pub(super) fn drop(reader: &mut Reader<'_, '_>) {
    reader.class.commits = !reader.takes("TEMPORARY");
    if !reader.takes("TABLE") && !reader.takes("TABLES") && !reader.takes("SEQUENCE") {
        return read::rest(reader);
    }
    if reader.takes("IF") {
        reader.takes("EXISTS");
    }
    while let Some((schema, name)) = reader.name() {
        reader.class.changes.push(Change::TableDropped(schema, name));
        if !reader.takes_mark(b',') {
            break;
        }
    }
    read::rest(reader);
}

/// `ALTER TABLE a ... RENAME [TO] b`: a temporary table goes by a new name.
pub(super) fn alter(reader: &mut Reader<'_, '_>) {
    let is_program =
        ["EVENT", "PROCEDURE", "FUNCTION", "DEFINER"].iter().any(|word| reader.is_word(word));
    if is_program {
        return stored_program(reader);
    }
    if !reader.has_temporary_tables {
        return read::rest(reader);
    }
    while !reader.statement_ends() {
        if reader.takes("RENAME") {
            let _ = reader.takes("TO") || reader.takes("AS");
            reader.takes_mark(b'=');
            if let Some((schema, name)) = reader.name() {
                reader.class.changes.push(Change::TemporaryTableMade(schema, name));
            }
            continue;
        }
        let token = reader.token;
        reader.advance();
        read::one(reader, token);
    }
}

/// `RENAME TABLE a TO b, ...`
pub(super) fn rename(reader: &mut Reader<'_, '_>) {
    while reader.has_temporary_tables && !reader.statement_ends() {
        if reader.takes("TO") {
            if let Some((schema, name)) = reader.name() {
                reader.class.changes.push(Change::TemporaryTableMade(schema, name));
            }
            continue;
        }
        reader.advance();
    }
    reader.skip();
}

pub(super) fn truncate(reader: &mut Reader<'_, '_>) {
    reader.takes("TABLE");
    read::table_name(reader);
    reader.skip();
}

/// `SHOW TABLES`: newer servers list temporary ones too.
pub(super) fn list(reader: &mut Reader<'_, '_>) {
    if reader.has_temporary_tables {
        reader.class.because(Why::TouchesTemporaryTable, None);
    }
    read::query(reader);
}

/// `DESCRIBE table`, or a statement whose plan is asked for.
pub(super) fn describe(reader: &mut Reader<'_, '_>) {
    const OF_STATEMENTS: [&str; 12] = [
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "REPLACE",
        "WITH",
        "TABLE",
        "VALUES",
        "FOR",
        "FORMAT",
        "EXTENDED",
        "PARTITIONS",
    ];
    let of_statement = reader.token.is(b'(')
        || reader.is_word("ANALYZE")
        || reader.is_word("INTO")
        || OF_STATEMENTS.iter().any(|word| reader.is_word(word));
    if of_statement {
        reader.class.verb = Verb::Explain;
        reader.class.why = Why::Metadata;
        explain(reader);
    } else {
        describe_table(reader);
    }
}

/// A table's name, and that of a column or a pattern.
fn describe_table(reader: &mut Reader<'_, '_>) {
    if !reader.token.is_identifier() || reader.token.slot.flags & RESERVED != 0 {
        return rules::unknown(reader);
    }
    if reader.token.keyword() == Kw::SystemSchema || reader.context.session.is_in_system_schema() {
        reader.class.because(Why::ServerLocal, Some(reader.word()));
    }
    read::table_name(reader);
    if reader.token.is_identifier() || reader.token.kind == Kind::String {
        reader.advance();
    }
    if !reader.statement_ends() {
        rules::unknown(reader);
    }
}

/// Servers have plans of their own, and MariaDB's `ANALYZE` and MySQL's `EXPLAIN ANALYZE` carry the
/// statement out.
pub(super) fn explain(reader: &mut Reader<'_, '_>) {
    while !reader.statement_ends() {
        let keyword = reader.token.keyword();
        let token = reader.token;
        reader.advance();
        if matches!(keyword, Kw::Insert | Kw::Replace) && !reader.token.is(b'(') {
            return super::read::write(reader, Verb::Explain);
        }
        read::one(reader, token);
    }
}

/// `LOAD DATA ... (a, @b) SET c = @b`: every variable is assigned.
pub(super) fn load(reader: &mut Reader<'_, '_>) {
    reader.assigns_variables = true;
    while !reader.statement_ends() {
        if reader.takes("INTO") && reader.takes("TABLE") {
            read::table_name(reader);
            if reader.takes_mark(b'(') {
                reader.depth += 1;
            }
            continue;
        }
        let token = reader.token;
        reader.advance();
        // A file's name, FIELDS TERMINATED BY and the like call nothing.
        if token.kind == Kind::UserVariable || (token.kind == Kind::Word && reader.token.is(b'(')) {
            read::one(reader, token);
        }
    }
}

pub(super) fn locks(reader: &mut Reader<'_, '_>) {
    reader.class.changes.push(Change::Locks);
    reader.skip();
}

pub(super) fn locks_and_commits(reader: &mut Reader<'_, '_>) {
    reader.class.commits = true;
    locks(reader);
}

pub(super) fn unlocks(reader: &mut Reader<'_, '_>) {
    reader.class.changes.push(Change::Unlocks);
    reader.skip();
}

/// `FLUSH TABLES ... WITH READ LOCK`, `FOR EXPORT` hold locks.
pub(super) fn flush(reader: &mut Reader<'_, '_>) {
    while !reader.statement_ends() {
        let holds = (reader.is_word("LOCK")
            && reader.before.text(reader.text).eq_ignore_ascii_case(b"READ"))
            || (reader.is_word("EXPORT") && reader.follows_keyword(Kw::For));
        if holds {
            reader.class.verb = Verb::Lock;
            reader.class.why = Why::LocksTables;
            reader.class.changes.push(Change::Locks);
            reader.class.pins(Pin::TableLocks);
        }
        reader.advance();
    }
}

/// `HANDLER t OPEN [[AS] a]`, `HANDLER a READ ...`, `HANDLER a CLOSE`
pub(super) fn handler(reader: &mut Reader<'_, '_>) {
    let Some((_, mut name)) = reader.name() else { return rules::unknown(reader) };
    if reader.takes("OPEN") {
        reader.takes("AS");
        name = reader.single_name().unwrap_or(name);
        reader.class.changes.push(Change::HandlerOpened(name));
        reader.class.pins(Pin::Handler);
    } else if reader.takes("CLOSE") {
        reader.class.changes.push(Change::HandlerClosed(name));
    } else {
        read::rest(reader);
    }
}

/// MariaDB's blocks outside of stored programs: a `;` ends nothing that can be told apart here.
pub(super) fn block(reader: &mut Reader<'_, '_>) {
    reader.in_block = true;
    reader.class.variance.unknown = true;
    read::rest(reader);
}
