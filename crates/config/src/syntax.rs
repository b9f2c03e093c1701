//! TOML itself: what the parser says about a text that is not TOML, in our words.

use std::collections::BTreeSet;

use toml::de::DeTable;

use crate::error::Problems;

const DUPLICATE: &str = "duplicate key";

/// Reads the text as TOML. After a key that is written twice the rest can still be checked; after
/// other mistakes too much would be complained about that is only their consequence.
pub(crate) fn read<'t>(text: &'t str, problems: &mut Problems<'_>) -> Option<DeTable<'t>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let readable = errors.iter().all(|error| error.message() == DUPLICATE);
    let (mut lines, mut list) = (BTreeSet::new(), false);
    for error in &errors {
        // A list that nobody closes swallows the rest of the file.
        if list {
            break;
        }
        list = error.message().contains("array");
        let span = error.span().unwrap_or(text.len()..text.len());
        // What follows on the same line is mostly a consequence of the first mistake.
        if !lines.insert(problems.source.line(span.start)) {
            continue;
        }
        if lines.len() > 100 {
            break;
        }
        let name = text.get(span.clone()).unwrap_or_default();
        if error.message() == DUPLICATE {
            problems.add(
                &span,
                format!("`{name}` is written twice"),
                "remove one of the two, or bring them together in one section",
            );
        } else {
            problems.add(
                &span,
                format!("this is not TOML: {}", error.message()),
                help(error.message()),
            );
        }
    }
    readable.then(|| root.into_inner())
}

fn help(message: &str) -> &'static str {
    const HINTS: [(&str, &str); 5] = [
        ("quote", "put texts, addresses and durations into double quotes"),
        ("string", "put texts, addresses and durations into double quotes"),
        ("table", "a section begins with [its name] on a line of its own"),
        ("array", "a list is written [\"a\", \"b\"]; one on a line before this may lack its ]"),
        ("key", "a line is written key = value"),
    ];
    let hint = HINTS.iter().find(|(word, _)| message.contains(word));
    hint.map_or("a line is written key = value; texts stand in double quotes", |(_, help)| help)
}
