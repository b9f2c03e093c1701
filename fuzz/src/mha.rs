//! Files of MHA: read, turned into native ones, and changed. Up to two lines of `%` divide the global
//! file, the application's, and what the script prints.

use primacy_mha_config::edit::{add_block, remove_block};
use primacy_mha_config::{Source, Sources, decoded, init_script, is_mha, parse, to_native};

pub(crate) fn target(bytes: &[u8]) {
    let Ok(text) = decoded("app1.cnf", bytes) else { return };
    let mut parts = text.split("\n%\n");
    let app = Source { file: "app1.cnf", text: parts.next().unwrap_or_default() };
    let global = parts.next().map(|text| Source { file: "global.cnf", text });
    let script = parts.next();
    is_mha("app1", text);
    let line = init_script(app, global);
    if let Ok(mha) = parse(&Sources { global, app, script }) {
        assert!(line.is_ok(), "what is right with its script is right without");
        if let Ok(native) = to_native(&mha) {
            primacy_config::parse(&native.text, "native").expect("a native file is one");
        }
    }
    edits(app.text);
}

fn edits(text: &str) {
    let Ok(changed) = add_block(text, "server_new", "h", &[]) else { return };
    assert!(changed.starts_with(text), "what was there stays");
    let removed = remove_block(&changed, "server_new").expect("nothing else is touched");
    let removed = removed.expect("it is there");
    let full = |text: &str| -> Vec<String> {
        let lines = text.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
        lines.map(str::to_owned).collect()
    };
    assert_eq!(full(&removed), full(text), "all other lines are as they were");
}
