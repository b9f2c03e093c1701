//! What is wrong with an MHA file, in the form of every configuration error: file, line, reason, way
//! out. Of a line that may hold a secret only what stands before its `=` is shown.

use primacy_config::{ConfigError, ConfigErrors};

use crate::ini::{Holds, Line};
use crate::keys::{Kind, key_named};
use crate::model::Place;

/// At most so many characters of a line are shown.
const SHOWN: usize = 100;

/// More faults than this help nobody.
const MOST: usize = 200;

/// Collects faults.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    found: Vec<ConfigError>,
}

impl Faults {
    /// A fault of a line.
    pub(crate) fn line(
        &mut self,
        file: &str,
        line: &Line<'_>,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = Place { file: file.to_owned(), line: line.number };
        self.add(&place, shown(line), reason.into(), help.into());
    }

    /// A fault of a key's value that only showed when all was read.
    pub(crate) fn key(
        &mut self,
        place: &Place,
        key: &str,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(place, format!("{key}=…"), reason.into(), help.into());
    }

    /// A fault of a block.
    pub(crate) fn block(
        &mut self,
        place: &Place,
        name: &str,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.add(place, format!("[{name}]"), reason.into(), help.into());
    }

    fn add(&mut self, place: &Place, excerpt: String, reason: String, help: String) {
        if self.found.len() >= MOST {
            return;
        }
        let marks = (0, excerpt.chars().count().max(1));
        let Place { file, line } = place.clone();
        self.found.push(ConfigError { file, line, column: 1, excerpt, marks, reason, help });
    }

    /// All of them, in the order of the files.
    pub(crate) fn into_errors(self) -> Result<(), ConfigErrors> {
        ConfigErrors::of(self.found).map_or(Ok(()), Err)
    }
}

/// What may be seen of a line: all of it only where it cannot hold a secret.
fn shown(line: &Line<'_>) -> String {
    let text = line.text.trim_start_matches('\u{feff}').trim();
    let (said, cut) = match line.holds {
        Holds::Pair(pair) => {
            let harmless = |kind| !matches!(kind, Kind::Secret | Kind::Script | Kind::Text);
            match key_named(pair.key).is_some_and(|key| harmless(key.kind)) {
                true => (text, false),
                false => (text.find('=').map_or(text, |at| &text[..=at]), true),
            }
        }
        Holds::Section(_) | Holds::Comment | Holds::Blank => (text, false),
        Holds::Strange if text.starts_with('[') => (text, false),
        // Perhaps a key without its `=`, or what an editor broke off a password.
        Holds::Strange => {
            let word = text.split(char::is_whitespace).next().unwrap_or_default();
            (if key_named(word).is_some() { word } else { "" }, true)
        }
    };
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut shown: String = said.chars().take(SHOWN).map(clean).collect();
    if cut || said.chars().count() > SHOWN {
        shown.push('…');
    }
    shown
}
