//! Changing an MHA file as text: a block is added or removed, and every other byte stays as it is:
//! comments, order, blank lines, line endings. What comes out is read again before it is returned;
//! if any other block would say something else, the change is refused.

use std::collections::BTreeMap;
use std::fmt;

use crate::ini::{self, Holds, Line, unquoted};
use crate::keys::{KEYS, key_named};
use crate::parse::DEFAULT;
use crate::value::{self, Read};

/// Why a file was not changed.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// There is a block of this name already, in this line.
    Exists {
        /// The block.
        block: String,
        /// Where it begins.
        line: usize,
    },
    /// This is not the name of a block that a server may have.
    Name(String),
    /// A parameter is not one: what is wrong, and what to write.
    Parameter {
        /// What is wrong.
        reason: String,
        /// What to write instead.
        help: String,
    },
    /// The change would touch something else.
    Loses {
        /// What would be changed with it.
        block: String,
    },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists { block, line } => write!(
                f,
                "[{block}] is in the file already, in line {line}: name another block, or remove it \
                 first"
            ),
            Self::Name(name) => write!(
                f,
                "[{name}] cannot be the block of a server: its name begins with `server`, has at \
                 least one more character, and no blank or bracket"
            ),
            Self::Parameter { reason, help } => write!(f, "{reason}: {help}"),
            Self::Loses { block } => write!(
                f,
                "nothing was changed: [{block}] would be changed with it; mend the file by hand"
            ),
        }
    }
}

impl std::error::Error for EditError {}

/// The name of a server's block as `masterha_conf_host` makes it: `server_HOST` if none is given,
/// `server` put before one that does not begin so.
pub fn block_name(given: Option<&str>, hostname: &str) -> String {
    match given.filter(|name| !name.is_empty()) {
        Some(name) if name.starts_with("server") => name.to_owned(),
        Some(name) => format!("server{name}"),
        None => format!("server_{hostname}"),
    }
}

/// The parameters of `--params="k=v;k=v"`.
///
/// # Errors
/// If one has no `=`.
pub fn parameters(text: &str) -> Result<Vec<(String, String)>, EditError> {
    let words = text.split(';').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| match word.split_once('=') {
            Some((key, value)) => Ok((key.trim().to_owned(), value.trim().to_owned())),
            None => Err(EditError::Parameter {
                reason: format!("{} is no parameter", value::quoted(word)),
                help: "write key=value;key=value".to_owned(),
            }),
        })
        .collect()
}

/// The text with one more block at its end; its `hostname` stands first.
///
/// # Errors
/// If the block exists, is no server's, or a parameter does not fit its key.
pub fn add_block(
    text: &str,
    block: &str,
    hostname: &str,
    parameters: &[(String, String)],
) -> Result<String, EditError> {
    if !is_server_block(block) {
        return Err(EditError::Name(block.to_owned()));
    }
    let lines = ini::lines(text);
    if let Some(line) = lines.iter().find(|line| line.holds == Holds::Section(block)) {
        return Err(EditError::Exists { block: block.to_owned(), line: line.number });
    }
    let mut added = vec![("hostname".to_owned(), hostname.to_owned())];
    added.extend(parameters.iter().filter(|(key, _)| key != "hostname").cloned());
    for (key, value) in &added {
        fits(key, value)?;
    }
    let ending = ending_of(text);
    let mut changed = text.to_owned();
    if !changed.is_empty() && !changed.ends_with(['\n', '\r']) {
        changed.push_str(ending);
    }
    let blank_last = lines.last().is_none_or(|line| line.holds == Holds::Blank);
    if !blank_last {
        changed.push_str(ending);
    }
    changed.push_str(&format!("[{block}]{ending}"));
    for (key, value) in &added {
        changed.push_str(&format!("{key}={value}{ending}"));
    }
    let mut wanted = meanings(text);
    let set = added.iter().map(|(key, value)| (key.clone(), unquoted(value).0.to_owned()));
    wanted.insert(block.to_owned(), set.collect());
    same(&wanted, &meanings(&changed))?;
    Ok(changed)
}

/// The text without a block; `None` if there is none of this name.
///
/// Comments and blank lines behind its last key stay: they may be about what follows.
///
/// # Errors
/// If anything else would be changed with it, or the block is not a server's.
pub fn remove_block(text: &str, block: &str) -> Result<Option<String>, EditError> {
    if !is_server_block(block) {
        return Err(EditError::Name(block.to_owned()));
    }
    let lines = ini::lines(text);
    let mut removed = vec![false; lines.len()];
    let mut from: Option<usize> = None;
    for (at, line) in lines.iter().enumerate() {
        match line.holds {
            Holds::Section(name) => from = (name == block).then_some(at),
            Holds::Pair(_) | Holds::Strange => {}
            Holds::Blank | Holds::Comment => continue,
        }
        if let Some(from) = from {
            removed[from..=at].fill(true);
        }
    }
    if !removed.contains(&true) {
        return Ok(None);
    }
    // One of the two blank lines that would now stand side by side goes too.
    for at in 1..lines.len() {
        let joins = removed[at - 1] && !removed[at] && lines[at].holds == Holds::Blank;
        let before = lines[..at].iter().zip(&removed).rev().find(|(_, gone)| !**gone);
        if joins && before.is_none_or(|(line, _)| line.holds == Holds::Blank) {
            removed[at] = true;
        }
    }
    let kept = lines.iter().zip(&removed).filter(|(_, gone)| !**gone);
    let changed: String =
        kept.map(|(line, _)| text.get(line.bytes.clone()).unwrap_or("")).collect();
    let mut wanted = meanings(text);
    wanted.remove(block);
    same(&wanted, &meanings(&changed))?;
    Ok(Some(changed))
}

fn is_server_block(name: &str) -> bool {
    let strange = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | ';');
    name.len() > "server".len() && name.starts_with("server") && !name.contains(strange)
}

/// Whether a parameter may be written as a line of the file and is read as it was given.
fn fits(key: &str, value: &str) -> Result<(), EditError> {
    let wrong = |reason: String, help: String| Err(EditError::Parameter { reason, help });
    let Some(known) = key_named(key) else {
        let near = primacy_config::nearest(key, KEYS.iter().map(|key| key.name));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "docs/mha.md lists the keys".to_owned(),
        };
        return wrong(format!("unknown parameter {}", value::quoted(key)), help);
    };
    if !known.scope.server {
        let help = format!("write it in [{DEFAULT}]");
        return wrong(format!("`{key}` has no effect in the block of a server"), help);
    }
    let line = format!("{key}={value}");
    let read = ini::lines(&line);
    let whole = matches!(
        read.as_slice(),
        [Line { holds: Holds::Pair(pair), .. }] if pair.key == key && pair.value == value.trim()
    );
    if !whole || value.trim() != value {
        let help = "write it without line breaks and without ` ;`".to_owned();
        return wrong(format!("the value of `{key}` cannot stand in such a file"), help);
    }
    if key == "hostname" && value.is_empty() {
        let help = "name the host of the server".to_owned();
        return wrong("`hostname` is empty".to_owned(), help);
    }
    match value::read(known, unquoted(value).0) {
        Read::Wrong(reason, help) => wrong(reason, help),
        Read::Fits(_) | Read::Doubtful(..) => Ok(()),
    }
}

fn ending_of(text: &str) -> &'static str {
    match text.find(['\n', '\r']) {
        Some(at) if text[at..].starts_with("\r\n") => "\r\n",
        Some(at) if text[at..].starts_with('\r') => "\r",
        _ => "\n",
    }
}

/// What each block says, blocks of the same name together; lines before the first block under "".
fn meanings(text: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut blocks: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut block = String::new();
    for line in ini::lines(text) {
        match line.holds {
            Holds::Section(name) => {
                block = name.to_owned();
                blocks.entry(block.clone()).or_default();
            }
            Holds::Pair(pair) => {
                let set = blocks.entry(block.clone()).or_default();
                set.insert(pair.key.to_owned(), unquoted(pair.value).0.to_owned());
            }
            Holds::Strange => {
                blocks
                    .entry(block.clone())
                    .or_default()
                    .insert(line.text.to_owned(), String::new());
            }
            Holds::Blank | Holds::Comment => {}
        }
    }
    blocks
}

fn same(
    wanted: &BTreeMap<String, BTreeMap<String, String>>,
    found: &BTreeMap<String, BTreeMap<String, String>>,
) -> Result<(), EditError> {
    let names = wanted.keys().chain(found.keys());
    match names.into_iter().find(|name| wanted.get(*name) != found.get(*name)) {
        Some(block) => Err(EditError::Loses { block: block.clone() }),
        None => Ok(()),
    }
}
