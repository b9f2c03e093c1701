//! The agent's sections, and the certificate of the manager.

use crate::error::Problems;
use crate::fields::{Lookup, read_agent, read_call};
use crate::model::{AgentConfig, AgentServer, CertificateFiles};
use crate::schema::Section;
use crate::security::{Owner, read_account, read_tls};
use crate::tree::Tree;
use crate::value::Value;

fn lookup<'t>(tree: &'t Tree, path: &str) -> Lookup<'t> {
    Lookup { section: Section::named(path), own: tree.tables.get(path), defaults: None }
}

/// Reads `[agent]`; the section is there.
pub(crate) fn read(tree: &Tree, problems: &mut Problems<'_>) -> Option<AgentConfig> {
    let span = &tree.tables.get("agent")?.span;
    let (listen, certificates, state_dir, lease) = read_agent(&lookup(tree, "agent"));
    let health = lookup(tree, "agent").address("health");
    let servers = servers(tree, problems);
    if servers.as_ref().is_some_and(Vec::is_empty) {
        problems.add(
            span,
            "the agent has no servers to look after",
            "write [[agent.server]] with address = \"host:3306\", as in the manager's file",
        );
    }
    let owner = |section: &str| Owner {
        called: "the agent".to_owned(),
        account: "the account".to_owned(),
        sections: format!("[{section}]"),
        span,
    };
    let account = read_account(&lookup(tree, "agent.account"), &owner("agent.account"), problems);
    let tls = read_tls(&lookup(tree, "agent.tls"), &owner("agent.tls"), problems);
    Some(AgentConfig {
        listen: listen?,
        certificates,
        state_dir,
        lease,
        health,
        servers: servers?,
        account: account?,
        tls: tls?,
    })
}

fn servers(tree: &Tree, problems: &mut Problems<'_>) -> Option<Vec<AgentServer>> {
    let mut servers: Vec<AgentServer> = Vec::new();
    let mut complete = true;
    let tables = (0..).map_while(|n| tree.tables.get(&format!("agent.server[{n}]")));
    for table in tables {
        let section = Section::named("agent.server[]");
        let at = Lookup { section, own: Some(table), defaults: None };
        let address = |name| match at.value(name) {
            Some(Value::Address(address)) => Some(address),
            _ => None,
        };
        match (at.found("address"), address("address")) {
            (Some((found, _)), Some(named)) => {
                if servers.iter().any(|server| server.address == named) {
                    problems.add(
                        &found.value_span,
                        format!("server {named} is listed twice"),
                        "remove one of the two",
                    );
                }
                servers.push(AgentServer {
                    address: named,
                    connect: address("connect"),
                    socket: at.path("socket"),
                    start: read_call(&at, "start"),
                });
            }
            (None, _) => {
                complete = false;
                problems.add(
                    &table.span,
                    "this server has no `address`",
                    "write address = \"host:3306\"",
                );
            }
            _ => complete = false,
        }
    }
    complete.then_some(servers)
}

/// All three files, or none.
pub(crate) fn certificates_of_the_manager(
    tree: &Tree,
    problems: &mut Problems<'_>,
) -> Option<CertificateFiles> {
    let at = lookup(tree, "manager");
    let names = ["certificate", "key", "authority"];
    let written = names.iter().find_map(|name| at.found(name));
    let missing: Vec<_> = names.iter().filter(|name| at.found(name).is_none()).collect();
    if let (Some((found, _)), Some(name)) = (written, missing.first()) {
        problems.add(
            &found.key_span,
            format!("with this, `{name}` is needed as well"),
            "write certificate, key and authority, or none of them",
        );
        return None;
    }
    Some(CertificateFiles {
        certificate: at.path("certificate")?,
        key: at.path("key")?,
        authority: at.path("authority")?,
    })
}
