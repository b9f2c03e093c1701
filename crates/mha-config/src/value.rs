//! Whether a value fits its key, and what it means.

use secrecy::{ExposeSecret, SecretString};

use crate::keys::{Key, Kind};

/// A value that fits its key.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Number(u32),
    Flag(bool),
    Secret(SecretString),
}

/// What a value was read as.
pub(crate) enum Read {
    /// As it should be written.
    Fits(Value),
    /// Understood, but worth a remark.
    Doubtful(Value, String),
    /// Not understood: why, and what to write instead.
    Wrong(String, String),
}

impl Value {
    /// The text that everybody may see.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => u8::from(*flag).to_string(),
            Self::Secret(_) => "(a secret)".to_owned(),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => a == b,
            (Self::Flag(a), Self::Flag(b)) => a == b,
            (Self::Secret(a), Self::Secret(b)) => a.expose_secret() == b.expose_secret(),
            _ => false,
        }
    }
}

impl Eq for Value {}

/// Reads a value whose quotes are removed already.
pub(crate) fn read(key: &Key, text: &str) -> Read {
    if text.contains('\0') {
        let help = "write it without; no program can be given one";
        return Read::Wrong(format!("`{}` holds a NUL character", key.name), help.to_owned());
    }
    match key.kind {
        Kind::Text | Kind::Script => Read::Fits(Value::Text(text.to_owned())),
        Kind::Secret => Read::Fits(Value::Secret(text.to_owned().into())),
        Kind::Flag => flag(key, text),
        Kind::Number { min, max } => match text.parse::<u32>() {
            Ok(number) if (min..=max).contains(&number) => Read::Fits(Value::Number(number)),
            _ => Read::Wrong(
                format!(
                    "`{}` takes a whole number from {min} to {max}, not {}",
                    key.name,
                    quoted(text)
                ),
                match key.preset {
                    Some(preset) => format!("write {}={preset}, or another number", key.name),
                    None => format!("write {}={min}, or another number", key.name),
                },
            ),
        },
        Kind::Word(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
            Some(word) => Read::Fits(Value::Text((*word).to_owned())),
            None => Read::Wrong(
                format!("`{}` is one of {}, not {}", key.name, words.join(", "), quoted(text)),
                format!("write {}={}", key.name, words.join(" or ")),
            ),
        },
    }
}

/// As Perl sees it: nothing and `0` are no, all else is yes.
fn flag(key: &Key, text: &str) -> Read {
    match text {
        "0" | "" => Read::Fits(Value::Flag(false)),
        "1" => Read::Fits(Value::Flag(true)),
        other => Read::Doubtful(
            Value::Flag(true),
            format!("`{}` is 0 or 1; {} counts as 1, as it does for MHA", key.name, quoted(other)),
        ),
    }
}

/// A text in quotes, shortened if it is long.
pub(crate) fn quoted(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(40).map(clean).collect();
    if text.chars().count() > 40 {
        short.push('…');
    }
    format!("\"{short}\"")
}
