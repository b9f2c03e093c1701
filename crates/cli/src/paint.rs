//! Colours for words. A colour never carries meaning alone: the word says it too. Whether they
//! are shown is decided where the text is printed.

use std::fmt::Display;

use owo_colors::OwoColorize;
use primacy_plan::Severity;
use primacy_store::Level;

/// As it should be.
pub(crate) fn good(text: impl Display) -> String {
    text.green().to_string()
}

/// Worth a look.
pub(crate) fn doubtful(text: impl Display) -> String {
    text.yellow().to_string()
}

/// Wrong.
pub(crate) fn bad(text: impl Display) -> String {
    text.red().bold().to_string()
}

/// What the eye should find first.
pub(crate) fn strong(text: impl Display) -> String {
    text.bold().to_string()
}

/// What the eye may skip.
pub(crate) fn faint(text: impl Display) -> String {
    text.dimmed().to_string()
}

/// A cluster's health.
pub(crate) fn health(word: &str) -> String {
    match word {
        "healthy" => good(word),
        "degraded" | "starting" => doubtful(word),
        _ => bad(word),
    }
}

/// How much a finding matters, padded before it is coloured.
pub(crate) fn severity(severity: Severity) -> String {
    let word = format!("{severity:<6}");
    match severity {
        Severity::Blocks => bad(word),
        Severity::Risk => doubtful(word),
        Severity::Advice => word,
    }
}

/// How much an event matters, padded before it is coloured.
pub(crate) fn level(level: Level) -> String {
    match level {
        Level::Info => faint("info   "),
        Level::Notice => "notice ".to_owned(),
        Level::Warning => doubtful("warning"),
        Level::Alarm => bad("alarm  "),
    }
}
