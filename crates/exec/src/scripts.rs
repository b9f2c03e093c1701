//! Scripts of MHA (`failover_script`, `switchover_script`, `report_script` and
//! `secondary_check_script`), called as MHA calls them, so that those that exist serve as they are.
//!
//! Each is a line for `/bin/sh`, to which the arguments of a call are appended, every one of them as
//! one word for the shell. MHA's contract hands the manager's password to some of them as an
//! argument: it is there for as long as the script runs, for whoever may list processes on this
//! machine, and nowhere else: what a script says is searched for it before anybody sees it.

mod arguments;
mod line;

use std::path::PathBuf;
use std::time::Duration;

use primacy_hooks::Outcome;
use primacy_types::{Address, Millis, PingType, SecondaryAnswer, SshSettings};
use secrecy::{ExposeSecret, SecretString};

use self::arguments::{Arguments, Role};
use self::line::Line;

/// So says a script that its work was not done and that it shall go on all the same.
const GO_ON: i32 = 10;

/// So says the secondary check that another host reaches the primary.
const REACHABLE: i32 = 3;

/// The command lines, as they are configured.
#[derive(Clone, Debug, Default)]
pub struct ScriptLines {
    /// Takes the address from a dead primary and gives it to the new one.
    pub failover: Option<String>,
    /// The same in a switchover.
    pub switchover: Option<String>,
    /// Is told what became of a failover.
    pub report: Option<String>,
    /// Asks other hosts whether they reach the primary.
    pub secondary_check: Option<String>,
    /// How long one call may take.
    pub limit: Millis,
}

/// What the scripts of one cluster are given.
#[derive(Clone, Debug)]
pub struct ScriptContext {
    /// How hosts are reached over ssh.
    pub ssh: SshSettings,
    /// The manager's account on the servers.
    pub user: String,
    /// Its password.
    pub password: SecretString,
    /// The file of the configuration.
    pub config: PathBuf,
}

/// The scripts of one cluster.
#[derive(Clone, Debug)]
pub struct Scripts {
    lines: ScriptLines,
    context: ScriptContext,
}

/// What a script that did not fail said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// It did its work (exit code 0).
    Done(Outcome),
    /// It did not, and does not want anybody to wait for that (10).
    Warned(Outcome),
}

/// The two sides of a switchover.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides<'a> {
    pub(crate) orig: &'a Address,
    pub(crate) new: &'a Address,
    /// The old primary becomes a replica of the new one.
    pub(crate) orig_is_new_slave: bool,
}

/// What is reported of a failover.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) orig: Address,
    /// The new primary, if there is one, and the replicas that follow it.
    pub(crate) new: Option<(Address, Vec<Address>)>,
    pub(crate) subject: String,
    pub(crate) body: String,
}

impl Scripts {
    /// The scripts with what they are given.
    pub const fn new(lines: ScriptLines, context: ScriptContext) -> Self {
        Self { lines, context }
    }

    /// Asks the failover script whether it could take the address from this server
    /// (`--command=status`); `None` if there is no such script.
    pub async fn status(&self, server: &Address) -> Option<Result<Called, Outcome>> {
        let line = self.line(self.lines.failover.as_ref()?);
        let mut arguments = self.arguments();
        arguments.add("command", "status").ssh_user("ssh_user");
        arguments.server(Role::Orig, server).await;
        Some(self.verdict(line, arguments).await)
    }

    /// Has the failover script take the address from a dead primary; `over_ssh` says that its host
    /// answers there.
    pub(crate) async fn take_from_the_dead(
        &self,
        server: &Address,
        over_ssh: bool,
    ) -> Option<Result<Called, Outcome>> {
        let line = self.line(self.lines.failover.as_ref()?);
        let mut arguments = self.arguments();
        arguments.server(Role::Orig, server).await;
        if over_ssh {
            arguments.add("command", "stopssh").ssh_user("ssh_user");
        } else {
            arguments.add("command", "stop");
        }
        Some(self.verdict(line, arguments).await)
    }

    /// Has the failover script give the address to this server.
    pub(crate) async fn give_after_failover(
        &self,
        orig: &Address,
        new: &Address,
    ) -> Option<Result<Called, Outcome>> {
        let line = self.line(self.lines.failover.as_ref()?);
        let mut arguments = self.arguments();
        arguments.add("command", "start").ssh_user("ssh_user");
        arguments.server(Role::Orig, orig).await;
        arguments.server(Role::New, new).await;
        arguments.add("new_master_user", &self.context.user);
        arguments.add("new_master_password", self.context.password.expose_secret());
        Some(self.verdict(line, arguments).await)
    }

    /// Calls the switchover script with `--command=stop` or `start`.
    pub(crate) async fn switch(
        &self,
        command: &'static str,
        sides: Sides<'_>,
    ) -> Option<Result<Called, Outcome>> {
        let line = self.line(self.lines.switchover.as_ref()?);
        let ScriptContext { user, password, .. } = &self.context;
        let mut arguments = self.arguments();
        arguments.add("command", command);
        for (role, server) in [(Role::Orig, sides.orig), (Role::New, sides.new)] {
            arguments.server(role, server).await;
            arguments.add(role.option("user"), user);
        }
        for role in [Role::Orig, Role::New] {
            arguments.ssh_user(role.option("ssh_user"));
        }
        if sides.orig_is_new_slave {
            arguments.flag("orig_master_is_new_slave");
        }
        for role in [Role::Orig, Role::New] {
            arguments.add(role.option("password"), password.expose_secret());
        }
        Some(self.verdict(line, arguments).await)
    }

    /// Asks whether other hosts reach the primary; `None` if there is no such script.
    pub async fn secondary_check(
        &self,
        primary: &Address,
        ping: PingType,
    ) -> Option<SecondaryAnswer> {
        let line = self.line(self.lines.secondary_check.as_ref()?);
        let mut arguments = self.arguments();
        arguments.ssh_user("user");
        arguments.server(Role::Only, primary).await;
        arguments.add("master_user", &self.context.user);
        arguments.add("master_password", self.context.password.expose_secret());
        let ping = match ping {
            PingType::Select => "SELECT",
            PingType::Connect => "CONNECT",
            PingType::Insert => "INSERT",
        };
        arguments.add("ping_type", ping);
        let outcome = line.run(arguments.finish("options")).await;
        Some(match outcome.code() {
            Some(0) => SecondaryAnswer::Unreachable,
            Some(REACHABLE) => SecondaryAnswer::Reachable,
            // A shell says 126 and 127 of what it cannot run.
            Some(126 | 127) | None => SecondaryAnswer::Nothing(outcome.to_string()),
            Some(_) => SecondaryAnswer::Undecided(outcome.to_string()),
        })
    }

    /// Whether somebody is told of failovers.
    pub(crate) const fn reports(&self) -> bool {
        self.lines.report.is_some()
    }

    /// Tells the report script; `None` if there is none.
    pub(crate) async fn report(&self, told: &Told) -> Option<Outcome> {
        let line = self.line(self.lines.report.as_ref()?);
        let mut arguments = self.arguments();
        arguments.add("orig_master_host", told.orig.host());
        if let Some((new, replicas)) = &told.new {
            let hosts: Vec<_> = replicas.iter().map(Address::host).collect();
            arguments.add("new_master_host", new.host());
            arguments.add("new_slave_hosts", &hosts.join(","));
        }
        arguments.add("conf", &self.context.config.display().to_string());
        arguments.add("subject", &told.subject);
        arguments.add("body", &told.body);
        Some(line.run(arguments.finish("ssh_options")).await)
    }

    fn line<'a>(&'a self, text: &'a str) -> Line<'a> {
        let limit = Duration::from_millis(self.lines.limit.0);
        Line { text, limit, secret: &self.context.password }
    }

    fn arguments(&self) -> Arguments<'_> {
        Arguments::new(&self.context.ssh)
    }

    async fn verdict(&self, line: Line<'_>, arguments: Arguments<'_>) -> Result<Called, Outcome> {
        let outcome = line.run(arguments.finish("ssh_options")).await;
        match outcome.code() {
            Some(0) => Ok(Called::Done(outcome)),
            Some(GO_ON) => Ok(Called::Warned(outcome)),
            _ => Err(outcome),
        }
    }
}

#[cfg(test)]
mod tests;
