//! Accounts: one for everything and one for replicas, the same on all servers.

use secrecy::SecretString;

use super::{Making, SecretFile};
use crate::model::{Block, Notice, Place};

/// The files of both passwords.
pub(super) struct Secrets {
    pub(super) manager: SecretFile,
    pub(super) replication: SecretFile,
}

impl Making<'_> {
    pub(super) fn accounts(&mut self) -> Secrets {
        let mha = self.mha;
        for name in ["user", "password", "repl_user", "repl_password"] {
            self.same_everywhere(name);
        }
        let first = mha.servers.first().unwrap_or(&mha.defaults);
        let user = first.text("user").unwrap_or_default();
        let password =
            first.secret("password").unwrap_or_else(|| SecretString::from(String::new()));
        let manager = self.file("manager", password);
        self.write("manager", &user, &manager, first.written("user"));
        let replication = match first.filled("repl_user") {
            Some(user) => {
                let password = self.replication_password(first, &user, &manager);
                let file = self.file("replication", password);
                self.write("replication", &user, &file, first.written("repl_user"));
                file
            }
            None => {
                let text = format!(
                    "no `repl_user` is written: replicas that are given a new source log in there as \
                     `{user}`, with the password of that account"
                );
                self.notices.push(Notice { place: None, text });
                self.write("replication", &user, &manager, first.written("user"));
                manager.clone()
            }
        };
        Secrets { manager, replication }
    }

    /// MHA can leave a replica the password that it has; Primacy always says it.
    fn replication_password(
        &mut self,
        first: &Block,
        user: &str,
        manager: &SecretFile,
    ) -> SecretString {
        if let Some(password) = first.secret("repl_password") {
            return password;
        }
        if first.text("user").as_deref() != Some(user)
            && let Some(place) = first.written("repl_user")
        {
            self.faults.key(
                place,
                "repl_user",
                format!("no repl_password is written for `{user}`"),
                "write repl_password=…: Primacy tells it to a replica together with the new source",
            );
        }
        manager.secret.clone()
    }

    fn file(&self, role: &str, secret: SecretString) -> SecretFile {
        SecretFile { path: format!("{}.{role}.password", self.cluster).into(), secret }
    }

    fn write(&mut self, role: &str, user: &str, file: &SecretFile, place: Option<&Place>) {
        self.out.table(&format!("cluster.{}.accounts.{role}", self.cluster));
        self.out.text_key("user", user, place);
        self.out.text_key("password_file", &file.path.display().to_string(), None);
    }

    /// Primacy logs in everywhere with the same account.
    fn same_everywhere(&mut self, name: &str) {
        let Some((first, others)) = self.mha.servers.split_first() else { return };
        for block in others {
            if block.value(name) == first.value(name) {
                continue;
            }
            let place = block.written(name).or(first.written(name)).cloned();
            let line = first.written(name).or(first.place.as_ref()).map_or(0, |place| place.line);
            if let Some(place) = place {
                self.faults.key(
                    &place,
                    name,
                    format!(
                        "`{name}` of [{}] is not that of [{}] (line {line})",
                        block.name, first.name
                    ),
                    "make one account on all servers, and write it in [server default]",
                );
            }
        }
    }
}
