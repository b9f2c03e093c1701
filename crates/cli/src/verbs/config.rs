//! `config check`, `config show`, `config reference`.

use primacy_config::{Config, ConfigError};
use primacy_manager::{ManagerError, load_config};
use serde::Serialize;

use crate::args::{ConfigVerb, Global};
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::look::count;
use crate::paint;
use crate::printer::Printer;
use crate::session::{config_file, load};

pub(super) fn run(global: &Global, printer: &mut Printer, verb: &ConfigVerb) -> Outcome {
    match verb {
        ConfigVerb::Check => check(global, printer),
        ConfigVerb::Show => {
            let config = load(global)?;
            printer.data(&primacy_config::show(&config))?;
            Ok(Exit::Done)
        }
        ConfigVerb::Reference => {
            printer.data(&primacy_config::reference())?;
            Ok(Exit::Done)
        }
        ConfigVerb::Import(args) => super::import::run(printer, args),
    }
}

/// What `config check --json` says.
#[derive(Serialize)]
struct Checked {
    file: String,
    errors: Vec<Problem>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Problem {
    line: usize,
    column: usize,
    reason: String,
    help: String,
}

impl From<&ConfigError> for Problem {
    fn from(error: &ConfigError) -> Self {
        let ConfigError { line, column, reason, help, .. } = error.clone();
        Self { line, column, reason, help }
    }
}

fn check(global: &Global, printer: &mut Printer) -> Outcome {
    if !printer.wants_json() {
        let config = load(global)?;
        let file = config_file(global).display().to_string();
        printer.data(&verdict(&file, &config))?;
        return Ok(Exit::Done);
    }
    let path = config_file(global);
    let file = path.display().to_string();
    let (errors, warnings, exit) = match load_config(&path) {
        Ok(config) => (Vec::new(), config.warnings(), Exit::Done),
        Err(ManagerError::Config(errors)) => {
            (errors.iter().map(Problem::from).collect(), Vec::new(), Exit::Usage)
        }
        Err(error) => return Err(error.into()),
    };
    printer.json(&Checked { file, errors, warnings })?;
    Ok(exit)
}

fn verdict(file: &str, config: &Config) -> String {
    let warnings = config.warnings();
    let servers = config.clusters.values().map(|cluster| cluster.servers.len()).sum();
    let mut text = String::new();
    for warning in &warnings {
        text.push_str(&format!("{}: {warning}\n", paint::doubtful("warning")));
    }
    text.push_str(&format!(
        "{file}: {}; {} with {}, {}\n",
        paint::good("no errors"),
        count(config.clusters.len(), "cluster", "clusters"),
        count(servers, "server", "servers"),
        count(warnings.len(), "warning", "warnings")
    ));
    text
}
