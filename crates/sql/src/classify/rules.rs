//! Statements by their first words: the table, and how a statement finds its row. Queries and writes
//! of rows are not here; they are known by their first word alone (`classify.rs`).

use crate::class::Verb;
use crate::pin::Pin;
use crate::scan::{Kind, Token};
use crate::why::Why;

use super::reader::Reader;
use super::{prepared, read, set, tables, transaction};

/// How the rest of a statement is read; the reader is behind the words of the row.
type Parse = fn(&mut Reader<'_, '_>);

/// What a statement that begins with these words is.
pub(crate) struct Rule {
    /// The words; the first row that fits counts.
    pub(crate) words: &'static str,
    pub(crate) verb: Verb,
    pub(crate) why: Why,
    /// It commits an open transaction.
    pub(crate) commits: bool,
    /// It binds the session.
    pub(crate) pin: Option<Pin>,
    parse: Parse,
}

const fn rule(words: &'static str, verb: Verb, why: Why, parse: Parse) -> Rule {
    Rule { words, verb, why, commits: false, pin: None, parse }
}

const fn commits(words: &'static str, verb: Verb, why: Why, parse: Parse) -> Rule {
    Rule { words, verb, why, commits: true, pin: None, parse }
}

const fn pins(words: &'static str, verb: Verb, why: Why, pin: Pin, parse: Parse) -> Rule {
    Rule { words, verb, why, commits: false, pin: Some(pin), parse }
}

/// The rows: those of every transaction first, then by what they are.
pub(crate) const RULES: &[Rule] = &[
    pins("BEGIN NOT ATOMIC", Verb::Call, Why::RunsProcedure, Pin::Opaque, tables::block),
    commits("BEGIN", Verb::Transaction, Why::BeginsTransaction, transaction::begin),
    commits("START TRANSACTION", Verb::Transaction, Why::BeginsTransaction, transaction::start),
    rule("COMMIT", Verb::Transaction, Why::EndsTransaction, transaction::commit),
    rule("ROLLBACK TO", Verb::Transaction, Why::EndsTransaction, transaction::rollback_to),
    rule("ROLLBACK WORK TO", Verb::Transaction, Why::EndsTransaction, transaction::rollback_to),
    rule("ROLLBACK", Verb::Transaction, Why::EndsTransaction, transaction::rollback),
    rule("SAVEPOINT", Verb::Transaction, Why::EndsTransaction, transaction::savepoint),
    rule("RELEASE SAVEPOINT", Verb::Transaction, Why::EndsTransaction, transaction::release),
    rule("XA RECOVER", Verb::Xa, Why::DistributedTransaction, read::rest),
    rule("XA COMMIT", Verb::Xa, Why::DistributedTransaction, transaction::xa_ends),
    rule("XA ROLLBACK", Verb::Xa, Why::DistributedTransaction, transaction::xa_ends),
    pins("XA START", Verb::Xa, Why::DistributedTransaction, Pin::Xa, transaction::xa_begins),
    pins("XA BEGIN", Verb::Xa, Why::DistributedTransaction, Pin::Xa, transaction::xa_begins),
    pins("XA", Verb::Xa, Why::DistributedTransaction, Pin::Xa, transaction::xa),
    commits("SET PASSWORD", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("SET DEFAULT ROLE", Verb::Account, Why::ChangesAccounts, read::rest),
    rule("SET ROLE", Verb::Set, Why::SetsSession, set::role),
    rule("SET NAMES", Verb::Set, Why::SetsSession, set::names),
    rule("SET CHARACTER SET", Verb::Set, Why::SetsSession, set::character_set),
    rule("SET CHARSET", Verb::Set, Why::SetsSession, set::character_set),
    rule("SET STATEMENT", Verb::Set, Why::OnlyReads, set::statement),
    rule("SET TRANSACTION", Verb::Set, Why::SetsSession, set::next_transaction),
    rule("SET LOCAL TRANSACTION", Verb::Set, Why::SetsSession, set::session_transaction),
    rule("SET SESSION TRANSACTION", Verb::Set, Why::SetsSession, set::session_transaction),
    rule("SET GLOBAL TRANSACTION", Verb::Set, Why::SetsServer, set::global_transaction),
    pins(
        "SET SESSION AUTHORIZATION",
        Verb::Set,
        Why::Administers,
        Pin::ConnectionVariable,
        read::rest,
    ),
    pins("SET RESOURCE GROUP", Verb::Set, Why::Administers, Pin::ConnectionVariable, read::rest),
    rule("SET", Verb::Set, Why::SetsSession, set::assignments),
    rule("USE", Verb::Use, Why::SetsSession, set::schema),
    rule("SHOW WARNINGS", Verb::Diagnostics, Why::AsksPrevious, diagnostics),
    rule("SHOW ERRORS", Verb::Diagnostics, Why::AsksPrevious, diagnostics),
    rule("SHOW COUNT", Verb::Diagnostics, Why::AsksPrevious, diagnostics),
    rule("GET DIAGNOSTICS", Verb::Diagnostics, Why::AsksPrevious, get_diagnostics),
    rule("GET CURRENT DIAGNOSTICS", Verb::Diagnostics, Why::AsksPrevious, get_diagnostics),
    rule("SHOW TABLES", Verb::Show, Why::OnlyReads, tables::list),
    rule("SHOW FULL TABLES", Verb::Show, Why::OnlyReads, tables::list),
    rule("SHOW COLUMNS", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW FULL COLUMNS", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW FIELDS", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW FULL FIELDS", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW DATABASES", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW SCHEMAS", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW CHARACTER SET", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW CHARSET", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW COLLATION", Verb::Show, Why::OnlyReads, read::query),
    rule("SHOW", Verb::Show, Why::Metadata, read::query),
    rule("DESCRIBE", Verb::Show, Why::OnlyReads, tables::describe),
    rule("DESC", Verb::Show, Why::OnlyReads, tables::describe),
    rule("EXPLAIN", Verb::Show, Why::OnlyReads, tables::describe),
    commits("ANALYZE TABLE", Verb::Admin, Why::Administers, read::rest),
    commits("ANALYZE LOCAL", Verb::Admin, Why::Administers, read::rest),
    commits("ANALYZE NO_WRITE_TO_BINLOG", Verb::Admin, Why::Administers, read::rest),
    rule("ANALYZE", Verb::Explain, Why::Metadata, tables::explain),
    rule("HELP", Verb::Show, Why::Metadata, read::rest),
    rule("DO", Verb::Call, Why::OnlyReads, read::query),
    pins("CALL", Verb::Call, Why::RunsProcedure, Pin::Opaque, prepared::call),
    rule("PREPARE", Verb::Prepared, Why::SetsSession, prepared::prepare),
    pins("EXECUTE IMMEDIATE", Verb::Prepared, Why::UnknownPrepared, Pin::Opaque, read::rest),
    rule("EXECUTE", Verb::Prepared, Why::OnlyReads, prepared::execute),
    rule("DEALLOCATE PREPARE", Verb::Prepared, Why::SetsSession, prepared::deallocate),
    rule("DROP PREPARE", Verb::Prepared, Why::SetsSession, prepared::deallocate),
    rule("LOAD DATA", Verb::Load, Why::WritesRows, tables::load),
    rule("LOAD XML", Verb::Load, Why::WritesRows, tables::load),
    pins("LOCK TABLES", Verb::Lock, Why::LocksTables, Pin::TableLocks, tables::locks_and_commits),
    pins("LOCK TABLE", Verb::Lock, Why::LocksTables, Pin::TableLocks, tables::locks_and_commits),
    pins("LOCK INSTANCE", Verb::Lock, Why::LocksTables, Pin::TableLocks, tables::locks),
    commits("UNLOCK TABLES", Verb::Lock, Why::LocksTables, tables::unlocks),
    commits("UNLOCK TABLE", Verb::Lock, Why::LocksTables, tables::unlocks),
    rule("UNLOCK INSTANCE", Verb::Lock, Why::LocksTables, tables::unlocks),
    rule("BACKUP UNLOCK", Verb::Lock, Why::LocksTables, tables::unlocks),
    rule("BACKUP STAGE END", Verb::Lock, Why::LocksTables, tables::unlocks),
    pins("BACKUP", Verb::Lock, Why::LocksTables, Pin::TableLocks, tables::locks_and_commits),
    commits("FLUSH", Verb::Admin, Why::Administers, tables::flush),
    rule("HANDLER", Verb::Handler, Why::UsesHandler, tables::handler),
    commits("CREATE USER", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("CREATE ROLE", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("ALTER USER", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("DROP USER", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("DROP ROLE", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("RENAME USER", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("GRANT", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("REVOKE", Verb::Account, Why::ChangesAccounts, read::rest),
    commits("CREATE", Verb::Ddl, Why::ChangesSchema, tables::create),
    commits("DROP", Verb::Ddl, Why::ChangesSchema, tables::drop),
    commits("ALTER", Verb::Ddl, Why::ChangesSchema, tables::alter),
    commits("RENAME", Verb::Ddl, Why::ChangesSchema, tables::rename),
    commits("TRUNCATE", Verb::Ddl, Why::ChangesSchema, tables::truncate),
    commits("IMPORT TABLE", Verb::Ddl, Why::ChangesSchema, read::rest),
    rule("CHECKSUM TABLE", Verb::Admin, Why::Metadata, read::rest),
    commits("CHECK", Verb::Admin, Why::Administers, read::rest),
    commits("OPTIMIZE", Verb::Admin, Why::Administers, read::rest),
    commits("REPAIR", Verb::Admin, Why::Administers, read::rest),
    commits("CACHE INDEX", Verb::Admin, Why::Administers, read::rest),
    commits("LOAD INDEX", Verb::Admin, Why::Administers, read::rest),
    commits("INSTALL", Verb::Admin, Why::Administers, read::rest),
    commits("UNINSTALL", Verb::Admin, Why::Administers, read::rest),
    rule("PURGE", Verb::Admin, Why::Administers, read::rest),
    commits("CHANGE", Verb::Admin, Why::Administers, read::rest),
    commits("START", Verb::Admin, Why::Administers, read::rest),
    commits("STOP", Verb::Admin, Why::Administers, read::rest),
    rule("RESET PERSIST", Verb::Admin, Why::SetsServer, read::rest),
    commits("RESET", Verb::Admin, Why::Administers, read::rest),
    rule("SHUTDOWN", Verb::Admin, Why::Administers, read::rest),
    rule("RESTART", Verb::Admin, Why::Administers, read::rest),
    rule("CLONE", Verb::Admin, Why::Administers, read::rest),
    rule("KILL", Verb::Kill, Why::Administers, prepared::kill),
    pins("BINLOG", Verb::Admin, Why::WritesRows, Pin::ConnectionVariable, read::rest),
    rule("SIGNAL", Verb::Call, Why::RunsProcedure, read::rest),
    rule("RESIGNAL", Verb::Call, Why::RunsProcedure, read::rest),
    pins("IF", Verb::Call, Why::RunsProcedure, Pin::Opaque, tables::block),
    pins("CASE", Verb::Call, Why::RunsProcedure, Pin::Opaque, tables::block),
    pins("LOOP", Verb::Call, Why::RunsProcedure, Pin::Opaque, tables::block),
    pins("REPEAT", Verb::Call, Why::RunsProcedure, Pin::Opaque, tables::block),
    pins("WHILE", Verb::Call, Why::RunsProcedure, Pin::Opaque, tables::block),
    pins("FOR", Verb::Call, Why::RunsProcedure, Pin::Opaque, tables::block),
    pins("DECLARE", Verb::Call, Why::RunsProcedure, Pin::Opaque, tables::block),
];

/// As many words as the longest row has.
const LOOK: usize = 3;

/// Finds a statement's row and reads it by that.
#[inline(never)]
pub(super) fn by_first_words(reader: &mut Reader<'_, '_>) {
    if reader.token.is_end() {
        return;
    }
    let mut scanner = reader.scanner.clone();
    let mut words: [Option<Token>; LOOK] = [Some(reader.token), None, None];
    for place in words.iter_mut().skip(1) {
        let token = scanner.next_token();
        if token.kind != Kind::Word {
            break;
        }
        *place = Some(token);
    }
    let text = |place: Option<Token>| match place {
        Some(token) if token.kind == Kind::Word => token.text(reader.text),
        _ => b"",
    };
    let words = words.map(text);
    let fits = |rule: &&Rule| {
        rule.words
            .split(' ')
            .zip(words)
            .all(|(wanted, word)| wanted.as_bytes().eq_ignore_ascii_case(word))
    };
    match RULES.iter().find(fits) {
        Some(rule) => by(reader, rule),
        None => unknown(reader),
    }
}

fn by(reader: &mut Reader<'_, '_>, rule: &Rule) {
    for _ in rule.words.split(' ') {
        reader.advance();
    }
    let class = &mut reader.class;
    class.verb = rule.verb;
    class.why = rule.why;
    class.commits = rule.commits;
    if let Some(pin) = rule.pin {
        class.pins(pin);
    }
    (rule.parse)(reader);
    reader.skip();
}

/// A statement that is not known may do anything, also to the session.
#[cold]
pub(super) fn unknown(reader: &mut Reader<'_, '_>) {
    reader.class.verb = Verb::Unknown;
    reader.class.because(Why::UnknownStatement, Some(reader.token.text(reader.text)));
    reader.class.pins(Pin::Opaque);
    read::rest(reader);
}

fn diagnostics(reader: &mut Reader<'_, '_>) {
    reader.class.follows.diagnostics = true;
    reader.skip();
}

fn get_diagnostics(reader: &mut Reader<'_, '_>) {
    reader.class.follows.diagnostics = true;
    while !reader.statement_ends() {
        if reader.token.kind == Kind::UserVariable {
            let name = reader.token.name(reader.text);
            reader.class.changes.push(crate::change::Change::UserVariable {
                name,
                value: crate::change::Value::Computed,
            });
            reader.class.pins(Pin::UserVariable);
        }
        reader.advance();
    }
}
