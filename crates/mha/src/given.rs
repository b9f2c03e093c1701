//! The options that were given to a command, with the defaults of its table.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use crate::command::{Command, Kind, Opt};

/// The options of one call. Asking for one that the command has not got is a mistake of the code
/// and answered as if it was not given.
pub struct Given {
    command: &'static Command,
    values: Vec<(&'static Opt, SecretString)>,
}

impl Given {
    pub(crate) const fn new(command: &'static Command) -> Self {
        Self { command, values: Vec::new() }
    }

    /// The last value counts, but for lists.
    pub(crate) fn put(&mut self, option: &'static Opt, value: String) {
        if option.kind != Kind::List {
            self.forget(option);
        }
        self.values.push((option, value.into()));
    }

    pub(crate) fn forget(&mut self, option: &Opt) {
        self.values.retain(|(known, _)| known.name != option.name);
    }

    /// The command that they were given to.
    pub const fn command(&self) -> &'static Command {
        self.command
    }

    /// Whether it was given.
    pub fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(option, _)| option.name == name)
    }

    /// Its text, or its default.
    pub fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(self.command.option(name).is_some(), "{} --{name}", self.command.name);
        let given = self.values.iter().rev().find(|(option, _)| option.name == name);
        match given {
            Some((_, value)) => Some(value.expose_secret()),
            None => self.command.option(name).and_then(|option| option.default),
        }
    }

    /// Each text of an option that may be given several times.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let given = self.values.iter().filter(|(option, _)| option.name == name);
        given.map(|(_, value)| value.expose_secret()).collect()
    }

    /// Its number, or its default.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// Whether it is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.text(name) == Some("1")
    }

    /// A secret. An empty one is one.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }
}

/// For logs: without secrets.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.command.name)?;
        for (option, value) in &self.values {
            let value = match option.kind {
                Kind::Secret => "********",
                _ => value.expose_secret(),
            };
            write!(f, " --{}={value}", option.name)?;
        }
        Ok(())
    }
}
