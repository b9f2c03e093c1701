//! Commands for the far side, written so that any login shell hands them to `sh` unchanged.
//!
//! sshd gives the whole text to the login shell of the user, which need not be a POSIX shell. So
//! every word stands in single quotes, and the characters that some shell treats specially even
//! there (`'`, `\` in fish, `!` in csh) stand outside of them behind a backslash, which all of
//! them read alike.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What a script prints first: the answer begins behind it.
pub(crate) const MARK: &str = "primacy-answer-7d1c0b52\n";

/// A command that prints the mark and runs a script with these arguments (`$1`, `$2`, ...).
pub(crate) fn command(script: &str, arguments: &[&OsStr]) -> OsString {
    let mut text = b"exec sh -c ".to_vec();
    quote(format!("echo {}; {script}", MARK.trim_end()).as_bytes(), &mut text);
    text.extend_from_slice(b" sh");
    for argument in arguments {
        text.push(b' ');
        quote(argument.as_bytes(), &mut text);
    }
    OsString::from_vec(text)
}

fn quote(word: &[u8], text: &mut Vec<u8>) {
    let mut inside = false;
    let mut switch = |text: &mut Vec<u8>, to: bool| {
        if inside != to {
            text.push(b'\'');
            inside = to;
        }
    };
    for byte in word {
        if matches!(byte, b'\'' | b'\\' | b'!') {
            switch(text, false);
            text.push(b'\\');
        } else {
            switch(text, true);
        }
        text.push(*byte);
    }
    switch(text, false);
    if word.is_empty() {
        text.extend_from_slice(b"''");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(word: &str) -> String {
        let mut text = Vec::new();
        quote(word.as_bytes(), &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn nothing_is_left_for_a_shell_to_act_on() {
        assert_eq!(quoted("/var/lib/mysql"), "'/var/lib/mysql'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b;$(id)`id`\n*"), "'a b;$(id)`id`\n*'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(r"\!'"), r"\\\!\'");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a shell that prints its arguments ends")]
    fn every_byte_reaches_the_script_through_a_shell() {
        let bytes: Vec<u8> = (1..=255).collect();
        let argument = OsString::from_vec(bytes.clone());
        let line = command("printf \"%s|%s|\" \"$1\" \"$2\"", &[&argument, OsStr::new("")]);
        let said = std::process::Command::new("sh").arg("-c").arg(line).output().unwrap();
        assert_eq!(said.stdout, [MARK.as_bytes(), &bytes, b"||"].concat());
    }
}
