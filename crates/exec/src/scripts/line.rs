//! One command line, run with the arguments of one call.

use std::time::Duration;

use primacy_hooks::{Outcome, Program, quoted};
use secrecy::{ExposeSecret, SecretString};

/// What scripts get of our environment beside what every program gets: without these `ssh` finds no
/// agent, and Perl not its modules.
const ENVIRONMENT: [&str; 4] = ["USER", "LOGNAME", "SSH_AUTH_SOCK", "PERL5LIB"];

/// What stands where the password stood.
const MASK: &str = "***";

/// A line for a shell.
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    pub(super) limit: Duration,
    pub(super) secret: &'a SecretString,
}

impl Line<'_> {
    /// Runs it to its end or its limit. What it says is shown to people: the password, which it was
    /// perhaps given, is taken out.
    pub(super) async fn run(&self, arguments: Vec<String>) -> Outcome {
        let words: Vec<String> = arguments.iter().map(|argument| quoted(argument)).collect();
        let line = format!("{} {}", self.text, words.join(" "));
        let environment = ENVIRONMENT.into_iter().filter_map(|n| Some((n, std::env::var_os(n)?)));
        let program = Program::shell(&line, self.limit).environment(environment);
        let mut outcome = program.run().await;
        for said in [&mut outcome.stdout.text, &mut outcome.stderr.text, &mut outcome.program] {
            *said = masked(said, self.secret.expose_secret());
        }
        outcome
    }
}

/// The text without the secret, also as a shell shows it that is told to (`set -x`).
fn masked(text: &str, secret: &str) -> String {
    if secret.is_empty() {
        return text.to_owned();
    }
    let as_word = quoted(secret);
    let inner = as_word.trim_matches('\'');
    let mut masked = text.replace(secret, MASK);
    if !inner.is_empty() {
        masked = masked.replace(inner, MASK);
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn a_secret_is_taken_out_in_every_form_in_which_a_shell_shows_it() {
        assert_eq!(masked("--password=hush! done", "hush!"), "--password=*** done");
        assert_eq!(masked(r"+ '--p=it'\''s'", "it's"), "+ '--p=***'");
        assert_eq!(masked("nothing", ""), "nothing");
        assert_eq!(masked("'", "'"), "***");
    }
}
