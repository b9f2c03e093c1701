//! Whom ssh is to reach, and the arguments that say so.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use primacy_types::{Address, SshSettings, check_ssh_host};
use tokio::process::Command;

use crate::HostError;

/// Longest wait for a connection to stand.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A host that ssh can be told to reach.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    host: String,
    settings: SshSettings,
}

/// What an ssh has to do with the shared connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sharing<'a> {
    /// It makes the connection and offers it at this socket.
    Offer(&'a Path),
    /// It uses the one that is offered there, or makes its own if there is none.
    Use(&'a Path),
    /// It makes a connection of its own.
    Alone,
}

impl Target {
    /// The host of a server. A name that ssh or a shell could take for something else is refused.
    pub(crate) fn new(server: &Address, settings: SshSettings) -> Result<Self, HostError> {
        let host = settings.host.clone().unwrap_or_else(|| server.host().to_owned());
        if check_ssh_host(&host).is_err() {
            return Err(HostError::NoSshTarget { server: server.clone() });
        }
        Ok(Self { host, settings })
    }

    /// An ssh that runs a command there.
    ///
    /// The first value that ssh obtains for an option counts (ssh_config(5)), so ours stand before
    /// those of people and of files.
    pub(crate) fn command(
        &self,
        sharing: Sharing<'_>,
        connect: Duration,
        remote: &OsString,
    ) -> Command {
        let mut command = Command::new(&self.settings.command);
        // No terminal, no X11, no agent there; no question to anybody.
        command.args(["-T", "-x", "-a", "-oBatchMode=yes", "-oLogLevel=ERROR"]);
        command.args(["-oServerAliveInterval=5", "-oServerAliveCountMax=3"]);
        command.args(["-oClearAllForwardings=yes", "-oPermitLocalCommand=no"]);
        let seconds = connect.min(CONNECT_LIMIT).as_secs_f64().ceil().max(1.0);
        command.arg(format!("-oConnectTimeout={seconds}"));
        let (master, socket) = match sharing {
            Sharing::Offer(socket) => ("yes", literal(socket)),
            Sharing::Use(socket) => ("no", literal(socket)),
            Sharing::Alone => ("no", OsString::from("none")),
        };
        command.args([format!("-oControlMaster={master}"), "-oControlPersist=no".to_owned()]);
        command.arg("-S").arg(socket);
        if let Some(user) = &self.settings.user {
            command.args(["-l", user.as_str()]);
        }
        if let Some(port) = self.settings.port {
            command.args(["-p".to_owned(), port.to_string()]);
        }
        command.args(self.settings.options.iter().map(|option| option.as_str()));
        command.args(["--", &self.host]).arg(remote);
        command.env("LC_ALL", "C").env("SSH_ASKPASS_REQUIRE", "never");
        command.env_remove("SSH_ASKPASS").env_remove("DISPLAY");
        // A group of its own: a Ctrl-C at our terminal ends us, and we end it.
        command.process_group(0).kill_on_drop(true).stderr(Stdio::piped());
        command
    }
}

impl fmt::Display for Target {
    /// As one would write it by hand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.settings.command)?;
        if let Some(port) = self.settings.port {
            write!(f, " -p {port}")?;
        }
        match &self.settings.user {
            Some(user) => write!(f, " {user}@{}", self.host),
            None => write!(f, " {}", self.host),
        }
    }
}

/// A path in which ssh finds no `%` token to replace.
fn literal(path: &Path) -> OsString {
    match path.to_str() {
        Some(text) => text.replace('%', "%%").into(),
        None => path.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_looks_like_an_option_is_refused() {
        for bad in ["-oproxycommand=x", "", "a b", "a;b", "a'b", "a/b"] {
            let server = Address::new(bad, 3306);
            assert!(Target::new(&server, SshSettings::default()).is_err(), "{bad}");
        }
        for good in ["db1", "db-1.example.org", "10.0.0.1", "fe80::1%eth0"] {
            assert!(
                Target::new(&Address::new(good, 3306), SshSettings::default()).is_ok(),
                "{good}"
            );
        }
    }

    #[test]
    fn our_options_stand_before_those_of_people_and_the_host_behind_a_double_dash() {
        let settings = SshSettings {
            user: Some("ops".parse().unwrap()),
            port: Some(2222),
            options: vec!["-oBatchMode=no".parse().unwrap()],
            ..SshSettings::default()
        };
        let target = Target::new(&Address::new("db1", 3306), settings).unwrap();
        let command = target.command(Sharing::Alone, Duration::from_millis(1500), &"true".into());
        let words: Vec<_> = command.as_std().get_args().map(|w| w.to_str().unwrap()).collect();
        let at = |word: &str| words.iter().position(|w| *w == word).unwrap();
        assert!(at("-oBatchMode=yes") < at("-oBatchMode=no"));
        assert!(words.contains(&"-oConnectTimeout=2"));
        assert_eq!(words[words.len() - 3..], ["--", "db1", "true"]);
        assert_eq!(target.to_string(), "ssh -p 2222 ops@db1");
    }
}
