//! Tests that walk the whole catalogue, so that no key is only half there.

use crate::catalogue::{RESERVED, SECTIONS};
use crate::schema::{Child, Key, Kind, Preset, Section, child};
use crate::value::{Value, sample};
use crate::{parse, reference, show};

/// A value that is not the preset, as it is written.
fn other(key: &Key) -> String {
    let preset = Value::preset(key).map(|v| v.to_toml());
    let candidates = match key.kind {
        Kind::Bool => vec!["true".to_owned(), "false".to_owned()],
        Kind::Integer { min, max } => vec![min.max(1).to_string(), (max.min(2)).to_string()],
        Kind::Duration { min, .. } => {
            let low = crate::duration::format(min);
            vec![format!("\"{low}\""), "\"7s\"".to_owned()]
        }
        Kind::Word(words) => words().iter().map(|word| format!("\"{word}\"")).collect(),
        Kind::CleanShutdown => vec!["\"wait 5m\"".to_owned()],
        Kind::OffOrDuration { .. } => vec!["\"10s\"".to_owned()],
        Kind::Text { .. } => vec!["\"something\"".to_owned()],
        Kind::Addresses => vec!["[\"db9:3306\", \"db1:3306\"]".to_owned()],
        Kind::Path => vec!["\"else/where\"".to_owned()],
        Kind::Address => vec!["\"db7:3306\"".to_owned()],
        Kind::Moments => vec!["[\"before_failover\", \"alarm\"]".to_owned()],
        _ => vec![sample(key)],
    };
    candidates.into_iter().find(|text| Some(text) != preset.as_ref()).unwrap()
}

/// A complete file in which one key is set; what the key needs beside it is written too.
fn file_with(section: &Section, key: &Key) -> String {
    let line = format!("{} = {}\n", key.name, other(key));
    let mut file = String::new();
    let mut put = |path: &str, base: &str| {
        let header = path.replace('*', "main");
        let header =
            header.strip_suffix("[]").map_or(format!("[{header}]"), |p| format!("[[{p}]]"));
        let mut lines: Vec<&str> = base.lines().collect();
        if section.path == path {
            let replaced = |l: &&str| {
                l.starts_with(key.name) || (key.name.starts_with("password") && l.contains("word"))
            };
            lines.retain(|l| !replaced(l));
            lines.push(line.trim_end());
        }
        file.push_str(&format!("{header}\n{}\n\n", lines.join("\n")));
    };
    let account = "user = \"u\"\npassword_env = \"P\"";
    let tls = match key.name {
        "ca_file" => "mode = \"full\"",
        "fingerprint" => "mode = \"pinned\"",
        _ => "",
    };
    let policy =
        if key.name == "semi_sync_without_acker" { "semi_sync_wait_count = 1" } else { "" };
    let certificates = match key.name {
        "certificate" | "key" | "authority" | "vip" | "reader_vip" | "host_access" => {
            "certificate = \"c\"\nkey = \"k\"\nauthority = \"a\""
        }
        _ => "",
    };
    put("manager", certificates);
    put("agent", "");
    put("agent.server[]", "address = \"db3:3306\"");
    put("agent.account", account);
    put("agent.tls", if section.path == "agent.tls" { tls } else { "" });
    let access = if key.name.ends_with("vip") { "\nhost_access = \"agent\"" } else { "" };
    put("cluster.*", &format!("servers = [\"db1:3306\", \"db2:3306\"]{access}"));
    put("cluster.*.server[]", "address = \"db3:3306\"");
    put("cluster.*.accounts.manager", account);
    put("cluster.*.accounts.replication", account);
    put("cluster.*.tls", if section.path == "cluster.*.tls" { tls } else { "" });
    put("cluster.*.timing", "");
    put("cluster.*.policy", policy);
    put("cluster.*.binlog_copy[]", "host = \"db1\"\nfolder = \"/copy\"");
    put("cluster.*.hook[]", if key.name == "command" { "" } else { "program = \"/bin/true\"" });
    put("cluster.*.webhook[]", "url = \"https://db1/\"");
    file
}

#[test]
fn every_key_that_is_written_reaches_the_configuration() {
    for section in SECTIONS {
        for key in section.keys {
            // Each TLS mode needs other keys, and the other kind is refused: tests/ has them.
            if ["mode", "kind"].contains(&key.name) {
                continue;
            }
            let file = file_with(section, key);
            let shown = match parse(&file, "f") {
                Ok(config) => show(&config),
                Err(errors) => panic!("{}.{}: {errors}\n{file}", section.path, key.name),
            };
            if matches!(key.kind, Kind::Addresses) {
                assert!(shown.contains("db9"), "{shown}");
                continue;
            }
            let line = format!("\n{} = {}\n", key.name, other(key));
            assert!(shown.contains(&line), "{}.{} is lost:\n{shown}", section.path, key.name);
        }
    }
}

#[test]
fn every_preset_fits_its_key() {
    for key in SECTIONS.iter().flat_map(|s| s.keys) {
        let fits = Value::preset(key).is_some();
        assert_eq!(fits, matches!(key.preset, Preset::Is(_)), "{}", key.name);
    }
}

#[test]
fn every_key_is_found_where_it_is_said_to_stand() {
    for section in SECTIONS {
        for path in std::iter::once(section.path).chain(section.defaults) {
            for key in section.keys {
                assert!(matches!(child(path, key.name), Child::Key(k) if k.name == key.name));
            }
        }
    }
    for reserved in RESERVED {
        let (parent, name) = reserved.path.rsplit_once('.').unwrap_or(("", reserved.path));
        assert!(matches!(child(parent, name), Child::Reserved(_)), "{}", reserved.path);
    }
}

#[test]
fn the_reference_names_every_key_with_its_default() {
    let page = reference();
    for key in SECTIONS.iter().flat_map(|s| s.keys) {
        assert!(page.contains(&format!("### `{}`\n\n{}", key.name, key.doc)), "{}", key.name);
    }
    assert!(page.contains("- Takes a duration from `50ms` to `1m`.\n- Default: `\"500ms\"`."));
    assert!(!page.contains("  \n") && !page.contains("*"), "a pattern or a blank was left");
}
