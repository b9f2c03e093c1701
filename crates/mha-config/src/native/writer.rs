//! Writing a native file line by line, remembering from which line of the MHA file each one comes, so
//! that what is wrong with it is told in terms of the file that the person has.

use primacy_config::{ConfigError, ConfigErrors, toml_text};

use crate::model::{MhaConfig, Place};

/// A native file while it is written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) text: String,
    /// The line here, and where it comes from.
    origins: Vec<(usize, Place)>,
}

impl Writer {
    pub(super) fn blank(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    pub(super) fn comment(&mut self, text: &str) {
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = text.chars().map(clean).collect();
        self.text.push_str(&format!("# {text}\n"));
    }

    pub(super) fn table(&mut self, path: &str) {
        self.blank();
        self.text.push_str(&format!("[{path}]\n"));
    }

    /// One more table of a list.
    pub(super) fn item(&mut self, path: &str, from: Option<&Place>) {
        self.blank();
        self.note(from);
        self.text.push_str(&format!("[[{path}]]\n"));
    }

    /// A key whose value is TOML already.
    pub(super) fn key(&mut self, name: &str, value: &str, from: Option<&Place>) {
        self.note(from);
        self.text.push_str(&format!("{name} = {value}\n"));
    }

    pub(super) fn text_key(&mut self, name: &str, value: &str, from: Option<&Place>) {
        self.key(name, &toml_text(value), from);
    }

    pub(super) fn list_key(&mut self, name: &str, values: &[String], from: Option<&Place>) {
        let texts: Vec<String> = values.iter().map(|value| toml_text(value)).collect();
        self.key(name, &format!("[{}]", texts.join(", ")), from);
    }

    fn note(&mut self, from: Option<&Place>) {
        if let Some(place) = from {
            let line = self.text.matches('\n').count() + 1;
            self.origins.push((line, place.clone()));
        }
    }

    /// What is wrong with what was written, at the lines that it was made from.
    pub(super) fn in_terms_of(&self, mha: &MhaConfig, errors: &ConfigErrors) -> ConfigErrors {
        let told = |error: &ConfigError| {
            let origin = self.origins.iter().rev().find(|(line, _)| *line == error.line);
            let place = origin.map(|(_, place)| place.clone());
            let Place { file, line } = place.unwrap_or(Place { file: mha.file.clone(), line: 1 });
            ConfigError {
                file,
                line,
                column: 1,
                excerpt: error.excerpt.clone(),
                marks: error.marks,
                reason: format!("as a native configuration this is wrong: {}", error.reason),
                help: error.help.clone(),
            }
        };
        ConfigErrors::of(errors.iter().map(told).collect()).unwrap_or_else(|| errors.clone())
    }
}
