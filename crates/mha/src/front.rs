//! What happens before a command does its work: secrets are taken out of the process list, the
//! command line is read, help and version are answered.

use std::ffi::OsString;
use std::io::{self, BufReader};

use crate::command::{Command, Streams};
use crate::getopt::{Parsed, parse};
use crate::{COMPATIBLE_WITH, page, secrets};

/// The exit code of a command line that is refused, and of a command that is not there.
const REFUSED: u8 = 1;

/// Runs a command of this process with the words behind its name; its exit code.
pub fn main(command: &'static Command, words: impl IntoIterator<Item = OsString>) -> u8 {
    // Not locked: the threads of the engine write to standard error too.
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut input = BufReader::new(io::stdin());
    let mut streams = Streams { input: &mut input, out: &mut out, err: &mut err };
    let words: Result<Vec<String>, OsString> =
        words.into_iter().map(OsString::into_string).collect();
    let words = match words {
        Ok(words) => words,
        Err(word) => {
            say(&mut streams, &format!("{}: {word:?} is not valid UTF-8", command.name));
            return REFUSED;
        }
    };
    // From here on `ps` does not show them.
    let words = secrets::hide(command, words);
    let code = run(command, words, &mut streams);
    let _unheard = streams.out.flush();
    code
}

/// The same without a process around it.
pub(crate) fn run(command: &'static Command, words: Vec<String>, streams: &mut Streams<'_>) -> u8 {
    let name = command.name;
    let Parsed { given, passed_over } = match parse(command, words) {
        Ok(parsed) => parsed,
        Err(error) => {
            for mistake in error.mistakes {
                say(streams, &format!("{name}: {mistake}"));
            }
            say(streams, &format!("{name}: nothing was done; see {name} --help"));
            return REFUSED;
        }
    };
    if given.is_on("help") {
        return print(streams, &page::help(command));
    }
    if given.is_on("version") {
        let ours = env!("CARGO_PKG_VERSION");
        // The first line is what MHA's own programs look for.
        let text = format!("{name} version {COMPATIBLE_WITH}.\nThis is Primacy {ours}.\n");
        return print(streams, &text);
    }
    if !passed_over.is_empty() {
        let words = passed_over.join(" ");
        say(streams, &format!("{name}: notice: not an option of this command, ignored: {words}"));
    }
    match command.built {
        Some(run) => run(&given, streams),
        None => {
            say(streams, &format!("{name}: this command is not available in this version"));
            REFUSED
        }
    }
}

fn print(streams: &mut Streams<'_>, text: &str) -> u8 {
    match streams.out.write_all(text.as_bytes()).and_then(|()| streams.out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => REFUSED,
        _ => 0,
    }
}

/// Nothing can be done about a standard error that is closed.
fn say(streams: &mut Streams<'_>, text: &str) {
    let _unheard = writeln!(streams.err, "{text}");
}
