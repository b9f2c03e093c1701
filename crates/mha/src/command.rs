//! What a command and an option are, as data.

use std::io::{BufRead, Write};

use crate::given::Given;

/// One of MHA's commands.
#[derive(Debug)]
pub struct Command {
    /// What it is called by.
    pub name: &'static str,
    /// What it does, in one line without a full stop.
    pub about: &'static str,
    /// More of it, in sentences.
    pub details: &'static str,
    /// What becomes of options that it does not know.
    pub unknown: Unknown,
    /// Its options, in groups that commands share.
    pub options: &'static [&'static [Opt]],
    /// What its exit codes mean.
    pub exits: &'static [(u8, &'static str)],
    /// What it does; `None` while this version has not got it.
    pub built: Option<Run>,
}

/// Runs a command with the options that were given; its exit code.
pub type Run = fn(&Given, &mut Streams<'_>) -> u8;

/// Where a command reads and writes.
pub struct Streams<'a> {
    /// Standard input.
    pub input: &'a mut dyn BufRead,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
}

/// What becomes of options that a command does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// They are passed over, and named in a notice.
    Passed,
    /// The command is refused.
    Refused,
    /// Refused if that option has that value, else passed over.
    RefusedIf(&'static str, &'static str),
}

/// An option of a command.
#[derive(Clone, Copy, Debug)]
pub struct Opt {
    /// Its name without dashes.
    pub name: &'static str,
    /// Other names of it.
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub kind: Kind,
    /// What holds if it is not given.
    pub default: Option<&'static str>,
    /// What it means; with a capital letter, without a full stop.
    pub help: &'static str,
    /// It is one only while that other option has that value.
    pub only: Option<(&'static str, &'static str)>,
    /// MHA has not got it: it must be written out, so that beginnings of names stay of one option.
    pub own: bool,
}

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing, or `=0` or `=1`.
    Switch,
    /// A whole number.
    Number,
    /// Any text.
    Text,
    /// Any text, several times.
    List,
    /// A password or the like.
    Secret,
}

impl Command {
    /// All its options.
    pub fn all_options(&self) -> impl Iterator<Item = &'static Opt> {
        self.options.iter().flat_map(|group| group.iter())
    }

    /// The option of that name.
    pub fn option(&self, name: &str) -> Option<&'static Opt> {
        self.all_options().find(|option| option.name == name)
    }
}

impl Opt {
    pub(crate) const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        Self { name, aliases: &[], kind, default: None, help, only: None, own: false }
    }

    pub(crate) const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Switch, help)
    }

    pub(crate) const fn number(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Number, help)
    }

    pub(crate) const fn text(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Text, help)
    }

    pub(crate) const fn secret(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Secret, help)
    }

    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(crate) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub(crate) const fn only(mut self, option: &'static str, value: &'static str) -> Self {
        self.only = Some((option, value));
        self
    }

    pub(crate) const fn own(mut self) -> Self {
        self.own = true;
        self
    }

    /// All its names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}
