//! The documents say what the program does: generated pages are current, and every example of a
//! configuration in them is one.
//!
//! `PRIMACY_UPDATE_DOCS=1 cargo test -p primacy --test docs` writes the generated pages anew.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn is_current(page: &str, wanted: &str) {
    let path = root().join(page);
    if std::env::var_os("PRIMACY_UPDATE_DOCS").is_some() {
        std::fs::write(&path, wanted).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "{page} is not current; write it anew with PRIMACY_UPDATE_DOCS=1 cargo test -p primacy \
         --test docs"
    );
}

#[test]
fn the_configuration_page_is_current() {
    is_current("docs/configuration.md", &primacy_config::reference());
}

#[test]
fn the_table_of_mhas_keys_is_current() {
    let (begin, end) = ("crates/primacy/tests/docs.rs -->\n", "<!-- end of keys -->");
    let page = std::fs::read_to_string(root().join("docs/mha.md")).unwrap();
    let (before, rest) = page.split_once(begin).expect("the table has its mark");
    let (_, after) = rest.split_once(end).expect("the table has its end");
    let table = primacy_mha_config::reference();
    is_current("docs/mha.md", &format!("{before}{begin}{table}{end}{after}"));
}

#[test]
fn the_tables_of_routing_are_current() {
    let mark = "<!-- the rest is generated: crates/primacy/tests/docs.rs -->\n\n";
    let page = std::fs::read_to_string(root().join("docs/proxy-routing.md")).unwrap();
    let (head, _) = page.split_once(mark).expect("the tables have their mark");
    is_current("docs/proxy-routing.md", &format!("{head}{mark}{}", primacy_sql::reference()));
}

#[test]
fn the_page_of_checks_is_current() {
    is_current("docs/checks.md", &primacy_plan::findings_reference());
}

#[test]
fn every_configuration_in_the_documents_is_one() {
    let mut seen = 0;
    for page in ["README.md", "docs/behaviour.md"] {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            primacy_config::parse(block, page).unwrap_or_else(|errors| panic!("{errors}"));
            seen += 1;
        }
    }
    assert!(seen > 0, "no example was found");
}
