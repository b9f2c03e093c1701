//! Whether a file is MHA's, and its bytes as text.

use primacy_config::{ConfigError, ConfigErrors};

use crate::ini::{self, Holds};
use crate::parse::DEFAULT;

/// Whether a file is to be read as one of MHA: it is called `….cnf`, or it is not called `….toml` and
/// its first section is one of MHA's.
pub fn is_mha(file: &str, text: &str) -> bool {
    let lower = file.to_ascii_lowercase();
    if lower.ends_with(".cnf") {
        return true;
    }
    if lower.ends_with(".toml") {
        return false;
    }
    let first = ini::lines(text).into_iter().find_map(|line| match line.holds {
        Holds::Section(name) => Some(name.to_owned()),
        _ => None,
    });
    let numbered = |name: &str, kind: &str| {
        name.strip_prefix(kind)
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '_'))
    };
    first.is_some_and(|name| {
        name == DEFAULT || numbered(&name, "server") || numbered(&name, "binlog")
    })
}

/// The bytes of a file as text.
///
/// # Errors
/// If they are no UTF-8; the line is named, and what stands in it is not shown.
pub fn decoded<'b>(file: &str, bytes: &'b [u8]) -> Result<&'b str, ConfigErrors> {
    let error = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let fault = ConfigError {
        file: file.to_owned(),
        line,
        column: 1,
        excerpt: "…".to_owned(),
        marks: (0, 1),
        reason: "this line holds a byte that is no UTF-8".to_owned(),
        help: "save the file as UTF-8 (iconv -f latin1 -t utf8)".to_owned(),
    };
    match ConfigErrors::of(vec![fault]) {
        Some(errors) => Err(errors),
        None => Ok(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_or_its_first_section() {
        for (file, text, mha) in [
            ("app1.cnf", "", true),
            ("/etc/mha/APP.CNF", "[cluster.main]", true),
            ("primacy.toml", "[server default]\n", false),
            ("app1", "# ours\n[server default]\nuser=a\n", true),
            ("app1.conf", "[server1]\nhostname=a\n", true),
            ("app1.conf", "[binlog_1]\n", true),
            ("primacy.conf", "[manager]\n[server1]\n", false),
            ("x", "[serverless]\n", false),
            ("x", "", false),
        ] {
            assert_eq!(is_mha(file, text), mha, "{file} {text:?}");
        }
    }

    #[test]
    fn the_line_of_a_strange_byte_is_named_without_its_content() {
        let errors = decoded("a.cnf", b"[server1]\npassword=hunter2\xff\n").unwrap_err();
        let text = errors.to_string();
        assert!(text.starts_with("a.cnf:2:1: "), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
