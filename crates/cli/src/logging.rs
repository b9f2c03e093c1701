//! Log lines: for people on a terminal, JSON for machines, always on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::args::{BinlogVerb, Cli, ColorWhen, LogFormat, Verb};
use crate::failure::Failure;

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
    let filter = EnvFilter::try_new(&level)
        .map_err(|e| Failure::usage(format!("{level:?} is no log level: {e}")))?;
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
