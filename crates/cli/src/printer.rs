//! Where a command writes: data to standard output, everything else to standard error.
//!
//! A reader that went away ends the command quietly. Colours are shown on a terminal unless
//! `NO_COLOR` or `--color` says otherwise.

use std::fs::File;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use crate::args::{ColorWhen, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::look::Look;
use crate::paint;

type Stream = AutoStream<Box<dyn Write + Send>>;

/// The two streams, and how to write on them.
pub(crate) struct Printer {
    out: Stream,
    err: Stream,
    /// Charset and time zone.
    pub(crate) look: Look,
    json: bool,
    quiet: bool,
    interactive: bool,
    out_is_terminal: bool,
}

impl Printer {
    /// The streams of the process.
    pub(crate) fn new(global: &Global) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let choice = |auto: ColorChoice| match global.color {
            ColorWhen::Auto => auto,
            ColorWhen::Always => ColorChoice::AlwaysAnsi,
            ColorWhen::Never => ColorChoice::Never,
        };
        let (colour_out, colour_err) =
            (choice(AutoStream::choice(&stdout)), choice(AutoStream::choice(&stderr)));
        Self {
            look: Look::of_environment(),
            json: global.json,
            quiet: global.quiet,
            interactive: io::stdin().is_terminal() && stderr.is_terminal(),
            out_is_terminal: stdout.is_terminal(),
            out: AutoStream::new(Box::new(stdout), colour_out),
            err: AutoStream::new(Box::new(stderr), colour_err),
        }
    }

    /// Whether the data is wanted as JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.json
    }

    /// Whether a person can be asked.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Whether the data is read on a terminal.
    pub(crate) fn shows_on_terminal(&self) -> bool {
        self.out_is_terminal
    }

    /// Whether whoever read the data went away, as one who writes only seldom must ask.
    pub(crate) fn reader_is_gone(&self) -> bool {
        let stdout = io::stdout();
        let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
        poll(&mut asked, Some(&Timespec::default())).is_ok()
            && asked[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)
    }

    /// Writes data; a line break is added if there is none at its end.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), Failure> {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        written(write!(self.out, "{text}{end}").and_then(|()| self.out.flush()))
    }

    /// Lets `work` write its data to a file, without colours.
    pub(crate) fn data_to(
        &mut self,
        file: File,
        work: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let to_file: Stream = AutoStream::never(Box::new(file));
        let out = std::mem::replace(&mut self.out, to_file);
        let worked = work(self);
        self.out = out;
        worked
    }

    /// Writes bytes that are no text.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        written(io::stdout().write_all(bytes))
    }

    /// Writes one JSON document.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|e| Failure::new(Exit::Refused, format!("not to be written as JSON: {e}")))?;
        self.data(&text)
    }

    /// Writes one JSON document on one line.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|e| Failure::new(Exit::Refused, format!("not to be written as JSON: {e}")))?;
        self.data(&text)
    }

    /// Progress and remarks.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// What the person may want to do next.
    pub(crate) fn hint(&mut self, text: &str) {
        if !self.quiet {
            self.say(&format!("\n{}: {text}", paint::strong("hint")));
        }
    }

    /// A question: written even when quiet, and without a line break.
    pub(crate) fn ask(&mut self, text: &str) {
        let _unheard = write!(self.err, "{text} ").and_then(|()| self.err.flush());
    }

    /// An error, its reasons, and the way out of each.
    pub(crate) fn failure(&mut self, failure: &Failure) -> Result<(), Failure> {
        if failure.message.is_empty() {
            return Ok(());
        }
        self.say(&crate::render::failure::render(failure));
        if let Some(hint) = &failure.hint {
            self.hint(hint);
        }
        match &failure.answer {
            Some(answer) if self.json => self.json(answer),
            _ => Ok(()),
        }
    }

    /// Nothing can be done about a standard error that is closed.
    fn say(&mut self, text: &str) {
        let _unheard = writeln!(self.err, "{text}").and_then(|()| self.err.flush());
    }
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::reader_gone()),
        Err(e) => {
            Err(Failure::new(Exit::Refused, format!("standard output cannot be written: {e}")))
        }
    }
}
