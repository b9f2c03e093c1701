//! `grants`.

use std::collections::BTreeSet;

use primacy_config::Config;
use primacy_probe::grants::Purpose;
use primacy_types::ServerVersion;

use super::with_session;
use crate::args::{Global, GrantPurpose, GrantsArgs};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::render::grants::{render, statements};
use crate::render::page;
use crate::session::{Asked, load};

/// What `--server` takes.
const FORMS: &str = "write it like mariadb-10.11 or mysql-9.7, or as SELECT VERSION() says it";

pub(super) async fn grants(global: &Global, printer: &mut Printer, args: &GrantsArgs) -> Outcome {
    let (versions, config) = match &args.server {
        // Without a configuration the accounts have their usual names.
        Some(server) => (BTreeSet::from([version(server)?]), load(global).ok()),
        None => (versions_that_run(global, printer).await?, Some(load(global)?)),
    };
    let purposes = match args.purpose {
        Some(GrantPurpose::Manager) => vec![Purpose::Manager],
        Some(GrantPurpose::Replication) => vec![Purpose::Replication],
        Some(GrantPurpose::Rewind) => vec![Purpose::Rewind],
        Some(GrantPurpose::Agent) => vec![Purpose::Agent],
        Some(GrantPurpose::Dump) => vec![Purpose::Dump],
        None => vec![Purpose::Manager, Purpose::Replication],
    };
    let mut all = Vec::new();
    for version in versions {
        for purpose in &purposes {
            let accounts = match &args.account {
                Some(given) => BTreeSet::from([account(given)?]),
                None => configured(config.as_ref(), *purpose),
            };
            all.extend(accounts.iter().map(|account| statements(version, *purpose, account)));
        }
    }
    if printer.wants_json() {
        printer.json(&all)?;
    } else {
        printer.data(&page(all.iter().map(render)))?;
    }
    Ok(Exit::Done)
}

/// What the configured servers say of themselves.
async fn versions_that_run(
    global: &Global,
    printer: &mut Printer,
) -> Result<BTreeSet<ServerVersion>, Failure> {
    let views = with_session(global, printer, None, Asked::Anyone, async |session, _| {
        Ok(session.service().clusters().await?)
    })
    .await?;
    let versions: BTreeSet<_> = views
        .iter()
        .flat_map(|view| &view.servers)
        .filter_map(|server| version_of_view(server.version.as_deref()?))
        .collect();
    if versions.is_empty() {
        return Err(Failure::new(
            Exit::Unreachable,
            "no configured server has said its version yet",
        )
        .hint(format!("name it with --server: {FORMS}")));
    }
    Ok(versions)
}

/// `MariaDB 10.11.6`
fn version_of_view(text: &str) -> Option<ServerVersion> {
    let (flavor, number) = text.split_once(' ')?;
    version(&format!("{}-{number}", flavor.to_ascii_lowercase())).ok()
}

fn version(text: &str) -> Result<ServerVersion, Failure> {
    let lower = text.to_ascii_lowercase();
    let parsed = if let Some(number) = lower.strip_prefix("mariadb-") {
        format!("{number}-mariadb").parse::<ServerVersion>()
    } else {
        lower.strip_prefix("mysql-").unwrap_or(&lower).parse()
    };
    match parsed {
        // MySQL has no version 10: a bare 10.11 is a MariaDB whose flavour was not written.
        Ok(version) if version.is_mysql() && version.at_least(10, 0, 0) => {
            Err(Failure::usage(format!("{text:?} does not say that it is MariaDB")).hint(FORMS))
        }
        Ok(version) => Ok(version),
        Err(_) => {
            Err(Failure::usage(format!("{text:?} is no flavour and version of a server"))
                .hint(FORMS))
        }
    }
}

/// The users that the configuration names, from any host.
fn configured(config: Option<&Config>, purpose: Purpose) -> BTreeSet<String> {
    let users: BTreeSet<_> = config
        .into_iter()
        .flat_map(|config| config.clusters.values())
        .filter_map(|cluster| match purpose {
            Purpose::Manager | Purpose::Rewind => Some(cluster.accounts.manager.user.as_str()),
            Purpose::Replication => Some(cluster.accounts.replication.user.as_str()),
            // It stands in the agents' own files.
            Purpose::Agent | Purpose::Dump => None,
        })
        .collect();
    let usual = match purpose {
        Purpose::Manager | Purpose::Rewind => "primacy",
        Purpose::Agent | Purpose::Dump => "primacy_agent",
        Purpose::Replication => "replication",
    };
    let users = if users.is_empty() { BTreeSet::from([usual]) } else { users };
    // An agent logs in from its own host; other agents look at the server with the same account.
    users.into_iter().map(|user| quoted(user, "%")).collect()
}

/// `user`, `user@host` or `'user'@'host'` as SQL writes it.
fn account(text: &str) -> Result<String, Failure> {
    let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
    let bare = |part: &str| part.trim_matches(['\'', '`', '"']).to_owned();
    let (user, host) = (bare(user), bare(host));
    let strange = |part: &str| part.is_empty() || part.contains(['\'', '\\', '`', '"', '\n']);
    if strange(&user) || strange(&host) {
        return Err(Failure::usage(format!("{text:?} is no account"))
            .hint("write it like primacy@10.0.0.%"));
    }
    Ok(quoted(&user, &host))
}

fn quoted(user: &str, host: &str) -> String {
    let escaped = user.replace('\\', "\\\\").replace('\'', "''");
    format!("'{escaped}'@'{host}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_flavour_and_version() {
        for (text, expected) in [
            ("mariadb-10.11", ServerVersion::mariadb(10, 11, 0)),
            ("MariaDB-11.8.6", ServerVersion::mariadb(11, 8, 6)),
            ("mysql-9.7", ServerVersion::mysql(9, 7, 0)),
            ("8.0.36-28", ServerVersion::mysql(8, 0, 36)),
            ("10.11.6-MariaDB-log", ServerVersion::mariadb(10, 11, 6)),
        ] {
            assert_eq!(version(text).unwrap(), expected, "{text}");
        }
        assert_eq!(version_of_view("MariaDB 10.11.6"), Some(ServerVersion::mariadb(10, 11, 6)));
        for text in ["10.11", "postgres", "mysql-"] {
            assert_eq!(version(text).unwrap_err().exit, Exit::Usage, "{text}");
        }
    }

    #[test]
    fn accounts_are_quoted_as_sql_wants_them() {
        assert_eq!(account("primacy").unwrap(), "'primacy'@'%'");
        assert_eq!(account("primacy@10.0.0.%").unwrap(), "'primacy'@'10.0.0.%'");
        assert_eq!(account("'primacy'@'db1'").unwrap(), "'primacy'@'db1'");
        assert!(account("a'; DROP USER b@%").is_err());
        assert!(account("@host").is_err());
    }
}
