//! `config import`: a configuration of MHA as a native file, its passwords as files beside it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use primacy_manager::{ManagerError, load_config, load_mha, rewrite};
use primacy_mha_config::{Native, SecretFile, to_native};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::args::ImportArgs;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::paint;
use crate::printer::Printer;

/// What `--json` says.
#[derive(Serialize)]
struct Imported<'a> {
    /// The native file, if one was written.
    file: Option<&'a Path>,
    /// Its text.
    text: &'a str,
    /// The files of its passwords, as it names them.
    passwords: Vec<&'a Path>,
    notices: &'a [String],
}

pub(super) fn run(printer: &mut Printer, args: &ImportArgs) -> Outcome {
    let mha = load_mha(&args.file, args.global.as_deref())?;
    let native = to_native(&mha).map_err(ManagerError::from)?;
    if let Some(output) = &args.output {
        write(output, &native, args.force)?;
    }
    let notices = &native.config.notices;
    if printer.wants_json() {
        printer.json(&Imported {
            file: args.output.as_deref(),
            text: &native.text,
            passwords: native.secrets.iter().map(|file| file.path.as_path()).collect(),
            notices,
        })?;
        return Ok(Exit::Done);
    }
    for notice in notices {
        printer.note(&format!("{}: {notice}", paint::doubtful("notice")));
    }
    let files = native.secrets.iter().map(|file| file.path.display().to_string());
    let files = files.collect::<Vec<_>>().join(" and ");
    match &args.output {
        None => {
            printer.data(&native.text)?;
            printer.hint(&format!(
                "nothing was written; with --output FILE the passwords go to {files} beside it"
            ));
        }
        Some(output) => {
            printer.data(&format!(
                "{} is written; its passwords are in {files} beside it (mode 0600)\n",
                output.display()
            ))?;
            printer.hint(&format!("primacy check --config {}", output.display()));
        }
    }
    Ok(Exit::Done)
}

/// Writes the passwords first, so that a native file that is there can be used.
fn write(output: &Path, native: &Native, force: bool) -> Result<(), Failure> {
    let failed = |path: &Path, error: &io::Error| {
        Failure::new(Exit::Refused, format!("{} cannot be written: {error}", path.display()))
    };
    if output.file_name().is_none() {
        return Err(Failure::usage(format!("{} is no name of a file", output.display())));
    }
    let exists = match output.symlink_metadata() {
        Ok(_) if !force => {
            let text = format!("{} exists; nothing was written", output.display());
            return Err(Failure::usage(text).hint("name another file, or add --force"));
        }
        Ok(_) => true,
        Err(_) => false,
    };
    let folder = output.parent().unwrap_or(Path::new(""));
    let mut missing = Vec::new();
    for file in &native.secrets {
        let path = folder.join(&file.path);
        if is_to_be_written(file, &path)? {
            missing.push((path, file));
        }
    }
    for (path, file) in missing {
        let line = format!("{}\n", file.secret.expose_secret());
        create(&path, &line, 0o600).map_err(|error| failed(&path, &error))?;
    }
    let written = match exists {
        true => rewrite(output, &native.text),
        false => create(output, &native.text, 0o644),
    };
    written.map_err(|error| failed(output, &error))?;
    // What was written is read as every command will read it.
    load_config(output)?;
    Ok(())
}

/// Whether the password's file is missing. One that holds the same may stay; one that holds something
/// else is somebody's.
fn is_to_be_written(file: &SecretFile, path: &PathBuf) -> Result<bool, Failure> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Ok(bytes) if holds(&bytes, file.secret.expose_secret()) => Ok(false),
        Ok(_) => Err(Failure::new(
            Exit::Refused,
            format!("{} exists and holds another password; nothing was written", path.display()),
        )
        .hint("move it away, or import to another folder")),
        Err(error) => Err(Failure::new(
            Exit::Refused,
            format!("{} cannot be read: {error}; nothing was written", path.display()),
        )),
    }
}

/// As a password is read from a file: a line break at its end is not part of it.
fn holds(bytes: &[u8], secret: &str) -> bool {
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    line.strip_suffix(b"\r").unwrap_or(line) == secret.as_bytes()
}

fn create(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
