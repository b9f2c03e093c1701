//! Log lines: for people on a terminal, JSON for machines, on standard error; a manager that is started
//! with a file of MHA writes them for people to its `manager_log`.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use primacy_manager::mha_log;
use tracing_subscriber::EnvFilter;

use crate::args::{BinlogVerb, Cli, ColorWhen, LogFormat, Verb};
use crate::failure::Failure;
use crate::session::config_file;

/// The daemon logs what its options say. Commands tell what matters themselves and log nothing,
/// unless `PRIMACY_LOG` asks for it.
pub(crate) fn start(cli: &Cli) -> Result<(), Failure> {
    let (format, level) = match &cli.verb {
        Verb::Manager(daemon) | Verb::Run(daemon) => (daemon.log_format, daemon.log_level.clone()),
        Verb::Agent(agent) => (agent.daemon.log_format, agent.daemon.log_level.clone()),
        Verb::Binlog(BinlogVerb::Serve(serve)) => {
            (serve.daemon.log_format, serve.daemon.log_level.clone())
        }
        _ => match std::env::var("PRIMACY_LOG") {
            Ok(level) => (LogFormat::Human, level),
            Err(_) => return Ok(()),
        },
    };
    let mha = match &cli.verb {
        Verb::Manager(_) | Verb::Run(_) => mha_log(&config_file(&cli.global)),
        _ => None,
    };
    // Options count more than files; the level of the option is `info` unless somebody wrote it.
    let own = mha.as_ref().and_then(|log| log.level).filter(|_| level == "info");
    let level = own.map_or(level, str::to_owned);
    let log_file = mha.and_then(|log| log.file);
    let filter = EnvFilter::try_new(&level)
        .map_err(|e| Failure::usage(format!("{level:?} is no log level: {e}")))?;
    if let Some(file) = log_file {
        let options = OpenOptions::new().create(true).append(true).mode(0o640).clone();
        let file = options.open(&file).map_err(|error| {
            Failure::usage(format!("manager_log: {} cannot be written: {error}", file.display()))
        })?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Arc::new(file));
        match format {
            LogFormat::Json => log.json().flatten_event(true).init(),
            _ => log.with_ansi(false).with_target(false).init(),
        }
        return Ok(());
    }
    let terminal = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if format == LogFormat::Json || (format == LogFormat::Auto && !terminal) {
        log.json().flatten_event(true).init();
    } else {
        let colours = match cli.global.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            }
        };
        log.with_ansi(colours).with_target(false).init();
    }
    Ok(())
}
