//! A look at a server that is to be added to a cluster, and at its agent, before anything knows of
//! it.

use std::time::Duration;

use primacy_agent_api::{AgentClient, WhoAmI, paths};
use primacy_config::{ClusterConfig, Config};
use primacy_plan::{Reason, newcomer_reasons};
use primacy_probe::{Depth, observe};
use primacy_types::{Address, ClusterSnapshot, ServerVersion};
use primacy_wire::{ConnectOptions, Session};

use crate::ManagerError;
use crate::daemon::credentials;
use crate::load::secret;
use crate::setup::tls_mode;

/// What was found.
#[derive(Debug)]
pub struct Newcomer {
    /// Its version, if it could be asked.
    pub version: Option<ServerVersion>,
    /// Everything that stands against adding it.
    pub reasons: Vec<Reason>,
}

/// Looks at the server and its agent. `limit` is that of each question.
///
/// # Errors
/// If a secret or the manager's certificate cannot be read.
pub async fn inspect_newcomer(
    config: &Config,
    cluster: &ClusterConfig,
    snapshot: &ClusterSnapshot,
    server: &Address,
    agent: &Address,
    limit: Duration,
) -> Result<Newcomer, ManagerError> {
    let mut reasons = Vec::new();
    let options = ConnectOptions {
        address: server.clone(),
        user: cluster.accounts.manager.user.clone(),
        password: secret(&cluster.accounts.manager)?,
        tls: tls_mode(&cluster.tls),
        connect_timeout: limit,
        database: None,
        program: "primacy".to_owned(),
        unix_socket: None,
    };
    let looked = async {
        let mut session = Session::connect(&options).await?;
        let seen = observe(&mut session, Depth::Quick, None, limit).await?;
        session.close().await;
        Ok::<_, primacy_wire::WireError>(seen.facts)
    };
    let version = match looked.await {
        Ok(facts) => {
            reasons.extend(newcomer_reasons(snapshot, server, &facts));
            Some(facts.version)
        }
        Err(error) => {
            reasons.push(Reason::new(
                error.to_string(),
                "start it with an initialised data directory and the manager's account (primacy grants)",
            ));
            None
        }
    };
    match &config.manager.certificates {
        None => reasons.push(Reason::new(
            "the manager has no certificate to show to agents",
            "write certificate, key and authority in [manager] (docs/agents.md)",
        )),
        Some(files) => {
            let client = AgentClient::new(agent.clone(), credentials(files)?);
            reasons.extend(of_agent(&client, server, limit).await);
        }
    }
    Ok(Newcomer { version, reasons })
}

async fn of_agent(client: &AgentClient, server: &Address, limit: Duration) -> Option<Reason> {
    let who = match client.ask::<WhoAmI>(paths::WHO, &(), limit).await {
        Ok(who) => who,
        Err(error) => {
            let remedy = "run `primacy agent` on its host, and name its address with --agent";
            return Some(Reason::new(error.to_string(), remedy));
        }
    };
    let Some(served) = who.servers.iter().find(|served| served.server == *server) else {
        let known: Vec<String> = who.servers.iter().map(|one| one.server.to_string()).collect();
        return Some(Reason::new(
            format!("the agent {} looks after {}, not {server}", client.agent(), known.join(", ")),
            "write [[agent.server]] with exactly this address in its file",
        ));
    };
    let silent = served.login.as_ref()?;
    Some(Reason::new(
        format!("the agent {} cannot log in to {server}: {silent}", client.agent()),
        "look at [agent.account] in its file",
    ))
}
