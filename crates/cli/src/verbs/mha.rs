//! MHA's commands: called by their names or as `primacy mha NAME`, listed, and linked to.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use primacy_mha::{COMMANDS, Command, LinkState, install_links};

use crate::args::{InstallMhaLinks, MhaArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

/// The command that a program called so is.
pub(crate) fn called_as(program: &OsStr) -> Option<&'static Command> {
    let name = Path::new(program).file_name()?.to_str()?;
    primacy_mha::command(name)
}

/// The command that is named behind `primacy mha`, and the words for it.
pub(crate) fn named(args: &MhaArgs) -> Option<(&'static Command, Vec<OsString>)> {
    let (name, words) = args.words.split_first()?;
    Some((primacy_mha::command(name.to_str()?)?, words.to_vec()))
}

/// Lists the commands; one that is not there is refused.
pub(super) fn list(printer: &mut Printer, args: &MhaArgs) -> Outcome {
    if let Some(name) = args.words.first() {
        let name = name.to_string_lossy();
        let failure = Failure::usage(format!("MHA has no command {name:?}"));
        return Err(failure.hint("primacy mha lists them"));
    }
    let mut text = String::new();
    for command in COMMANDS {
        let missing = if command.built.is_none() { " (not available in this version)" } else { "" };
        text.push_str(&format!("{:<25}  {}{missing}\n", command.name, command.about));
    }
    printer.data(&text)?;
    Ok(Exit::Done)
}

pub(super) fn install(printer: &mut Printer, args: &InstallMhaLinks) -> Outcome {
    let program = std::env::current_exe().map_err(|error| {
        Failure::new(Exit::Refused, format!("it is not known where this program is: {error}"))
    })?;
    let links = install_links(&args.dir, &program, args.force).map_err(|error| {
        let failure = Failure::new(Exit::Refused, &error);
        match error {
            primacy_mha::LinkError::Strangers(_) => failure.hint(
                "remove MHA's own packages, name another folder, or add --force: the files are then \
                 kept as NAME.before-primacy",
            ),
            _ => failure,
        }
    })?;
    let mut text = String::new();
    for link in links {
        let path = link.path.display();
        text.push_str(&match link.state {
            LinkState::Already => format!("{path} was there\n"),
            LinkState::Made => format!("{path} -> {}\n", program.display()),
            LinkState::Replaced(kept) => {
                format!("{path} -> {} (before: {})\n", program.display(), kept.display())
            }
        });
    }
    printer.data(&text)?;
    Ok(Exit::Done)
}
