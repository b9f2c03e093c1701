//! The log of MHA's commands: `<ctime> - [level] text`, in a file or on standard error. What the
//! engine tells goes there too. Secrets become stars, whoever wrote them.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Zoned;
use secrecy::{ExposeSecret, SecretString};
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Shorter secrets are not looked for: they would be found in every word.
const SHORTEST: usize = 4;

/// What stands in the place of a secret.
const STARS: &str = "********";

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever looks for a mistake.
    Debug,
    /// The ordinary course of things.
    Info,
    /// Something is not as it should be.
    Warning,
    /// Something failed.
    Error,
}

impl Level {
    /// As it stands in the log and in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// The level of that word; `info` for any other.
    pub fn named(word: &str) -> Self {
        let all = [Self::Debug, Self::Info, Self::Warning, Self::Error];
        all.into_iter().find(|level| level.word() == word).unwrap_or(Self::Info)
    }
}

enum Sink {
    Screen,
    File(File),
    Kept(Vec<u8>),
}

struct Inner {
    sink: Mutex<Sink>,
    least: Level,
    secrets: Vec<SecretString>,
    path: Option<PathBuf>,
}

/// A log. Cheap to clone.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Inner>,
}

impl Log {
    /// One on standard error.
    pub fn screen(least: Level, secrets: Vec<SecretString>) -> Self {
        Self::of(Sink::Screen, least, secrets, None)
    }

    /// One in a file, which lines are added to; only its owner and group may read a new one.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn file(path: &Path, least: Level, secrets: Vec<SecretString>) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o640).open(path)?;
        Ok(Self::of(Sink::File(file), least, secrets, Some(path.to_owned())))
    }

    /// One that is kept to be looked at.
    pub fn kept(least: Level, secrets: Vec<SecretString>) -> Self {
        Self::of(Sink::Kept(Vec::new()), least, secrets, None)
    }

    fn of(sink: Sink, least: Level, secrets: Vec<SecretString>, path: Option<PathBuf>) -> Self {
        let sink = Mutex::new(sink);
        Self { inner: Arc::new(Inner { sink, least, secrets, path }) }
    }

    /// Its file; `None`: it is none.
    pub fn path(&self) -> Option<&Path> {
        self.inner.path.as_deref()
    }

    /// What was written to one that is kept.
    pub fn text(&self) -> String {
        match &*self.inner.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            Sink::Kept(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    /// Writes a line at the time that it is now.
    pub fn write(&self, level: Level, text: &str) {
        if level < self.inner.least {
            return;
        }
        let line = format!("{} - [{}] {}\n", ctime(&Zoned::now()), level.word(), self.masked(text));
        let mut sink = self.inner.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing can be done about a disk that is full, or a terminal that is gone.
        let _unheard = match &mut *sink {
            Sink::Screen => io::stderr().lock().write_all(line.as_bytes()),
            Sink::File(file) => file.write_all(line.as_bytes()),
            Sink::Kept(bytes) => bytes.write_all(line.as_bytes()),
        };
    }

    /// The ordinary course of things.
    pub fn info(&self, text: impl AsRef<str>) {
        self.write(Level::Info, text.as_ref());
    }

    /// Something is not as it should be.
    pub fn warning(&self, text: impl AsRef<str>) {
        self.write(Level::Warning, text.as_ref());
    }

    /// Something failed.
    pub fn error(&self, text: impl AsRef<str>) {
        self.write(Level::Error, text.as_ref());
    }

    /// For whoever looks for a mistake.
    pub fn debug(&self, text: impl AsRef<str>) {
        self.write(Level::Debug, text.as_ref());
    }

    /// The text without secrets, and without what would move a terminal's cursor.
    fn masked(&self, text: &str) -> String {
        let clean = |c: char| if c.is_control() && c != '\n' && c != '\t' { '?' } else { c };
        let mut text: String = text.chars().map(clean).collect();
        for secret in &self.inner.secrets {
            let secret = secret.expose_secret();
            if secret.len() >= SHORTEST && text.contains(secret) {
                text = text.replace(secret, STARS);
            }
        }
        text
    }

    /// Takes what the engine in this process tells. The first log of a process has it.
    pub fn take_events(&self) {
        let all = tracing_subscriber::registry().with(Events { log: self.clone() });
        let _another_has_them = tracing::subscriber::set_global_default(all);
    }
}

/// As C's `ctime` writes a time: `Thu Sep  7 09:03:01 2023`.
fn ctime(at: &Zoned) -> String {
    at.strftime("%a %b %e %H:%M:%S %Y").to_string()
}

/// Writes what the engine tells into the log.
struct Events {
    log: Log,
}

impl<S: Subscriber> Layer<S> for Events {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("primacy") && level_of(metadata) >= self.log.inner.least
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        self.log.write(level_of(event.metadata()), &line.text());
    }
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warning,
        tracing::Level::INFO => Level::Info,
        _ => Level::Debug,
    }
}

/// An event as one line: its sentence, then what it is about.
#[derive(Default)]
struct Line {
    sentence: String,
    about: String,
}

/// Fields that are the same in every line of one application, or are for machines.
const LEFT_OUT: [&str; 3] = ["cluster", "operation", "alarm"];

impl Line {
    fn put(&mut self, field: &Field, value: &dyn fmt::Display) {
        if field.name() == "message" {
            self.sentence = value.to_string();
        } else if !LEFT_OUT.contains(&field.name()) {
            let _never_fails = write!(self.about, " {}={value}", field.name());
        }
    }

    fn text(&self) -> String {
        match self.about.is_empty() {
            true => self.sentence.clone(),
            false => format!("{}:{}", self.sentence, self.about),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, &format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, &value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_mha_writes_it_and_shows_no_secret() {
        let log = Log::kept(Level::Info, vec!["hunter2!".into(), "ab".into()]);
        log.debug("not this");
        log.info("the password is hunter2!, about it");
        let text = log.text();
        let (time, rest) = text.split_once(" - ").unwrap();
        assert_eq!(rest, "[info] the password is ********, about it\n");
        assert_eq!(time.len(), "Thu Sep  7 09:03:01 2023".len(), "{time}");
    }

    #[test]
    fn the_day_of_the_month_is_padded_with_a_blank() {
        let at: Zoned = "2023-09-07T09:03:01[UTC]".parse().unwrap();
        assert_eq!(ctime(&at), "Thu Sep  7 09:03:01 2023");
    }

    #[test]
    fn what_the_engine_tells_is_in_the_log() {
        let log = Log::kept(Level::Info, Vec::new());
        let all = tracing_subscriber::registry().with(Events { log: log.clone() });
        tracing::subscriber::with_default(all, || {
            tracing::warn!(target: "primacy_x", cluster = "app1", error = "gone", "lost");
            tracing::info!(target: "other", "not this");
        });
        assert!(log.text().ends_with("[warning] lost: error=gone\n"), "{}", log.text());
    }
}
