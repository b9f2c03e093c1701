//! How a command line is read: by the rules of Perl's `Getopt::Long` (2.52, its defaults).
//!
//! `--name=value`, `--name value`, `-name value` and `+name value`; a value that has to be there is
//! the next word whatever it looks like; names in any case, and any beginning of a name that is of
//! one option only; words between options; `--` ends them.
//!
//! Different on purpose: `--name=` is an empty value (there it is an error, or is dropped); an
//! option without a value takes `=0` and `=1`; a wrong value is never dropped silently.

use crate::command::{Command, Kind, Opt, Unknown};
use crate::given::Given;

/// A command line that was read.
#[derive(Debug)]
pub struct Parsed {
    /// What is known.
    pub given: Given,
    /// What was passed over, as it was written.
    pub passed_over: Vec<String>,
}

/// Why a command line is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", said(.mistakes))]
pub struct GetoptError {
    /// Each mistake in a sentence.
    pub mistakes: Vec<String>,
}

fn said(mistakes: &[String]) -> String {
    mistakes.join("\n")
}

/// Reads the words behind a command's name.
///
/// # Errors
/// All mistakes at once.
pub fn parse(
    command: &'static Command,
    words: impl IntoIterator<Item = String>,
) -> Result<Parsed, GetoptError> {
    let mut reading = Reading {
        command,
        given: Given::new(command),
        strangers: Vec::new(),
        mistakes: Vec::new(),
    };
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        if word == "--" {
            reading.strangers.extend(words.map(Stranger::word));
            break;
        }
        let Some(asked) = Asked::of(&word) else {
            reading.strangers.push(Stranger::word(word));
            continue;
        };
        match find(command, &asked.name) {
            Found::One(option) => {
                let mut next = || words.next();
                match option.kind {
                    Kind::Switch => {
                        let detached = asked.value.is_none()
                            && words.peek().is_some_and(|word| word == "0" || word == "1");
                        let value = if detached { words.next() } else { asked.value };
                        reading.switch(option, value.as_deref());
                    }
                    _ => match asked.value.or_else(&mut next) {
                        Some(value) => reading.value(option, value),
                        None => {
                            reading
                                .mistakes
                                .push(format!("option {} requires a value", option.name));
                        }
                    },
                }
            }
            Found::Several(options) => {
                let why = format!("option {} is ambiguous ({})", asked.name, options.join(", "));
                reading.strangers.push(Stranger { written: word, why, option: true });
            }
            Found::None => {
                let why = match nearest(command, &asked.name) {
                    Some(near) => format!("unknown option: {} (is --{near} meant?)", asked.name),
                    None => format!("unknown option: {}", asked.name),
                };
                reading.strangers.push(Stranger { written: word, why, option: true });
            }
        }
    }
    reading.finish()
}

/// A word that is an option: its name, and a value that is written to it.
struct Asked {
    name: String,
    value: Option<String>,
}

impl Asked {
    fn of(word: &str) -> Option<Self> {
        let rest = ["--", "-", "+"].iter().find_map(|starter| word.strip_prefix(starter))?;
        if rest.is_empty() {
            return None;
        }
        let (name, value) = match rest.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (rest, None),
        };
        Some(Self { name: name.to_owned(), value })
    }
}

/// Something on the command line that is not known.
struct Stranger {
    written: String,
    why: String,
    option: bool,
}

impl Stranger {
    fn word(written: String) -> Self {
        Self { why: format!("{written:?} belongs to no option"), written, option: false }
    }
}

/// How they are named: without values, which may be secrets of options that are misspelt.
fn said_words(strangers: &[Stranger]) -> Vec<String> {
    let mut after_option = false;
    let mut said = Vec::new();
    for stranger in strangers {
        after_option |= stranger.option;
        said.push(match (stranger.option, after_option) {
            (true, _) => stranger.written.split('=').next().unwrap_or_default().to_owned(),
            (false, true) => "(a word)".to_owned(),
            (false, false) => stranger.written.clone(),
        });
    }
    said
}

enum Found {
    One(&'static Opt),
    Several(Vec<&'static str>),
    None,
}

/// The option of that name, in any case, or the only one with a name that begins so.
fn find(command: &'static Command, name: &str) -> Found {
    let exact = |option: &&Opt| option.names().any(|known| known.eq_ignore_ascii_case(name));
    if let Some(option) = command.all_options().find(exact) {
        return Found::One(option);
    }
    let begins =
        |known: &str| known.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name));
    let mut options: Vec<_> =
        command.all_options().filter(|o| !o.own && o.names().any(begins)).collect();
    match (options.pop(), options.is_empty()) {
        (Some(option), true) => Found::One(option),
        (Some(last), false) => {
            let mut names: Vec<_> = options.iter().map(|option| option.name).collect();
            names.push(last.name);
            names.sort_unstable();
            Found::Several(names)
        }
        (None, _) => Found::None,
    }
}

/// The option that may have been meant.
fn nearest(command: &'static Command, name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace('-', "_");
    let near =
        command.all_options().flat_map(Opt::names).map(|known| (distance(&name, known), known));
    near.filter(|(far, known)| *far <= known.len() / 4).min().map(|(_, known)| known)
}

/// How many letters have to be put in, taken out or changed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, against) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *against);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

struct Reading {
    command: &'static Command,
    given: Given,
    strangers: Vec<Stranger>,
    mistakes: Vec<String>,
}

impl Reading {
    fn switch(&mut self, option: &'static Opt, value: Option<&str>) {
        match value {
            None | Some("1") => self.given.put(option, "1".to_owned()),
            Some("0") => self.given.put(option, "0".to_owned()),
            Some(other) => self.mistakes.push(format!(
                "value {other:?} is not valid for option {}: it takes none, or 0, or 1",
                option.name
            )),
        }
    }

    fn value(&mut self, option: &'static Opt, value: String) {
        if option.kind != Kind::Number {
            self.given.put(option, value);
            return;
        }
        // Perl's numbers may have underscores and a sign.
        let digits = value.replace('_', "");
        match digits.parse::<i64>() {
            Ok(number) => self.given.put(option, number.to_string()),
            Err(_) => self.mistakes.push(format!(
                "value {value:?} is not valid for option {}: a whole number is expected",
                option.name
            )),
        }
    }

    fn finish(mut self) -> Result<Parsed, GetoptError> {
        for option in self.command.all_options() {
            if let Some((selector, value)) = option.only
                && self.given.has(option.name)
                && self.given.text(selector) != Some(value)
            {
                self.given.forget(option);
                let why = format!("option {} is one of --{selector}={value} only", option.name);
                let written = format!("--{}", option.name);
                self.strangers.push(Stranger { written, why, option: true });
            }
        }
        let strict = match self.command.unknown {
            Unknown::Passed => false,
            Unknown::Refused => true,
            Unknown::RefusedIf(option, value) => self.given.text(option) == Some(value),
        };
        if strict {
            let refused = self.strangers.iter().filter(|stranger| stranger.option);
            self.mistakes.extend(refused.map(|stranger| stranger.why.clone()));
        }
        if !self.mistakes.is_empty() {
            return Err(GetoptError { mistakes: self.mistakes });
        }
        let passed_over = said_words(&self.strangers);
        Ok(Parsed { given: self.given, passed_over })
    }
}
