//! As whom a server is asked.

use std::time::Duration;

use primacy_config::ClusterConfig;
use primacy_manager::{secret, tls_mode};
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session, TlsMode, WireError};
use secrecy::SecretString;

use crate::args::{Global, ServerLogin, TlsWanted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::load;

/// Limit of connecting with an account that no configuration names.
const CONNECT: Duration = Duration::from_secs(5);
/// Limit of each question.
pub(in crate::verbs) const LIMIT: Duration = Duration::from_secs(30);

/// Which of a cluster's accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::verbs) enum LoginAs {
    /// The one that watches and changes servers.
    Manager,
    /// The one that replicas use.
    Replication,
}

/// What is needed to connect, as the account that is given or configured.
pub(in crate::verbs) fn options(
    global: &Global,
    given: &ServerLogin,
    account: LoginAs,
    server: &Address,
) -> Result<ConnectOptions, Failure> {
    match &given.user {
        Some(user) => with_user(given, user, server),
        None => {
            let config = load(global).map_err(|failure| {
                let way = "or give the account: --user NAME with --password-file or --password-env";
                match failure.hint.clone() {
                    Some(hint) => failure.hint(format!("{hint}; {way}")),
                    None => failure.hint(way),
                }
            })?;
            let all: Vec<&ClusterConfig> = config.clusters.values().collect();
            of_cluster(configured(&all, given, server)?, account, server)
        }
    }
}

/// What is needed to connect to a cluster's server as one of its accounts.
pub(in crate::verbs) fn of_cluster(
    cluster: &ClusterConfig,
    account: LoginAs,
    server: &Address,
) -> Result<ConnectOptions, Failure> {
    let account = match account {
        LoginAs::Manager => &cluster.accounts.manager,
        LoginAs::Replication => &cluster.accounts.replication,
    };
    Ok(ConnectOptions {
        address: server.clone(),
        user: account.user.clone(),
        password: secret(account)?,
        tls: tls_mode(&cluster.tls),
        connect_timeout: cluster.policy.timing.connect_timeout.as_duration(),
        database: None,
        program: "primacy".to_owned(),
        unix_socket: None,
    })
}

fn configured<'c>(
    clusters: &[&'c ClusterConfig],
    given: &ServerLogin,
    server: &Address,
) -> Result<&'c ClusterConfig, Failure> {
    let found = clusters.iter().find(|cluster| match &given.cluster {
        Some(name) => cluster.name.to_string() == *name,
        None => cluster.servers.contains(server),
    });
    found.copied().ok_or_else(|| match &given.cluster {
        Some(name) => Failure::usage(format!("there is no cluster {name:?}")),
        None => Failure::usage(format!("no cluster of the configuration has {server}"))
            .hint("say whose accounts to use with --cluster, or give one with --user"),
    })
}

fn with_user(given: &ServerLogin, user: &str, server: &Address) -> Result<ConnectOptions, Failure> {
    let password = match (&given.password_file, &given.password_env) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path).map_err(|e| {
                Failure::usage(format!("the password is not in {}: {e}", path.display()))
            })?;
            let text = text.strip_suffix('\n').unwrap_or(&text);
            text.strip_suffix('\r').unwrap_or(text).to_owned()
        }
        (None, Some(name)) => std::env::var(name).map_err(|_| {
            Failure::usage(format!("the password is not in ${name}: it is not set"))
        })?,
        (None, None) => {
            return Err(Failure::usage(format!("the password of {user} is not given"))
                .hint("add --password-file FILE or --password-env VARIABLE"));
        }
    };
    let tls = match given.tls {
        TlsWanted::Off => TlsMode::Off,
        TlsWanted::Required => TlsMode::Required,
    };
    Ok(ConnectOptions {
        address: server.clone(),
        user: user.to_owned(),
        password: SecretString::from(password),
        tls,
        connect_timeout: CONNECT,
        database: None,
        program: "primacy".to_owned(),
        unix_socket: None,
    })
}

/// A session.
pub(in crate::verbs) async fn connect(options: &ConnectOptions) -> Result<Session, Failure> {
    Session::connect(options).await.map_err(|error| refused(&error))
}

/// A server that could not be reached or did not answer.
pub(in crate::verbs) fn refused(error: &WireError) -> Failure {
    let exit = if error.code().is_some() { Exit::Refused } else { Exit::Unreachable };
    Failure::new(exit, error)
}
