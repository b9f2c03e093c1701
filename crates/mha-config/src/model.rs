//! What an MHA file says once it was read: its servers in MHA's order, each with the values that hold
//! for it, and where every one of them stands.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::SecretString;

use crate::keys::{Key, key_named};
use crate::value::Value;

/// A configuration of MHA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MhaConfig {
    /// The application: the file's name without its folder and its last extension.
    pub app: String,
    /// The application's file, as the caller named it.
    pub file: String,
    /// `[server default]` with what stands before it: the global file, and what
    /// `init_conf_load_script` printed.
    pub defaults: Block,
    /// The servers in MHA's order, which decides between equals.
    pub servers: Vec<Block>,
    /// The binary log servers in the same order.
    pub binlogs: Vec<Block>,
    /// What deserves a second look; nothing of it stops anybody.
    pub notices: Vec<Notice>,
}

/// A block with the values that hold in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The name between the brackets: `server1`.
    pub name: String,
    /// Where it begins; `None` for `[server default]` that nobody wrote.
    pub place: Option<Place>,
    pub(crate) settings: BTreeMap<&'static str, Setting>,
}

/// A value with the place where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A line of a file, or of what a script printed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as the caller named it, or "the output of init_conf_load_script".
    pub file: String,
    /// Counted from 1.
    pub line: usize,
}

/// A remark for the person whose file it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// What it is about; `None`: what the file does not say.
    pub place: Option<Place>,
    /// One sentence or two.
    pub text: String,
}

impl Block {
    /// The text that holds for a key: as written, else what MHA presumes; never a secret.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.settings.get(name).map(|setting| &setting.value) {
            Some(Value::Secret(_)) => None,
            Some(value) => Some(value.shown()),
            None => preset(name).map(str::to_owned),
        }
    }

    /// The same, nothing if it is empty.
    pub fn filled(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// The flag that holds.
    pub fn flag(&self, name: &str) -> bool {
        match self.settings.get(name).map(|setting| &setting.value) {
            Some(Value::Flag(flag)) => *flag,
            _ => preset(name) == Some("1"),
        }
    }

    /// The number that holds.
    pub fn number(&self, name: &str) -> Option<u32> {
        match self.settings.get(name).map(|setting| &setting.value) {
            Some(Value::Number(number)) => Some(*number),
            _ => preset(name)?.parse().ok(),
        }
    }

    /// The secret that is written.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        match self.settings.get(name).map(|setting| &setting.value) {
            Some(Value::Secret(secret)) => Some(secret.clone()),
            _ => None,
        }
    }

    /// Where a key is written that holds in this block; `None`: nowhere.
    pub fn written(&self, name: &str) -> Option<&Place> {
        self.settings.get(name).map(|setting| &setting.place)
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.number("port").and_then(|port| u16::try_from(port).ok()).unwrap_or(3306)
    }

    /// `hostname`; empty only in `[server default]`.
    pub fn hostname(&self) -> String {
        self.text("hostname").unwrap_or_default()
    }

    /// Where the server is reached: `ip` if it is written, else `hostname`.
    pub fn host(&self) -> String {
        self.filled("ip").unwrap_or_else(|| self.hostname())
    }

    /// The value of a key for comparisons between blocks.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.settings.get(name).map(|setting| &setting.value)
    }
}

impl MhaConfig {
    /// Every block that may name a key, `[server default]` first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        std::iter::once(&self.defaults).chain(&self.servers).chain(&self.binlogs)
    }
}

fn preset(name: &str) -> Option<&'static str> {
    key_named(name).and_then(|key: &Key| key.preset)
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
