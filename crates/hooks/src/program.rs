//! What is to be run, and with what: nothing is run here.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What passes from our own environment to a program; everything else that the manager was
/// started with (passwords among it) stays with us.
pub const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// So much is kept of each output unless told otherwise.
const CAPTURE: usize = 64 << 10;

/// How long a program that was told to end may take for it.
const GRACE: Duration = Duration::from_secs(2);

/// One program to run, once.
///
/// Its `Debug` shows neither arguments nor environment nor input: passwords may be among them.
#[derive(Clone)]
pub struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) limit: Duration,
    pub(crate) grace: Duration,
    pub(crate) capture: usize,
    /// What errors and logs call it.
    pub(crate) name: String,
}

/// The path of a program is not one that can be relied on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is not an absolute path: which program it names would depend on the directory that the \
     manager was started in; write it from the root, such as /etc/primacy/hook", path.display()
)]
pub struct NotAbsolute {
    /// The path.
    pub path: PathBuf,
}

impl Program {
    /// An executable without arguments, which may run so long. No shell is involved.
    ///
    /// # Errors
    /// If the path is not absolute. Whether the file is there shows when it is run: it may be
    /// installed later.
    pub fn new(path: impl Into<PathBuf>, limit: Duration) -> Result<Self, NotAbsolute> {
        let path = path.into();
        if !path.is_absolute() {
            return Err(NotAbsolute { path });
        }
        let name = path.display().to_string();
        Ok(Self::named(path, name, limit))
    }

    /// A command line that somebody wrote for a shell: `/bin/sh -c` runs it. What is not the
    /// person's own text must be put in by way of [`quoted`], or of the environment.
    pub fn shell(line: &str, limit: Duration) -> Self {
        // In `SECRET=x /path/script --a=b` only the path may be shown.
        let word = line.split_whitespace().find(|word| !word.contains('='));
        let name = word.unwrap_or("the configured command").to_owned();
        Self::named(PathBuf::from("/bin/sh"), name, limit).arguments(["-c", line])
    }

    fn named(path: PathBuf, name: String, limit: Duration) -> Self {
        Self {
            path,
            arguments: Vec::new(),
            environment: Vec::new(),
            stdin: Vec::new(),
            directory: None,
            limit,
            grace: GRACE,
            capture: CAPTURE,
            name,
        }
    }

    /// Adds arguments, each passed as it is.
    #[must_use]
    pub fn arguments<A: Into<OsString>>(mut self, more: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(more.into_iter().map(Into::into));
        self
    }

    /// Adds variables to the few that are [inherited](INHERITED), or replaces them.
    #[must_use]
    pub fn environment<N: Into<OsString>, V: Into<OsString>>(
        mut self,
        more: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.environment.extend(more.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// What it reads from its standard input; without this it reads the end at once.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// The directory it runs in; else it is ours.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// How long it may take to end after SIGTERM, before SIGKILL (preset: 2 s).
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many bytes are kept of each output (preset: 64 KiB).
    #[must_use]
    pub fn capture(mut self, bytes: usize) -> Self {
        self.capture = bytes;
        self
    }

    /// What errors and logs call it: its path, without arguments.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long it may run.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The variables that it gets from us.
    pub(crate) fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
        INHERITED.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&OsStr> = self.environment.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Program")
            .field("name", &self.name)
            .field("arguments", &self.arguments.len())
            .field("environment", &variables)
            .field("stdin", &self.stdin.len())
            .field("directory", &self.directory)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A value as one word of a command line for a shell, whatever is in it. (A NUL character cannot be
/// in an argument: the program would not be started.)
pub fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn a_path_that_depends_on_where_we_were_started_is_refused() {
        let refused = Program::new("hooks/vip", LIMIT).unwrap_err();
        assert!(refused.to_string().starts_with("hooks/vip is not an absolute path"));
    }

    #[test]
    fn secrets_are_in_no_debug_text() {
        let program = Program::shell("TOKEN=hush1 /bin/vip --password=hush2", LIMIT)
            .arguments(["hush3"])
            .environment([("PASSWORD", "hush4")])
            .stdin("hush5");
        assert_eq!(program.name(), "/bin/vip");
        let shown = format!("{program:?}");
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn a_quoted_value_is_one_word_for_a_shell() {
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }
}
