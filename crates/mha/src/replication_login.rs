//! Without `repl_user` MHA leaves replicas the account with which they log in at their source. Primacy
//! always says one to a replica together with its new source; so where a server lets it be read, it is
//! the one that the replicas have now.
//!
//! MySQL keeps it in `mysql.slave_master_info` (since 8.0 always, before with
//! `master_info_repository = TABLE`). MariaDB keeps it in a file of its own.

use std::time::Duration;

use primacy_config::{GivenSecret, SecretSource};
use primacy_types::Address;
use primacy_wire::Session;

use crate::application::Application;

/// Limit of a server's answer.
const LIMIT: Duration = Duration::from_secs(3);

const SQL: &str = "SELECT User_name, User_password FROM mysql.slave_master_info \
    WHERE User_name IS NOT NULL AND User_name <> ''";

/// How the notice begins that is no longer true then.
const NOTICE: &str = "no `repl_user` is written: ";

/// A user and a password.
type Login = (String, String);

impl Application {
    /// Takes over what the replicas log in with now, if the file says nothing of it and all servers
    /// that can say it say the same.
    pub(crate) async fn keep_replication_login(&mut self) {
        let written = |block: &primacy_mha_config::Block| block.filled("repl_user").is_some();
        if self.mha.servers.iter().any(written) {
            return;
        }
        let mut found: Option<(Login, Address)> = None;
        for server in self.servers() {
            let logins = self.logins_of(&server).await;
            for login in logins {
                if found.as_ref().is_some_and(|(known, _)| *known != login) {
                    return;
                }
                found.get_or_insert_with(|| (login, server.clone()));
            }
        }
        let Some(((user, password), server)) = found else { return };
        self.notices.retain(|notice| !notice.contains(NOTICE));
        self.notices.push(format!(
            "{NOTICE}replicas go on logging in as `{user}`, as mysql.slave_master_info of {server} says"
        ));
        for cluster in self.config.clusters.values_mut() {
            let account = &mut cluster.accounts.replication;
            account.user.clone_from(&user);
            let given = GivenSecret::new(password.clone().into(), "mysql.slave_master_info");
            account.password = SecretSource::Given(given);
        }
    }

    /// What this server logs in with at its source; nothing if it does not say.
    async fn logins_of(&self, server: &Address) -> Vec<Login> {
        let Ok(Some(options)) = self.connect(server) else { return Vec::new() };
        let asked = async {
            let mut session = Session::connect(&options).await.ok()?;
            let rows = session.query(SQL, LIMIT).await;
            session.close().await;
            rows.ok()
        };
        let rows = tokio::time::timeout(LIMIT * 2, asked).await.ok().flatten().unwrap_or_default();
        let login = |row: &primacy_wire::Row| {
            Some((row.at(0)?.to_owned(), row.at(1).unwrap_or_default().to_owned()))
        };
        rows.iter().filter_map(login).collect()
    }
}
