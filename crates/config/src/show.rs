//! The configuration that holds, written as a file again: every key, defaults marked, secrets
//! only as the place where they are found.

use crate::fields::{
    Fields, account_fields, agent_fields, agent_server_fields, binlog_copy_fields, cluster_fields,
    manager_fields, policy_fields, server_fields, timing_fields, tls_fields,
};
use crate::hooks::{hook_fields, webhook_fields};
use crate::model::{ClusterConfig, Config, SecretSource};
use crate::schema::{Kind, Preset, Section};
use crate::value::Value;

/// Writes a configuration as TOML that [`parse`](crate::parse) reads as the same configuration.
pub fn show(config: &Config) -> String {
    let mut text = String::new();
    section(&mut text, "manager", "", &manager_fields(&config.manager));
    if let Some(agent) = &config.agent {
        section(&mut text, "agent", "", &agent_fields(agent));
        for server in &agent.servers {
            section(&mut text, "agent.server[]", "", &agent_server_fields(server));
        }
        section(&mut text, "agent.account", "", &account_fields(&agent.account));
        section(&mut text, "agent.tls", "", &tls_fields(&agent.tls));
    }
    for cluster in config.clusters.values() {
        show_cluster(&mut text, cluster);
    }
    text
}

fn show_cluster(text: &mut String, cluster: &ClusterConfig) {
    let name = cluster.name.as_str();
    let accounts = &cluster.accounts;
    section(text, "cluster.*", name, &cluster_fields(cluster));
    for address in &cluster.servers {
        let mut fields = server_fields(&cluster.policy.server(address));
        fields.push(("address", Some(Value::Address(address.clone()))));
        section(text, "cluster.*.server[]", name, &fields);
    }
    for (path, fields) in [
        ("cluster.*.accounts.manager", account_fields(&accounts.manager)),
        ("cluster.*.accounts.replication", account_fields(&accounts.replication)),
        ("cluster.*.tls", tls_fields(&cluster.tls)),
        ("cluster.*.timing", timing_fields(&cluster.policy.timing)),
        ("cluster.*.policy", policy_fields(&cluster.policy)),
    ] {
        section(text, path, name, &fields);
        let account = match path {
            "cluster.*.accounts.manager" => Some(&accounts.manager),
            "cluster.*.accounts.replication" => Some(&accounts.replication),
            _ => None,
        };
        if let Some(SecretSource::Given(given)) = account.map(|account| &account.password) {
            text.push_str(&format!("# the password stands in {}\n", given.file()));
        }
    }
    for copy in &cluster.binlog_copies {
        section(text, "cluster.*.binlog_copy[]", name, &binlog_copy_fields(copy));
    }
    for hook in &cluster.hooks {
        section(text, "cluster.*.hook[]", name, &hook_fields(hook));
    }
    for webhook in &cluster.webhooks {
        section(text, "cluster.*.webhook[]", name, &webhook_fields(webhook));
    }
}

fn section(text: &mut String, path: &'static str, cluster: &str, fields: &Fields) {
    if !text.is_empty() {
        text.push('\n');
    }
    let header = path.replace('*', cluster);
    match header.strip_suffix("[]") {
        Some(list) => text.push_str(&format!("[[{list}]]\n")),
        None => text.push_str(&format!("[{header}]\n")),
    }
    for key in Section::named(path).keys {
        let value = fields.iter().find(|(name, _)| *name == key.name).and_then(|(_, v)| v.clone());
        let line = match (value, &key.preset) {
            (Some(value), _) => {
                let mark =
                    if Value::preset(key).as_ref() == Some(&value) { "  # default" } else { "" };
                format!("{} = {}{mark}\n", key.name, value.to_toml())
            }
            (None, _) if matches!(key.kind, Kind::Addresses) => continue,
            (None, Preset::Unset(meaning)) => format!("# {}: {meaning}\n", key.name),
            (None, _) => format!("# {}: not used\n", key.name),
        };
        text.push_str(&line);
    }
}
