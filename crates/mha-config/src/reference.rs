//! The table of keys for the page on MHA, in Markdown.

use crate::keys::{KEYS, Key, Kind, Native, Scope};

/// One row for each key: where it stands, what holds without it, what MHA does with it, what becomes
/// of it.
pub fn reference() -> String {
    let mut text =
        String::from("| key | where | default | in MHA | in Primacy |\n|---|---|---|---|---|\n");
    for key in KEYS {
        text.push_str(&row(key));
    }
    text
}

fn row(key: &Key) -> String {
    let Key { name, scope, kind, preset, meaning, native } = key;
    let default = match (preset, kind) {
        (None, _) => String::new(),
        (Some(""), _) => "empty".to_owned(),
        (Some(preset), _) => format!("`{preset}`"),
    };
    let native = match native {
        Native::Becomes(what) => (*what).to_owned(),
        Native::Obeyed(by) => format!("obeyed: {by}"),
        Native::Nothing(why) => format!("accepted, with a notice: {why}"),
    };
    let takes = match kind {
        Kind::Word(words) => format!(" ({})", words.join(", ")),
        Kind::Flag => " (0, 1)".to_owned(),
        _ => String::new(),
    };
    format!("| `{name}` | {} | {default} | {meaning}{takes} | {native} |\n", places(*scope))
}

/// `L` server block, `A` application default, `G` global default, as MHA's own documentation has it.
fn places(scope: Scope) -> String {
    let letters = [(scope.server, "L"), (scope.app, "A"), (scope.global, "G")];
    let found: Vec<&str> =
        letters.iter().filter(|(is, _)| *is).map(|(_, letter)| *letter).collect();
    found.join(" ")
}
