//! The form of the table of keys: sections, keys, and what kinds of values there are.
//!
//! The table itself is in `catalogue`. Reading, the search for misspelt keys, `show` and the
//! reference are all driven by it, so that a key exists everywhere or nowhere.

use primacy_types::Millis;

use crate::catalogue::{RESERVED, SECTIONS};

/// A table of the file.
pub(crate) struct Section {
    /// `cluster.*.policy`: `*` is a cluster's name, `[]` a list of tables.
    pub(crate) path: &'static str,
    /// `defaults.policy`, where the section may be written once for all clusters.
    pub(crate) defaults: Option<&'static str>,
    /// For people.
    pub(crate) doc: &'static str,
    /// Its keys, in the order in which they are documented and shown.
    pub(crate) keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) preset: Preset,
    pub(crate) doc: &'static str,
    /// The version that brought it.
    pub(crate) since: &'static str,
}

/// What holds if a key is not written.
#[derive(Debug)]
pub(crate) enum Preset {
    /// It must be written.
    Required,
    /// Nothing is set; the text says what that means.
    Unset(&'static str),
    /// This value, as it would be written (texts without their quotes).
    Is(&'static str),
}

/// What a key takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Text {
        min: usize,
        max: usize,
    },
    Path,
    Bool,
    Integer {
        min: u64,
        max: u64,
    },
    Duration {
        min: Millis,
        max: Millis,
        whole_seconds: bool,
    },
    Word(fn() -> Vec<&'static str>),
    CleanShutdown,
    /// `off`, or a duration.
    OffOrDuration {
        min: Millis,
        max: Millis,
    },
    Address,
    Addresses,
    Fingerprint,
    EnvName,
    CredentialName,
    SshUser,
    SshOptions,
    /// An absolute path.
    Program,
    /// The same, of a folder on another host.
    Folder,
    /// Texts with placeholders.
    Arguments,
    /// A program by its absolute path and its arguments, as they are.
    Call,
    Moments,
    Url,
    VirtualAddresses,
}

/// A name that is recognised only to be refused with an explanation.
pub(crate) struct Reserved {
    pub(crate) path: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) help: &'static str,
}

impl Reserved {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

impl Section {
    /// The section of this path; a test sees to it that our own code names none that is missing.
    pub(crate) fn named(path: &str) -> &'static Self {
        static NONE: Section = Section { path: "", defaults: None, doc: "", keys: &[] };
        SECTIONS.iter().find(|s| s.path == path).unwrap_or(&NONE)
    }

    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|k| k.name == name)
    }

    /// Both places where it may stand.
    fn paths(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.path).chain(self.defaults)
    }
}

/// What may stand under a name at some place of the file.
pub(crate) enum Child {
    Key(&'static Key),
    Table,
    ListOfTables,
    Reserved(&'static Reserved),
    Unknown,
}

/// The pattern of a child: `cluster` and `main` give `cluster.*`.
pub(crate) fn join(parent: &str, name: &str) -> String {
    match parent {
        "" => name.to_owned(),
        "cluster" => "cluster.*".to_owned(),
        _ => format!("{parent}.{name}"),
    }
}

/// Looks a name up at a place, both given by the pattern.
pub(crate) fn child(parent: &str, name: &str) -> Child {
    let path = join(parent, name);
    if let Some(reserved) = RESERVED.iter().find(|r| r.path == path) {
        return Child::Reserved(reserved);
    }
    if let Some(key) = sections_at(parent).find_map(|s| s.key(name)) {
        return Child::Key(key);
    }
    let (list, below) = (format!("{path}[]"), format!("{path}."));
    let known = |test: &dyn Fn(&str) -> bool| SECTIONS.iter().flat_map(Section::paths).any(test);
    if known(&|p| p == list) {
        Child::ListOfTables
    } else if known(&|p| p == path || p.starts_with(&below)) {
        Child::Table
    } else {
        Child::Unknown
    }
}

/// All names that may stand at a place: keys first, then tables.
pub(crate) fn names_at(parent: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> =
        sections_at(parent).flat_map(|s| s.keys.iter().map(|k| k.name)).collect();
    let below = if parent.is_empty() { String::new() } else { format!("{parent}.") };
    for path in SECTIONS.iter().flat_map(Section::paths) {
        let name = path.strip_prefix(&below).and_then(|rest| rest.split(['.', '[']).next());
        if let Some(name) = name.filter(|n| !n.is_empty() && !names.contains(n)) {
            names.push(name);
        }
    }
    names
}

/// The section that a pattern names directly.
fn sections_at(pattern: &str) -> impl Iterator<Item = &'static Section> {
    SECTIONS.iter().filter(move |s| s.paths().any(|p| p == pattern))
}
