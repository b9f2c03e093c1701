//! The table of cases, `cases.txt`; its head says how to read it.

use std::sync::LazyLock;

use primacy_sql::{Charset, Context, SqlMode};
use primacy_types::{Flavor, ServerVersion};

const CASES: &str = include_str!("cases.txt");

/// A statement and what should be said of it.
pub(crate) struct Case {
    pub(crate) line: usize,
    pub(crate) wanted: String,
    pub(crate) attributes: Vec<String>,
    pub(crate) statement: Vec<u8>,
}

impl Case {
    pub(crate) fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|known| known == attribute)
    }

    pub(crate) fn why(&self) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| attribute.strip_prefix("why="))
    }

    pub(crate) fn is_for(&self, flavor: Flavor) -> bool {
        match flavor {
            Flavor::MySql => !self.has("mariadb"),
            Flavor::MariaDb => !self.has("mysql"),
        }
    }

    pub(crate) fn context(&self, server: ServerVersion) -> Context<'static> {
        let charset = match () {
            () if self.has("latin1") => Charset::SingleByte,
            () if self.has("gbk") => Charset::MultiByte,
            () => Charset::Utf8,
        };
        let sql_mode = SqlMode {
            ansi_quotes: self.has("ansi"),
            no_backslash_escapes: self.has("nbe"),
            ..SqlMode::default()
        };
        Context { sql_mode, charset, ..Context::new(server) }
    }
}

/// All cases; they are read once.
pub(crate) fn cases() -> &'static [Case] {
    static READ: LazyLock<Vec<Case>> = LazyLock::new(read);
    &READ
}

fn read() -> Vec<Case> {
    let lines = CASES.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            let (head, statement) = line.split_once(" | ").expect("a case has a bar");
            let mut words = head.split_whitespace().map(str::to_owned);
            Case {
                line: number + 1,
                wanted: words.next().expect("a case begins with a route"),
                attributes: words.collect(),
                statement: bytes(statement),
            }
        })
        .collect()
}

/// `<0A>` is that byte.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match rest {
            [b'<', high, low, b'>', ..] => std::str::from_utf8(&[*high, *low])
                .ok()
                .filter(|code| !code.contains(|c: char| c.is_ascii_lowercase()))
                .and_then(|code| u8::from_str_radix(code, 16).ok()),
            _ => None,
        };
        out.push(code.unwrap_or(*first));
        rest = if code.is_some() { &rest[4..] } else { tail };
    }
    out
}
