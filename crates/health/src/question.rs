//! What may be asked: a path and a query, both of them anybody's words.

use std::fmt;

use primacy_types::{Address, Millis};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Is this the primary, and may it be written to?
    Primary,
    /// Is this a replica that applies what it receives, and is no further behind than this?
    Replica {
        /// The largest lag; any that is known will do if it is not said.
        max_lag: Option<Millis>,
    },
    /// Does it accept writes, and may it?
    Writable,
    /// Is it a synced member of a Galera group?
    Galera,
    /// Has whoever answers begun its work?
    Ready,
    /// Does whoever answers live?
    Live,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What is asked.
    pub subject: Subject,
    /// Of which cluster.
    pub cluster: Option<String>,
    /// Of which server.
    pub server: Option<Address>,
}

/// Why something is no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadQuestion {
    /// The path is none of ours (status 404).
    #[error("there is nothing at this path; there is {}", PATHS.join(", "))]
    UnknownPath,
    /// The query cannot be answered as it is (status 400).
    #[error("{0}")]
    Query(String),
}

/// All paths.
pub const PATHS: [&str; 6] = ["/primary", "/replica", "/writable", "/galera", "/ready", "/live"];

/// Longer words are nobody's name.
const LONGEST: usize = 300;

impl Question {
    /// About a subject, and nothing more.
    pub const fn of(subject: Subject) -> Self {
        Self { subject, cluster: None, server: None }
    }

    /// Reads the target of a request: `/replica?max_lag=5s&server=db2:3306`.
    ///
    /// # Errors
    /// If the path is unknown, or a word of the query is: a check that asks for something else than
    /// it means to must not be told yes.
    pub fn parse(target: &str) -> Result<Self, BadQuestion> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let subject = match path {
            "/primary" => Subject::Primary,
            "/replica" => Subject::Replica { max_lag: None },
            "/writable" => Subject::Writable,
            "/galera" => Subject::Galera,
            "/ready" => Subject::Ready,
            "/live" => Subject::Live,
            _ => return Err(BadQuestion::UnknownPath),
        };
        let mut question = Self::of(subject);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            question.take(&decoded(name)?, &decoded(value)?)?;
        }
        Ok(question)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), BadQuestion> {
        let bad = |text: String| Err(BadQuestion::Query(text));
        let twice = || bad(format!("{name} is written twice"));
        match (name, &mut self.subject) {
            ("server", _) if self.server.is_some() => return twice(),
            ("server", _) => match value.parse() {
                Ok(server) => self.server = Some(server),
                Err(error) => return bad(format!("server: {error}")),
            },
            ("cluster", _) if self.cluster.is_some() => return twice(),
            ("cluster", _) if value.is_empty() => return bad("cluster: no name".to_owned()),
            ("cluster", _) => self.cluster = Some(value.to_owned()),
            ("max_lag", Subject::Replica { max_lag: Some(_) }) => return twice(),
            ("max_lag", Subject::Replica { max_lag }) => match duration(value) {
                Some(limit) => *max_lag = Some(limit),
                None => {
                    return bad(format!("max_lag: {value:?} is no length of time (5s, 500ms, 5)"));
                }
            },
            ("max_lag", _) => return bad("max_lag belongs to /replica alone".to_owned()),
            _ => {
                return bad(format!(
                    "{name:?} is not known here; there is server, cluster and (for /replica) max_lag"
                ));
            }
        }
        Ok(())
    }
}

impl fmt::Display for Question {
    /// As the target of a request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, max_lag) = match &self.subject {
            Subject::Primary => ("/primary", None),
            Subject::Replica { max_lag } => ("/replica", *max_lag),
            Subject::Writable => ("/writable", None),
            Subject::Galera => ("/galera", None),
            Subject::Ready => ("/ready", None),
            Subject::Live => ("/live", None),
        };
        let words = [
            self.cluster.as_ref().map(|cluster| format!("cluster={}", encoded(cluster))),
            self.server.as_ref().map(|server| format!("server={}", encoded(&server.to_string()))),
            max_lag.map(|limit| format!("max_lag={}ms", limit.0)),
        ];
        let words: Vec<_> = words.into_iter().flatten().collect();
        let mark = if words.is_empty() { "" } else { "?" };
        write!(f, "{path}{mark}{}", words.join("&"))
    }
}

/// `500ms`, `5s`, `1m`, `1h`, or a number of seconds.
pub fn duration(text: &str) -> Option<Millis> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).map(Millis)
}

/// Takes back the escapes of a word of a query. What is no text, or holds control characters, is
/// refused: it would come back in an answer.
fn decoded(word: &str) -> Result<String, BadQuestion> {
    let bad = |what: &str| BadQuestion::Query(format!("a word of the query {what}"));
    if word.len() > LONGEST {
        return Err(bad(&format!("is longer than {LONGEST} bytes")));
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(bad("has a % without two hexadecimal digits"));
                };
                u8::try_from(high * 16 + low).unwrap_or_default()
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| bad("is no UTF-8"))?;
    if text.chars().any(char::is_control) {
        return Err(bad("has control characters"));
    }
    Ok(text)
}

fn encoded(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
    word.bytes()
        .map(|byte| match byte {
            byte if plain(byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(target: &str) -> String {
        match Question::parse(target) {
            Err(BadQuestion::Query(reason)) => reason,
            other => panic!("{target} is read as {other:?}"),
        }
    }

    #[test]
    fn lags_are_written_with_a_unit_or_as_seconds() {
        for (text, millis) in [("5s", 5000), ("5", 5000), ("500ms", 500), ("2m", 120_000)] {
            let read = Question::parse(&format!("/replica?max_lag={text}")).unwrap();
            assert_eq!(read.subject, Subject::Replica { max_lag: Some(Millis(millis)) });
        }
        for text in ["", "s", "5 s", "-1", "1.5s", "99999999999999999999", "18446744073709551615"] {
            let text = text.replace(' ', "%20");
            assert!(query(&format!("/replica?max_lag={text}")).contains("max_lag"), "{text}");
        }
    }

    #[test]
    fn a_server_and_a_cluster_are_named_also_in_escapes() {
        let read = Question::parse("/primary?cluster=shop&server=db2%3A3307").unwrap();
        assert_eq!(read.server, Some(Address::new("db2", 3307)));
        assert_eq!(read.cluster.as_deref(), Some("shop"));
        let read = Question::parse("/primary?server=[fd00::1]:3306").unwrap();
        assert_eq!(read.server, Some(Address::new("fd00::1", 3306)));
    }

    #[test]
    fn what_is_not_understood_is_refused_rather_than_left_out() {
        assert_eq!(Question::parse("/master"), Err(BadQuestion::UnknownPath));
        assert_eq!(Question::parse("/primary/"), Err(BadQuestion::UnknownPath));
        assert_eq!(Question::parse(""), Err(BadQuestion::UnknownPath));
        assert!(query("/replica?maxlag=5").contains("\"maxlag\" is not known"));
        assert!(query("/primary?max_lag=5").contains("/replica alone"));
        assert!(query("/replica?max_lag=1&max_lag=9").contains("twice"));
        assert!(query("/primary?server=a&server=b").contains("twice"));
        assert!(query("/primary?cluster=a%0Ab").contains("control"));
        assert!(query("/primary?cluster=%f").contains("hexadecimal"));
        assert!(query("/primary?cluster=%ff").contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_refused_and_what_is_read_is_written_the_same(
            target in prop_oneof![
                ".{0,60}",
                "/(primary|replica|live)(\\?[a-z_]{1,7}=[ -~]{0,20}(&(server|max_lag)=[0-9a-z:%]{0,9})?)?",
            ]
        ) {
            if let Ok(read) = Question::parse(&target) {
                prop_assert_eq!(Question::parse(&read.to_string()), Ok(read));
            }
        }
    }
}
