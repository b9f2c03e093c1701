//! The reference page, written from the catalogue.

use crate::catalogue::{RESERVED, SECTIONS};
use crate::schema::{Key, Preset, Section};
use crate::value::{Value, takes};

/// A small file that is complete; tests read it.
const EXAMPLE: &str = include_str!("example.toml");

const HEAD: &str = "# Configuration

<!-- Generated from the catalogue of keys; do not edit. -->

Primacy reads one TOML file. `primacy config check` names everything that is wrong with it, with
line and column; `primacy config show` prints every key with the value that holds.

Durations are whole numbers with units (`d`, `h`, `m`, `s`, `ms`), the larger unit first:
`500ms`, `3s`, `1m 30s`. Relative paths are taken from the folder of the file. A section under
`defaults` holds for every cluster that does not write the key itself. A key that Primacy does not
know is an error.
";

/// The reference of all keys as Markdown.
pub fn reference() -> String {
    let mut page = format!("{HEAD}\n```toml\n{EXAMPLE}```\n");
    for section in SECTIONS {
        describe_section(&mut page, section);
    }
    page.push_str(
        "\n## Reserved\n\nThese names are recognised and refused with an explanation:\n\n",
    );
    for reserved in RESERVED {
        let path = reserved.path.replace('*', "NAME");
        page.push_str(&format!("- `{path}`: {}.\n", reserved.reason));
    }
    page
}

fn describe_section(page: &mut String, section: &Section) {
    let path = section.path.replace('*', "NAME");
    let header = match path.strip_suffix("[]") {
        Some(list) => format!("[[{list}]]"),
        None => format!("[{path}]"),
    };
    page.push_str(&format!("\n## `{header}`\n\n{}\n", section.doc));
    if let Some(defaults) = section.defaults {
        page.push_str(&format!("\nFor all clusters: `[{defaults}]`.\n"));
    }
    for key in section.keys {
        page.push_str(&format!(
            "\n### `{}`\n\n{}\n\n- Takes {}.\n- {}\n- Since {}.\n",
            key.name,
            key.doc,
            takes(key.kind),
            preset(key),
            key.since
        ));
    }
}

fn preset(key: &Key) -> String {
    match key.preset {
        Preset::Required => "Must be written.".to_owned(),
        Preset::Unset(meaning) => format!("If not written: {meaning}."),
        Preset::Is(_) => {
            let value = Value::preset(key).map(|value| value.to_toml()).unwrap_or_default();
            format!("Default: `{value}`.")
        }
    }
}
