//! What belongs to the shell: completions and man pages.

use std::path::Path;
use std::{fs, io};

use clap_mangen::Man;
use primacy_mha::{COMMANDS, man_page};

use crate::args::{Completions, ManArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

pub(super) fn completions(printer: &mut Printer, args: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "primacy", &mut script);
    printer.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

pub(super) fn man(printer: &mut Printer, args: &ManArgs) -> Outcome {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        Man::new(crate::command())
            .render(&mut page)
            .map_err(|e| Failure::new(Exit::Refused, format!("the page was not made: {e}")))?;
        printer.data(&String::from_utf8_lossy(&page))?;
        return Ok(Exit::Done);
    };
    fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(crate::command(), dir))
        .and_then(|()| mha_pages(dir))
        .map_err(|e| Failure::new(Exit::Refused, format!("man pages in {}: {e}", dir.display())))?;
    printer.note(&format!("the man pages are in {}", dir.display()));
    Ok(Exit::Done)
}

/// The pages of MHA's commands that this version has.
fn mha_pages(dir: &Path) -> io::Result<()> {
    for command in COMMANDS.iter().filter(|command| command.built.is_some()) {
        fs::write(dir.join(format!("{}.1", command.name)), man_page(command))?;
    }
    Ok(())
}
