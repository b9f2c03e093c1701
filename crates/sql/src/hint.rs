//! What comments tell the proxy: `/* primacy:replica max_lag=1s */`.
//!
//! A hint stands before the first word of the text or right behind it. One that is not understood, or
//! stands elsewhere, is reported and not obeyed.

use primacy_types::Millis;

/// Where a hint wants its statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HintRoute {
    /// `primacy:primary`.
    Primary,
    /// `primacy:replica`: also where the statement is not proven to read only; never for one that is
    /// known to write, to lock or to depend on its connection.
    Replica,
}

/// What comments say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// Where to.
    pub route: Option<HintRoute>,
    /// How far behind a replica may be that answers.
    pub max_lag: Option<Millis>,
}

/// Why a comment that speaks to the proxy was not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintProblem {
    /// It says nothing that is known.
    NotUnderstood,
    /// Its words contradict each other.
    Contradiction,
    /// It stands behind the place for hints.
    Misplaced,
    /// It wants a replica for what must not run there.
    NotOnReplica,
}

impl HintProblem {
    /// The sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::NotUnderstood => {
                "the hint was not understood: use primacy:primary, primacy:replica or primacy:max_lag=1s"
            }
            Self::Contradiction => "the hint says both primary and replica",
            Self::Misplaced => {
                "the hint must stand before the first word of the text or right behind it"
            }
            Self::NotOnReplica => {
                "the hint wants a replica for a statement that must not run on one"
            }
        }
    }
}

const PREFIX: &[u8] = b"primacy:";

/// Whether a comment's content is meant for the proxy.
pub(crate) fn speaks_to_us(content: &[u8]) -> bool {
    let content = content.trim_ascii_start();
    content.get(..PREFIX.len()).is_some_and(|word| word.eq_ignore_ascii_case(PREFIX))
}

/// Reads the content of a comment.
pub(crate) fn parse(content: &[u8]) -> Result<Hint, HintProblem> {
    let content = content.trim_ascii().get(PREFIX.len()..).unwrap_or_default();
    let mut hint = Hint::default();
    let words = content.split(|byte| byte.is_ascii_whitespace() || *byte == b',');
    let mut said = false;
    for word in words.filter(|word| !word.is_empty()) {
        let word = match word.get(..PREFIX.len()) {
            Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &word[PREFIX.len()..],
            _ => word,
        };
        let (key, value) = match word.iter().position(|byte| *byte == b'=') {
            Some(at) => (&word[..at], Some(&word[at + 1..])),
            None => (word, None),
        };
        said = true;
        let route = match (key.to_ascii_lowercase().as_slice(), value) {
            (b"primary", None) => HintRoute::Primary,
            (b"replica", None) => HintRoute::Replica,
            (b"max_lag", Some(value)) => {
                hint.max_lag = Some(duration(value).ok_or(HintProblem::NotUnderstood)?);
                continue;
            }
            _ => return Err(HintProblem::NotUnderstood),
        };
        if hint.route.is_some_and(|earlier| earlier != route) {
            return Err(HintProblem::Contradiction);
        }
        hint.route = Some(route);
    }
    if said { Ok(hint) } else { Err(HintProblem::NotUnderstood) }
}

/// `500ms`, `1s`, `2m`; nothing without its unit.
fn duration(text: &[u8]) -> Option<Millis> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number: u64 = std::str::from_utf8(&text[..digits]).ok()?.parse().ok()?;
    let factor = match &text[digits..] {
        b"ms" => 1,
        b"s" => 1_000,
        b"m" => 60_000,
        _ => return None,
    };
    number.checked_mul(factor).map(Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_read_or_refused() {
        let route = |route| Ok(Hint { route: Some(route), max_lag: None });
        let lag = |ms| Ok(Hint { route: None, max_lag: Some(Millis(ms)) });
        let cases = [
            (" primacy:primary ", route(HintRoute::Primary)),
            ("PRIMACY:Replica", route(HintRoute::Replica)),
            (" primacy:max_lag=1s", lag(1000)),
            (" primacy:max_lag=250ms ", lag(250)),
            (" primacy:max_lag=2m ", lag(120_000)),
            (
                "primacy:replica max_lag=5s",
                Ok(Hint { route: Some(HintRoute::Replica), max_lag: Some(Millis(5000)) }),
            ),
            ("primacy:primary,primacy:primary", route(HintRoute::Primary)),
            ("primacy:primary primacy:replica", Err(HintProblem::Contradiction)),
            ("primacy:", Err(HintProblem::NotUnderstood)),
            ("primacy:master", Err(HintProblem::NotUnderstood)),
            ("primacy:max_lag=1", Err(HintProblem::NotUnderstood)),
            ("primacy:max_lag=s", Err(HintProblem::NotUnderstood)),
            ("primacy:max_lag=99999999999999999999s", Err(HintProblem::NotUnderstood)),
            ("primacy:primary=1", Err(HintProblem::NotUnderstood)),
        ];
        for (text, wanted) in cases {
            assert!(speaks_to_us(text.as_bytes()), "{text}");
            assert_eq!(parse(text.as_bytes()), wanted, "{text}");
        }
        assert!(!speaks_to_us(b" primacy is a word"));
    }
}
