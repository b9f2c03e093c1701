//! `shutdown_script`: the person's own program that stops a server or powers its host off, called as
//! MHA calls it, so that scripts written for that serve as they are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_hooks::{Exit, NotAbsolute, Outcome, Program};
use primacy_types::{Address, SshSettings};

/// Limit of finding the IP address of a host: a name service that hangs must not keep anybody from
/// being fenced.
const RESOLVE: Duration = Duration::from_secs(1);

/// So says the script that it stopped the process and left the host up.
const PROCESS_STOPPED: i32 = 10;

/// The program, and how it is called.
#[derive(Clone, Debug)]
pub struct ShutdownScript {
    path: PathBuf,
    arguments: Vec<String>,
    limit: Duration,
    ssh: SshSettings,
}

/// What the script says that it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The server's process is gone, and its host is up (exit code 10).
    Process,
    /// The host is powered off (exit code 0).
    Host,
}

impl ShutdownScript {
    /// A program with the arguments that come before those of each call.
    ///
    /// # Errors
    /// If its path is not absolute.
    pub fn new(
        path: &Path,
        arguments: &[String],
        limit: Duration,
        ssh: SshSettings,
    ) -> Result<Self, NotAbsolute> {
        // The same check that every run makes.
        Program::new(path, limit)?;
        Ok(Self { path: path.to_owned(), arguments: arguments.to_vec(), limit, ssh })
    }

    /// How long one call may take.
    pub const fn limit(&self) -> Duration {
        self.limit
    }

    /// Asks whether it could stop this server (`--command=status`).
    ///
    /// # Errors
    /// What became of the call, if it did not end with 0.
    pub async fn status(&self, server: &Address) -> Result<(), Outcome> {
        let mut arguments = vec!["--command=status".to_owned()];
        arguments.extend(self.login());
        arguments.extend(at(server).await);
        let outcome = self.run(arguments).await?;
        if outcome.is_success() { Ok(()) } else { Err(outcome) }
    }

    /// Has the server stopped; `over_ssh` says that its host answers there.
    ///
    /// # Errors
    /// What became of the call, if it says neither that the process was stopped nor that the host
    /// was powered off.
    pub async fn stop(
        &self,
        server: &Address,
        pid_file: Option<&str>,
        over_ssh: bool,
    ) -> Result<(Stopped, Outcome), Outcome> {
        let mut arguments = Vec::new();
        if over_ssh {
            arguments.push("--command=stopssh".to_owned());
            arguments.extend(self.login());
        } else {
            arguments.push("--command=stop".to_owned());
        }
        arguments.extend(at(server).await);
        arguments.push(format!("--port={}", server.port()));
        arguments.extend(pid_file.map(|path| format!("--pid_file={path}")));
        let outcome = self.run(arguments).await?;
        match outcome.exit {
            Exit::Exited(0) => Ok((Stopped::Host, outcome)),
            Exit::Exited(PROCESS_STOPPED) => Ok((Stopped::Process, outcome)),
            _ => Err(outcome),
        }
    }

    /// Who logs in at the host, and how.
    fn login(&self) -> Vec<String> {
        let user = match &self.ssh.user {
            Some(user) => Some(user.as_str().to_owned()),
            None => std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok(),
        };
        let options: Vec<_> = self.ssh.options.iter().map(|o| o.as_str().to_owned()).collect();
        let mut login: Vec<_> = user.map(|user| format!("--ssh_user={user}")).into_iter().collect();
        login.extend(self.ssh.port.map(|port| format!("--ssh_port={port}")));
        login.extend((!options.is_empty()).then(|| format!("--ssh_options={}", options.join(" "))));
        login
    }

    async fn run(&self, arguments: Vec<String>) -> Result<Outcome, Outcome> {
        match Program::new(&self.path, self.limit) {
            Ok(program) => Ok(program.arguments(&self.arguments).arguments(arguments).run().await),
            Err(error) => Err(Outcome {
                program: self.path.display().to_string(),
                exit: Exit::Unknown(error.to_string()),
                stdout: Default::default(),
                stderr: Default::default(),
                took: Duration::ZERO,
            }),
        }
    }
}

/// The host as it is configured, and its IP address if that is known.
async fn at(server: &Address) -> Vec<String> {
    let found = tokio::net::lookup_host((server.host(), server.port()));
    let ip = match tokio::time::timeout(RESOLVE, found).await {
        Ok(Ok(mut found)) => found.next().map(|found| found.ip().to_canonical()),
        _ => None,
    };
    let mut arguments = vec![format!("--host={}", server.host())];
    arguments.extend(ip.map(|ip| format!("--ip={ip}")));
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(line: &str) -> ShutdownScript {
        let arguments = ["-c".to_owned(), line.to_owned(), "script".to_owned()];
        let ssh = SshSettings {
            user: Some("dba".parse().unwrap()),
            port: Some(2222),
            options: vec!["-oProxyJump=bastion".parse().unwrap()],
            ..SshSettings::default()
        };
        ShutdownScript::new(Path::new("/bin/sh"), &arguments, Duration::from_secs(5), ssh).unwrap()
    }

    fn server() -> Address {
        Address::new("127.0.0.1", 3307)
    }

    #[tokio::test]
    async fn it_is_called_as_mha_calls_it() {
        let said = |outcome: Outcome| outcome.stdout.text.trim().to_owned();
        let (stopped, outcome) =
            script("echo \"$@\"; exit 10").stop(&server(), Some("/run/m.pid"), true).await.unwrap();
        assert_eq!(stopped, Stopped::Process);
        assert_eq!(
            said(outcome),
            "--command=stopssh --ssh_user=dba --ssh_port=2222 --ssh_options=-oProxyJump=bastion \
             --host=127.0.0.1 --ip=127.0.0.1 --port=3307 --pid_file=/run/m.pid"
        );
        let (stopped, outcome) = script("echo \"$@\"").stop(&server(), None, false).await.unwrap();
        assert_eq!(stopped, Stopped::Host);
        assert_eq!(said(outcome), "--command=stop --host=127.0.0.1 --ip=127.0.0.1 --port=3307");
        let asked = script("echo \"$@\"; exit 1").status(&server()).await.unwrap_err();
        assert!(said(asked).starts_with("--command=status --ssh_user=dba"));
    }

    #[tokio::test]
    async fn any_other_end_is_a_failure() {
        let failed = script("exit 3").stop(&server(), None, false).await.unwrap_err();
        assert_eq!(failed.exit, Exit::Exited(3));
        let mut hangs = script("sleep 60");
        hangs.limit = Duration::from_millis(200);
        let failed = hangs.stop(&server(), None, false).await.unwrap_err();
        assert!(matches!(failed.exit, Exit::TimedOut { .. }));
        assert!(hangs.status(&server()).await.is_err());
    }
}
