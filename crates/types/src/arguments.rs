//! Arguments with placeholders: `--to={new_primary}`. A value takes its place inside one argument,
//! whatever is in it; no shell sees it and nothing is split again. What the values are is known to
//! whoever calls the program.

/// What can be put into an argument of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The cluster's name.
    Cluster,
    /// The primary before the operation.
    OldPrimary,
    /// The primary after it.
    NewPrimary,
    /// The moment.
    Event,
    /// The epoch in force.
    Epoch,
    /// The operation's id.
    Operation,
}

const PLACEHOLDERS: [(&str, Placeholder); 6] = [
    ("cluster", Placeholder::Cluster),
    ("old_primary", Placeholder::OldPrimary),
    ("new_primary", Placeholder::NewPrimary),
    ("event", Placeholder::Event),
    ("epoch", Placeholder::Epoch),
    ("operation", Placeholder::Operation),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder),
}

/// A program's arguments as configured, understood and known to be without mistakes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments(Vec<Vec<Piece>>);

/// A mistake in a configured argument, with its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argument {argument}, character {column}: {mistake}")]
pub struct ArgumentError {
    /// Which argument, from 1.
    pub argument: usize,
    /// Which character of it, from 1.
    pub column: usize,
    /// What is wrong there.
    pub mistake: TemplateMistake,
}

/// What can be wrong in an argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateMistake {
    /// There is no such placeholder.
    #[error("{{{word}}} is no placeholder; there are {}; write {{{{ for a plain brace", known())]
    Unknown {
        /// The word between the braces.
        word: String,
    },
    /// A placeholder does not end.
    #[error("this brace is not closed; write {{{{ for a plain brace")]
    Unclosed,
    /// A closing brace closes nothing.
    #[error("this brace closes nothing; write }}}} for a plain brace")]
    Unopened,
}

fn known() -> String {
    PLACEHOLDERS.map(|(word, _)| format!("{{{word}}}")).join(" ")
}

impl Arguments {
    /// Understands configured arguments.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, ArgumentError> {
        let parsed = texts.iter().enumerate().map(|(n, text)| {
            pieces(text.as_ref()).map_err(|(column, mistake)| ArgumentError {
                argument: n + 1,
                column,
                mistake,
            })
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// The arguments with these values, as many as were configured.
    pub fn fill(&self, value: impl Fn(Placeholder) -> String) -> Vec<String> {
        let fill_one = |pieces: &Vec<Piece>| {
            let filled = pieces.iter().map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Value(placeholder) => value(*placeholder),
            });
            filled.collect()
        };
        self.0.iter().map(fill_one).collect()
    }
}

/// The pieces of one argument, or the character (from 1) at which a mistake begins.
fn pieces(text: &str) -> Result<Vec<Piece>, (usize, TemplateMistake)> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut characters = text.chars().enumerate().map(|(n, c)| (n + 1, c)).peekable();
    while let Some((column, character)) = characters.next() {
        let doubled = characters.peek().is_some_and(|(_, next)| *next == character);
        match character {
            '{' | '}' if doubled => {
                characters.next();
                plain.push(character);
            }
            '{' => {
                let mut word = String::new();
                loop {
                    match characters.next() {
                        Some((_, '}')) => break,
                        Some((_, '{')) | None => return Err((column, TemplateMistake::Unclosed)),
                        Some((_, other)) => word.push(other),
                    }
                }
                let Some((_, found)) = PLACEHOLDERS.iter().find(|(known, _)| *known == word) else {
                    return Err((column, TemplateMistake::Unknown { word }));
                };
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Value(*found));
            }
            '}' => return Err((column, TemplateMistake::Unopened)),
            other => plain.push(other),
        }
    }
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(placeholder: Placeholder) -> String {
        let value = match placeholder {
            Placeholder::Cluster => "shop; rm -rf *",
            Placeholder::OldPrimary => "db1:3306",
            Placeholder::Event => "after_failover",
            Placeholder::Epoch => "7",
            Placeholder::NewPrimary | Placeholder::Operation => "",
        };
        value.to_owned()
    }

    fn filled(text: &str) -> Vec<String> {
        Arguments::parse(&[text]).unwrap().fill(value)
    }

    fn mistake(texts: &[&str]) -> String {
        Arguments::parse(texts).unwrap_err().to_string()
    }

    #[test]
    fn values_stay_inside_their_argument() {
        assert_eq!(filled("--name={cluster}"), ["--name=shop; rm -rf *"]);
        assert_eq!(filled("{old_primary}>{new_primary}<"), ["db1:3306><"]);
        assert_eq!(filled("{event}{epoch}{operation}"), ["after_failover7"]);
        assert_eq!(filled(r#"{{"epoch": {epoch}}}"#), [r#"{"epoch": 7}"#]);
        assert_eq!(filled(""), [""]);
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        assert_eq!(
            mistake(&["ok", "ä={primary}"]),
            "argument 2, character 3: {primary} is no placeholder; there are {cluster} \
             {old_primary} {new_primary} {event} {epoch} {operation}; write {{ for a plain brace"
        );
        let unclosed = "this brace is not closed; write {{ for a plain brace";
        assert_eq!(mistake(&["x{epoch"]), format!("argument 1, character 2: {unclosed}"));
        assert_eq!(mistake(&["{a{epoch}"]), format!("argument 1, character 1: {unclosed}"));
        assert_eq!(
            mistake(&["epoch}"]),
            "argument 1, character 6: this brace closes nothing; write }} for a plain brace"
        );
    }

    proptest! {
        #[test]
        fn any_text_can_be_written_with_doubled_braces(text in any::<String>()) {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(filled(&doubled), [text]);
        }

        #[test]
        fn any_value_comes_out_once_and_whole(value in any::<String>(), before in "[^{}]*", after in "[^{}]*") {
            let arguments = Arguments::parse(&[format!("{before}{{cluster}}{after}")]).unwrap();
            prop_assert_eq!(arguments.fill(|_| value.clone()), [format!("{before}{value}{after}")]);
        }

        #[test]
        fn no_text_is_too_odd_to_be_judged(texts in prop::collection::vec("[{}a-z_]{0,12}", 0..4)) {
            match Arguments::parse(&texts) {
                Ok(arguments) => prop_assert_eq!(arguments.fill(value).len(), texts.len()),
                Err(error) => {
                    let text = &texts[error.argument - 1];
                    let there = text.chars().nth(error.column - 1);
                    let is_brace = matches!(there, Some('{' | '}'));
                    prop_assert!(is_brace);
                }
            }
        }
    }
}
