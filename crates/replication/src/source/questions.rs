//! The statements that replicas send before they ask for events, and what a server answers.
//!
//! Seen of MySQL 5.6.24 and 9.7.4, MariaDB 10.5.23, 10.11.19 and 11.8.6 on the wire, of 5.7 and
//! 8.0 in their sources (`rpl_replica.cc`, `get_master_version_and_clock`).

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use primacy_wire::packet::ErrPacket;

/// The most variables that one connection may set, and the longest value of one.
const MAX_VARIABLES: usize = 64;
const MAX_VALUE: usize = 1024 * 1024;

/// What a source tells of itself.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) server_id: u32,
    pub(super) server_uuid: String,
    pub(super) version: String,
    pub(super) mariadb: bool,
    /// MySQL: whether transactions have GTIDs.
    pub(super) gtid_mode: bool,
}

/// Variables that a connection has set (`SET @name = value`), by their names in lower case.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

/// The answer to a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Ok,
    /// One row or none, and the names of its columns.
    Row(Vec<String>, Option<Vec<Option<String>>>),
    /// End this connection of the same account.
    Kill(u32),
    Err(ErrPacket),
}

impl Variables {
    /// The value of the first of these that is set.
    pub(super) fn first_of(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.0.get(*name)).map(String::as_str)
    }
}

/// Answers one statement.
pub(super) fn answer(statement: &str, facts: &Facts, variables: &mut Variables) -> Answer {
    let statement = statement.trim().trim_end_matches(';').trim_end();
    let (verb, rest) = split_word(statement);
    match verb.to_ascii_uppercase().as_str() {
        "SET" => set(rest, facts, variables),
        "SELECT" => select(rest, facts, variables),
        "SHOW" => show(rest, facts),
        "KILL" => kill(rest),
        _ => unknown(statement),
    }
}

/// `SET @a = 1, @b = 'x'`. What is set for the session itself has no meaning here.
fn set(list: &str, facts: &Facts, variables: &mut Variables) -> Answer {
    for assignment in split_list(list) {
        let Some((name, value)) = assignment.split_once('=') else { continue };
        let Some(name) = name.trim_end_matches(':').trim().strip_prefix('@') else { continue };
        if name.starts_with('@') {
            continue;
        }
        let value = value.trim();
        let value = match value.strip_prefix("@@") {
            Some(variable) => system_variable(variable, facts).unwrap_or_default(),
            None => unquote(value),
        };
        if variables.0.len() >= MAX_VARIABLES || value.len() > MAX_VALUE {
            return Answer::Err(ErrPacket::new(1153, "08S01", "too much is set"));
        }
        variables.0.insert(name.to_ascii_lowercase(), value);
    }
    Answer::Ok
}

fn select(expression: &str, facts: &Facts, variables: &Variables) -> Answer {
    let row = |value: Option<String>| Answer::Row(vec![expression.to_owned()], Some(vec![value]));
    if let Some(name) = expression.strip_prefix("@@") {
        let Some(value) = system_variable(name, facts) else {
            let name = bare_name(name);
            let text = format!("Unknown system variable '{name}'");
            // 1193 is how a replica learns that a server has no semi-sync. Any row, be it 0,
            // makes it expect semi-sync headers before events.
            return Answer::Err(ErrPacket::new(1193, "HY000", text));
        };
        return row(Some(value));
    }
    if let Some(name) = expression.strip_prefix('@') {
        return row(variables.first_of(&[&name.to_ascii_lowercase()]).map(str::to_owned));
    }
    let call: String = expression.chars().filter(|c| !c.is_whitespace()).collect();
    match call.to_ascii_uppercase().as_str() {
        "UNIX_TIMESTAMP()" => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            row(Some(now.as_secs().to_string()))
        }
        "VERSION()" => row(Some(facts.version.clone())),
        // MariaDB by file and position: which GTID stands at the place. NULL: not known, and the
        // replica takes what it applies.
        call if call.starts_with("BINLOG_GTID_POS(") => row(None),
        _ => unknown(&format!("SELECT {expression}")),
    }
}

/// `SHOW [GLOBAL] VARIABLES LIKE 'name'`. No row where the name is not known: that is how a
/// replica learns that a server has no semi-sync.
fn show(rest: &str, facts: &Facts) -> Answer {
    let mut words = rest.split_whitespace().map(str::to_ascii_uppercase);
    let mut word = words.next();
    if matches!(word.as_deref(), Some("GLOBAL" | "SESSION")) {
        word = words.next();
    }
    let like = rest.rsplit_once(char::is_whitespace).map(|(_, pattern)| unquote(pattern));
    match (word.as_deref(), words.next().as_deref(), like) {
        (Some("VARIABLES"), Some("LIKE"), Some(name)) => {
            let name = name.to_ascii_lowercase();
            let value = system_variable(&name, facts);
            let columns = vec!["Variable_name".to_owned(), "Value".to_owned()];
            Answer::Row(columns, value.map(|value| vec![Some(name), Some(value)]))
        }
        _ => unknown(&format!("SHOW {rest}")),
    }
}

/// A MariaDB replica that stops may end its own dump this way, from a second connection.
fn kill(rest: &str) -> Answer {
    let last = rest.split_whitespace().next_back().unwrap_or_default();
    last.parse().map_or_else(|_| unknown(&format!("KILL {rest}")), Answer::Kill)
}

fn system_variable(name: &str, facts: &Facts) -> Option<String> {
    let on = |on: bool| Some(if on { "ON" } else { "OFF" }.to_owned());
    match bare_name(name).as_str() {
        "server_id" => Some(facts.server_id.to_string()),
        "server_uuid" if !facts.mariadb => Some(facts.server_uuid.clone()),
        "gtid_mode" if !facts.mariadb => on(facts.gtid_mode),
        "gtid_domain_id" if facts.mariadb => Some("0".to_owned()),
        "binlog_checksum" => Some("CRC32".to_owned()),
        "version" => Some(facts.version.clone()),
        "read_only" | "log_bin" => Some("1".to_owned()),
        _ => None,
    }
}

/// The name without its scope, in lower case.
fn bare_name(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    name.rsplit_once('.').map_or(name.clone(), |(_, bare)| bare.to_owned())
}

fn unknown(statement: &str) -> Answer {
    let start: String = statement.chars().take(60).collect();
    let text = format!("Primacy's replication source answers what replicas ask, and not: {start}");
    Answer::Err(ErrPacket::new(1235, "42000", text))
}

fn split_word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

/// Splits at commas outside of quotes.
fn split_list(list: &str) -> Vec<&str> {
    let mut quote = None;
    list.split(|c| {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ',') => return true,
            _ => {}
        }
        false
    })
    .collect()
}

/// A literal without its quotes; the values that replicas send need no escapes.
fn unquote(literal: &str) -> String {
    let literal = literal.trim();
    let inner = |quote| literal.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('\'').or_else(|| inner('"')).unwrap_or(literal).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts(mariadb: bool) -> Facts {
        Facts {
            server_id: 99,
            server_uuid: "3354fe7c-e543-11f1-ac87-02fc00000001".to_owned(),
            version: "x".to_owned(),
            mariadb,
            gtid_mode: true,
        }
    }

    fn ask(mariadb: bool, statements: &[&str]) -> Vec<String> {
        let mut variables = Variables::default();
        let answers = statements.iter().map(|statement| {
            match answer(statement, &facts(mariadb), &mut variables) {
                Answer::Ok => "ok".to_owned(),
                Answer::Row(_, None) => "empty".to_owned(),
                Answer::Row(_, Some(cells)) => {
                    let cells = cells.into_iter().map(|cell| cell.unwrap_or("NULL".to_owned()));
                    cells.collect::<Vec<_>>().join("|")
                }
                Answer::Kill(id) => format!("kill {id}"),
                Answer::Err(error) => error.code.to_string(),
            }
        });
        answers.collect()
    }

    #[test]
    fn what_mysql_replicas_ask() {
        let uuid = "3354fe7c-e543-11f1-ac87-02fc00000001";
        let answers = ask(
            false,
            &[
                "SELECT @@GLOBAL.SERVER_ID",
                "SHOW VARIABLES LIKE 'SERVER_ID'",
                "SET @master_heartbeat_period = 1000000000, @source_heartbeat_period = 1000000000",
                "SET @master_binlog_checksum = @@global.binlog_checksum, @source_binlog_checksum = \
                 @@global.binlog_checksum",
                "SELECT @source_binlog_checksum",
                "SELECT @source_heartbeat_period",
                "SELECT @@GLOBAL.GTID_MODE",
                "SHOW VARIABLES LIKE 'SERVER_UUID'",
                "SELECT @@global.rpl_semi_sync_source_enabled",
                "SHOW VARIABLES LIKE 'rpl_semi_sync_master_enabled'",
            ],
        );
        let server = format!("server_uuid|{uuid}");
        let expected = [
            "99",
            "server_id|99",
            "ok",
            "ok",
            "CRC32",
            "1000000000",
            "ON",
            &server,
            "1193",
            "empty",
        ];
        assert_eq!(answers, expected);
    }

    #[test]
    fn what_mariadb_replicas_ask() {
        let answers = ask(
            true,
            &[
                "SET @mariadb_slave_capability=4",
                "SELECT @@GLOBAL.gtid_domain_id",
                "SET @slave_connect_state='0-1-4,1-2-7'",
                "SELECT @slave_connect_state",
                "SELECT binlog_gtid_pos('binlog.000002',797)",
                "SELECT @never",
                "KILL 14",
                "SET NAMES utf8",
                "DROP TABLE t",
                "SELECT @@GLOBAL.SERVER_UUID",
            ],
        );
        let expected =
            ["ok", "0", "ok", "0-1-4,1-2-7", "NULL", "NULL", "kill 14", "ok", "1235", "1193"];
        assert_eq!(answers, expected);
    }

    #[test]
    fn a_connection_cannot_fill_the_memory() {
        let mut variables = Variables::default();
        let answers: Vec<_> = (0..100)
            .map(|i| answer(&format!("SET @v{i} = 1"), &facts(true), &mut variables))
            .collect();
        assert!(matches!(answers.last(), Some(Answer::Err(_))));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", verb in "(SET|SELECT|SHOW|KILL) @?@?") {
            let mut variables = Variables::default();
            answer(&text, &facts(true), &mut variables);
            answer(&format!("{verb}{text}"), &facts(false), &mut variables);
        }
    }
}
