//! The settings of its session that a statement in statement format needs: what stands with it in
//! its event (`Query_log_event`, MySQL 5.6 to 9.7; MariaDB 10.5 to 11.8), as `SET` statements. What
//! is in force already is not said again.

use std::collections::BTreeMap;

use primacy_binlog::RawEvent;
use primacy_binlog::event::{EventFlags, Query};

use super::{Statement, hex};

/// What holds for a statement that does not say it: servers write these only where they are others.
const USUAL: [(&str, &str); 4] = [
    ("auto_increment_increment", "1"),
    ("auto_increment_offset", "1"),
    ("lc_time_names", "0"),
    ("collation_database", "DEFAULT"),
];

/// What was said.
#[derive(Default)]
pub(super) struct Settings {
    database: Vec<u8>,
    said: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Goes to the database of this statement.
    pub(super) fn database(&mut self, query: &Query<'_>, into: &mut Vec<Statement>) {
        if !query.database.is_empty() && query.database != self.database {
            self.enter(query.database, into);
        }
    }

    /// What else has to be said before this statement.
    pub(super) fn before(
        &mut self,
        event: &RawEvent<'_>,
        query: &Query<'_>,
        into: &mut Vec<Statement>,
    ) {
        let found = Found::read(query.status_variables);
        let time = match found.microseconds {
            Some(micro) => format!("{}.{micro:06}", event.header().timestamp),
            None => event.header().timestamp.to_string(),
        };
        let mut wanted = found.variables;
        wanted.push(("timestamp", time));
        if event.header().flags.has(EventFlags::THREAD_SPECIFIC) {
            wanted.push(("pseudo_thread_id", query.thread_id.to_string()));
        }
        for (name, value) in USUAL {
            let is_said = self.said.contains_key(name);
            if is_said && !wanted.iter().any(|(other, _)| *other == name) {
                wanted.push((name, value.to_owned()));
            }
        }
        let mut said = Vec::new();
        for (name, value) in wanted {
            if self.said.get(name) != Some(&value) {
                said.push(format!("@@session.{name} = {value}"));
                self.said.insert(name, value);
            }
        }
        if !said.is_empty() {
            into.push(Statement::new(format!("SET {}", said.join(", "))));
        }
    }

    fn enter(&mut self, database: &[u8], into: &mut Vec<Statement>) {
        if !database.is_ascii() {
            // Names are UTF-8 in logs, whatever the session of the statement before has.
            into.push(Statement::new("SET NAMES utf8"));
            for name in ["character_set_client", "collation_connection"] {
                self.said.remove(name);
            }
        }
        let mut sql = b"USE `".to_vec();
        for byte in database {
            sql.push(*byte);
            if *byte == b'`' {
                sql.push(b'`');
            }
        }
        sql.push(b'`');
        into.push(Statement::new(sql));
        self.database = database.to_vec();
    }
}

/// What stands with a statement.
#[derive(Default)]
struct Found {
    variables: Vec<(&'static str, String)>,
    microseconds: Option<u32>,
}

/// How a variable is written, and how many bytes it has.
enum Form {
    /// Bits of which each switches one variable; set means off where it says so.
    Flags,
    /// Numbers of so many bytes, each its own variable; those without a name are passed over.
    Numbers(&'static [(&'static str, usize)]),
    /// A text with its length before it.
    Text(Option<&'static str>),
    /// Microseconds of the time.
    Micro,
}

/// The bits of the flags: bit, variable, its value if the bit is set.
const FLAGS: [(u32, &str, &str); 3] =
    [(14, "sql_auto_is_null", "1"), (26, "foreign_key_checks", "0"), (27, "unique_checks", "0")];

/// Each variable by its code.
const FORMS: &[(u8, Form)] = &[
    (0, Form::Flags),
    (1, Form::Numbers(&[("sql_mode", 8)])),
    (3, Form::Numbers(&[("auto_increment_increment", 2), ("auto_increment_offset", 2)])),
    (
        4,
        Form::Numbers(&[
            ("character_set_client", 2),
            ("collation_connection", 2),
            ("collation_server", 2),
        ]),
    ),
    (5, Form::Text(Some("time_zone"))),
    (6, Form::Text(None)),
    (7, Form::Numbers(&[("lc_time_names", 2)])),
    (8, Form::Numbers(&[("collation_database", 2)])),
    (9, Form::Numbers(&[("", 8)])),
    (10, Form::Numbers(&[("", 4)])),
    (13, Form::Micro),
    (16, Form::Numbers(&[("explicit_defaults_for_timestamp", 1)])),
    (17, Form::Numbers(&[("", 8)])),
    (18, Form::Numbers(&[("default_collation_for_utf8mb4", 2)])),
    (19, Form::Numbers(&[("sql_require_primary_key", 1)])),
    (20, Form::Numbers(&[("default_table_encryption", 1)])),
    (128, Form::Micro),
    (129, Form::Numbers(&[("", 8)])),
];

impl Found {
    fn read(bytes: &[u8]) -> Self {
        let mut found = Self::default();
        // What is not whole, or not known, ends it, as in the servers.
        let _end = found.all(bytes);
        found
    }

    fn all(&mut self, mut bytes: &[u8]) -> Option<()> {
        while let Some((code, rest)) = bytes.split_first() {
            bytes = match code {
                // The account in whose name it ran.
                11 => {
                    let (_, rest) = text(rest)?;
                    text(rest)?.1
                }
                12 => names(rest)?,
                code => {
                    let (_, form) = FORMS.iter().find(|(known, _)| known == code)?;
                    self.one(form, rest)?
                }
            };
        }
        Some(())
    }

    fn one<'b>(&mut self, form: &Form, bytes: &'b [u8]) -> Option<&'b [u8]> {
        match form {
            Form::Flags => {
                let (flags, rest) = number(bytes, 4)?;
                for (bit, name, set) in FLAGS {
                    let value = match (flags >> bit & 1, set) {
                        (1, set) => set,
                        (_, "1") => "0",
                        _ => "1",
                    };
                    self.variables.push((name, value.to_owned()));
                }
                Some(rest)
            }
            Form::Numbers(parts) => {
                let mut bytes = bytes;
                for (name, length) in *parts {
                    let (value, rest) = number(bytes, *length)?;
                    bytes = rest;
                    if name.is_empty() {
                        continue;
                    }
                    // 0 is no collation: the one that the server has.
                    let value = match (*name, value) {
                        ("collation_database", 0) => "DEFAULT".to_owned(),
                        _ => value.to_string(),
                    };
                    self.variables.push((name, value));
                }
                Some(bytes)
            }
            Form::Text(name) => {
                let (value, rest) = text(bytes)?;
                if let Some(name) = name.filter(|_| !value.is_empty()) {
                    self.variables.push((name, format!("_latin1 X'{}'", hex(value))));
                }
                Some(rest)
            }
            Form::Micro => {
                let (micro, rest) = number(bytes, 3)?;
                self.microseconds = u32::try_from(micro).ok().filter(|micro| *micro < 1_000_000);
                Some(rest)
            }
        }
    }
}

fn number(bytes: &[u8], length: usize) -> Option<(u64, &[u8])> {
    let (value, rest) = bytes.split_at_checked(length)?;
    let value = value.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    Some((value, rest))
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// The databases that it changes; more than a few are not listed.
fn names(bytes: &[u8]) -> Option<&[u8]> {
    let (count, mut rest) = bytes.split_first()?;
    if *count == 254 {
        return Some(rest);
    }
    for _ in 0..*count {
        let end = rest.iter().position(|byte| *byte == 0)?;
        rest = rest.get(end + 1..)?;
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_up_to_the_first_that_is_not_known() {
        let mut bytes = vec![0, 0, 0, 0, 4];
        bytes.extend([1, 0x20, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend([4, 33, 0, 33, 0, 8, 0, 5, 3, b'U', b'T', b'C']);
        bytes.extend([12, 1, b'a', 0, 13, 64, 226, 1, 200, 7, 7, 1, 0, 7]);
        let found = Found::read(&bytes);
        let shown: Vec<_> = found.variables.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            shown,
            [
                "sql_auto_is_null=0",
                "foreign_key_checks=0",
                "unique_checks=1",
                "sql_mode=32",
                "character_set_client=33",
                "collation_connection=33",
                "collation_server=8",
                "time_zone=_latin1 X'555443'",
            ]
        );
        assert_eq!(found.microseconds, Some(123_456));
        for cut in 0..bytes.len() {
            Found::read(&bytes[..cut]);
        }
    }
}
