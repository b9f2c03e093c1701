//! What became of each test, from nextest's JUnit report or from libtest's lines.
//!
//! A test that cannot run here (no privilege for network namespaces, say) passes, and prints a
//! line that begins with `SKIPPED:`. It is counted as skipped, never as passed. One that was begun again
//! because the machine stood still prints a line with `REPEATED:` for each time.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::say;

/// The mark of a test that did not test.
const MARK: &str = "SKIPPED:";

/// The mark of a test that was begun again.
const REPEATED: &str = "REPEATED:";

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// Its path, such as `mysql_9_7::a_killed_primary_is_replaced`.
    pub(super) name: String,
    pub(super) result: Outcome,
    /// How often it was begun again.
    pub(super) repeated: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    Failed,
    /// Why.
    Skipped(String),
}

impl Case {
    pub(super) fn skipped(&self) -> bool {
        matches!(self.result, Outcome::Skipped(_))
    }

    pub(super) fn why(&self) -> Option<&str> {
        match &self.result {
            Outcome::Skipped(why) if !why.is_empty() => Some(why),
            _ => None,
        }
    }
}

/// The cases of a JUnit report as nextest writes it. Not a reader for any XML: a test is from
/// `<testcase name="..."` to the next one.
pub(super) fn from_junit(text: &str) -> Vec<Case> {
    let parts = text.split("<testcase ").skip(1);
    let case = |part: &str| {
        let (_, rest) = part.split_once("name=\"")?;
        let (name, rest) = rest.split_once('"')?;
        let result = if rest.contains("<failure") || rest.contains("<error") {
            Outcome::Failed
        } else if let Some(why) = mark(rest) {
            Outcome::Skipped(unescape(why))
        } else {
            Outcome::Passed
        };
        let repeated = rest.matches(REPEATED).count();
        Some(Case { name: unescape(name), result, repeated })
    };
    parts.filter_map(case).collect()
}

/// The rest of the line that has the mark.
fn mark(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(MARK)?;
    Some(rest.split(['\n', '<']).next().unwrap_or_default().trim())
}

fn unescape(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (name, char)| text.replace(name, char))
}

/// Runs `cargo test` with `--show-output`, passes its lines on, and reads them. What passed tests
/// print is read only.
pub(super) fn from_libtest(command: &mut Command) -> anyhow::Result<(bool, Vec<Case>)> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo test was not started")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut reader = Libtest::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if reader.read(&line) {
            say(&line);
        }
    }
    Ok((child.wait()?.success(), reader.cases))
}

/// Reads libtest's lines one by one.
#[derive(Default)]
struct Libtest {
    cases: Vec<Case>,
    /// Between `successes:` and what follows it.
    in_successes: bool,
    /// The passed test whose output is being read.
    speaker: Option<String>,
}

impl Libtest {
    /// Takes a line; whether it is for people.
    fn read(&mut self, line: &str) -> bool {
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ if line.starts_with("test result:") => self.in_successes = false,
            _ => {}
        }
        if !self.in_successes {
            self.cases.extend(result_of(line));
            return true;
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|l| l.strip_suffix(" stdout ----"))
        {
            self.speaker = Some(name.to_owned());
        } else if let Some(name) = &self.speaker
            && let Some(case) = self.cases.iter_mut().rev().find(|case| case.name == *name)
        {
            case.repeated += usize::from(line.starts_with(REPEATED));
            if let Some(why) = mark(line) {
                case.result = Outcome::Skipped(why.to_owned());
            }
        }
        false
    }
}

/// `test NAME ... ok`.
fn result_of(line: &str) -> Option<Case> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let result = match result.split_whitespace().next()? {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed,
        // Another tier's: neither passed nor failed nor left out for want of something.
        _ => return None,
    };
    Some(Case { name: name.to_owned(), result, repeated: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = r#"<testsuites><testsuite name="primacy::failover">
        <testcase name="mysql_9_7::killed" classname="primacy::failover" time="3.1"></testcase>
        <testcase name="mysql_9_7::cut" classname="x" time="0.1">
            <system-out>running
SKIPPED: no privilege for network namespaces &amp; no sudo
ok</system-out></testcase>
        <testcase name="mariadb_10_11::killed" classname="x" time="1"><system-out>
REPEATED: the machine stood still for 561ms</system-out>
            <failure message="x">boom</failure></testcase></testsuite></testsuites>"#;

    #[test]
    fn a_report_tells_passed_skipped_and_failed() {
        let cases = from_junit(REPORT);
        assert_eq!(cases.len(), 3);
        assert_eq!(cases[0].result, Outcome::Passed);
        assert_eq!(cases[1].why(), Some("no privilege for network namespaces & no sudo"));
        assert_eq!(cases[2].result, Outcome::Failed);
        assert_eq!(cases.iter().map(|case| case.repeated).collect::<Vec<_>>(), [0, 0, 1]);
        assert_eq!(from_junit(""), []);
    }

    #[test]
    fn lines_of_libtest_tell_the_same() {
        let text = "running 3 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\
                    test a::d ... ignored, other versions\ntest a::e ... ok\nsuccesses:\n\n\
                    ---- a::e stdout ----\nSKIPPED: no server\n\n\
                    ---- a::b stdout ----\nREPEATED: x\nREPEATED: y\n\nsuccesses:\n    a::b\n\n\
                    failures:\n\n---- a::c stdout ----\nSKIPPED: not this one\ntest result: FAILED.";
        let mut reader = Libtest::default();
        let shown: Vec<_> = text.lines().filter(|line| reader.read(line)).collect();
        let of = |name: &str| reader.cases.iter().find(|case| case.name == name);
        assert_eq!(reader.cases.len(), 3);
        assert_eq!(of("a::b").map(|case| &case.result), Some(&Outcome::Passed));
        assert_eq!(of("a::c").map(|case| &case.result), Some(&Outcome::Failed));
        assert_eq!(of("a::e").and_then(Case::why), Some("no server"));
        assert_eq!(of("a::b").map(|case| case.repeated), Some(2));
        assert!(shown.contains(&"---- a::c stdout ----") && !shown.contains(&"    a::b"));
    }
}
