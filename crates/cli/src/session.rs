//! Who answers: the running manager, or this process itself when none runs.

use std::path::{Path, PathBuf};

use primacy_api::{Client, ClientError, Service};
use primacy_config::Config;
use primacy_manager::{Standalone, load_config};

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::printer::Printer;

/// The configuration that a system-wide manager reads.
const SYSTEM_WIDE: &str = "/etc/primacy/primacy.toml";

/// Who may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The manager; without one, this process.
    Anyone,
    /// The manager only.
    Manager,
}

enum Answering {
    Manager(Client),
    Alone(Box<Standalone>),
}

/// A configuration, the clusters that are meant, and who answers for them.
pub(crate) struct Session {
    answering: Answering,
    /// What the configuration says.
    pub(crate) config: Config,
}

/// The configuration file that is meant.
pub(crate) fn config_file(global: &Global) -> PathBuf {
    if let Some(given) = &global.config {
        return given.clone();
    }
    let here = Path::new("primacy.toml");
    if here.exists() { here.to_owned() } else { PathBuf::from(SYSTEM_WIDE) }
}

/// Reads the configuration.
pub(crate) fn load(global: &Global) -> Result<Config, Failure> {
    let file = config_file(global);
    load_config(&file).map_err(|error| {
        let failure = Failure::from(error);
        if global.config.is_none() && !file.exists() {
            failure.hint(
                "name the file with --config, or make a cluster to try with: primacy sandbox up",
            )
        } else {
            failure
        }
    })
}

impl Session {
    /// Finds who answers for `cluster`, or for all clusters.
    pub(crate) async fn open(
        global: &Global,
        printer: &mut Printer,
        cluster: Option<&str>,
        asked: Asked,
    ) -> Result<Self, Failure> {
        let config = load(global)?;
        if let Some(name) = cluster
            && !config.clusters.contains_key(name)
        {
            return Err(
                Failure::usage(format!("there is no cluster {name:?}")).hint(known(&config))
            );
        }
        let answering = match (Client::connect(&config.manager.socket_path()).await, asked) {
            (Ok(client), _) => Answering::Manager(client),
            (Err(ClientError::NotRunning { .. }), Asked::Anyone) => {
                printer.note("no manager is running; looking myself");
                let opened = Standalone::open(&config_file(global), cluster).await?;
                Answering::Alone(Box::new(opened))
            }
            (Err(error @ ClientError::NotRunning { .. }), Asked::Manager) => {
                let file = config_file(global);
                let hint = format!("start it with: primacy manager --config {}", file.display());
                return Err(Failure::new(Exit::Unreachable, error).hint(hint));
            }
            (Err(error), _) => return Err(Failure::new(Exit::Unreachable, error)),
        };
        Ok(Self { answering, config })
    }

    /// Who answers.
    pub(crate) fn service(&self) -> &dyn Service {
        match &self.answering {
            Answering::Manager(client) => client,
            Answering::Alone(standalone) => standalone.as_ref(),
        }
    }

    /// Whether this process does the work itself.
    pub(crate) fn is_alone(&self) -> bool {
        matches!(self.answering, Answering::Alone(_))
    }

    /// The cluster that is meant, or all of them.
    pub(crate) fn names(&self, cluster: Option<&str>) -> Vec<String> {
        match cluster {
            Some(name) => vec![name.to_owned()],
            None => self.config.clusters.keys().map(ToString::to_string).collect(),
        }
    }

    /// Writes what is still to be written.
    pub(crate) async fn close(self) {
        if let Answering::Alone(standalone) = self.answering {
            standalone.close().await;
        }
    }
}

/// The one cluster that is to be acted on.
///
/// # Errors
/// If none is named and there is not exactly one.
pub(crate) fn the_one(config: &Config, named: Option<&str>) -> Result<String, Failure> {
    if let Some(name) = named {
        return Ok(name.to_owned());
    }
    let mut names = config.clusters.keys();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only.to_string()),
        (None, _) => Err(Failure::usage("the configuration has no cluster")),
        _ => Err(Failure::usage("there are several clusters: say which one").hint(known(config))),
    }
}

fn known(config: &Config) -> String {
    let names: Vec<_> = config.clusters.keys().map(ToString::to_string).collect();
    match names.as_slice() {
        [] => "the configuration has no cluster".to_owned(),
        names => format!("the configuration has: {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(names: &[&str]) -> Config {
        let mut text = "[defaults.accounts.manager]\nuser = \"p\"\npassword_env = \"P\"\n\
                        [defaults.accounts.replication]\nuser = \"r\"\npassword_env = \"R\"\n"
            .to_owned();
        for name in names {
            text.push_str(&format!("[cluster.{name}]\nservers = [\"{name}1\", \"{name}2\"]\n"));
        }
        primacy_config::parse(&text, "primacy.toml").unwrap()
    }

    #[test]
    fn the_only_cluster_need_not_be_named() {
        assert_eq!(the_one(&config(&["orders"]), None).unwrap(), "orders");
    }

    #[test]
    fn with_several_one_must_be_named() {
        let failure = the_one(&config(&["orders", "users"]), None).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert_eq!(failure.hint.as_deref(), Some("the configuration has: orders, users"));
        assert_eq!(the_one(&config(&["orders", "users"]), Some("users")).unwrap(), "users");
    }
}
