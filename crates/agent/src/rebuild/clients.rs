//! Programs of a server's own: the one that runs, as it was started, and the clients that dump and
//! load its data, found beside it or in `PATH`. Whoever runs the server has chosen them: they run as
//! that user, also where the agent is root.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use primacy_agent_api::{Fault, FaultKind};
use primacy_types::ServerVersion;
use rustix::process::geteuid;
use tokio::process::Command;

use super::tools;
use crate::served::Served;

/// Programs that are database servers.
const SERVERS: &[&str] = &["mysqld", "mariadbd", "mysqld-debug"];
/// Limit of asking a program what it is.
const TOOL: Duration = Duration::from_secs(10);
/// Limit of finding the server's process.
const FIND: Duration = Duration::from_secs(2);
const LIBRARIES: &str = "LD_LIBRARY_PATH";
/// What is handed on of our own environment.
const KEPT: &[&str] = &["PATH", "LANG"];

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Dump,
    Load,
}

impl Use {
    fn names(self, server: ServerVersion) -> &'static [&'static str] {
        match (self, server.is_mariadb()) {
            (Self::Dump, true) => &["mariadb-dump", "mysqldump"],
            (Self::Dump, false) => &["mysqldump"],
            (Self::Load, true) => &["mariadb", "mysql"],
            (Self::Load, false) => &["mysql"],
        }
    }
}

/// A program with what it takes to run it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// A dynamic loader with its options, if it was started by one; and the program.
    words: Vec<OsString>,
    /// Where its libraries are, if the process was told.
    libraries: Option<OsString>,
    user: User,
}

/// User and group of the server's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// As the kernel has it (proc(5), status): the second number is the effective one. The owner of
    /// the data directory would be the server's word.
    fn of(status: &str) -> Option<Self> {
        let effective = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Some(Self { uid: effective("Uid:")?, gid: effective("Gid:")? })
    }

    /// Runs it as this user, if that is possible: only root can, and it has no other group then.
    fn runs(self, command: &mut Command) {
        if geteuid().is_root() && self.uid != 0 {
            command.uid(self.uid).gid(self.gid);
        }
    }
}

impl Program {
    fn alone(path: PathBuf, user: User) -> Self {
        Self { words: vec![path.into()], libraries: None, user }
    }

    /// Who runs the server, and with it this.
    pub(super) const fn user(&self) -> User {
        self.user
    }

    /// The program of a server that runs.
    pub(super) async fn of(served: &Served) -> Result<Self, Fault> {
        let host = served.host_or_former(FIND).await?;
        let fault = |text: String| Fault::new(FaultKind::Server, text);
        let (pid, _) = host.process_id().ok_or_else(|| {
            fault(format!("{} does not run, so its program is not known; start it", served.server))
        })?;
        let at = PathBuf::from(format!("/proc/{pid}"));
        let read = |name: &str| {
            std::fs::read(at.join(name)).map_err(|error| {
                fault(format!(
                    "the program of {} is not known: /proc/{pid}/{name}: {error}",
                    served.server
                ))
            })
        };
        let split = |bytes: Vec<u8>| -> Vec<OsString> {
            let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            words.map(|word| OsString::from_vec(word.to_vec())).collect()
        };
        let mut words = split(read("cmdline")?);
        let is_server = |word: &OsString| {
            let name = Path::new(word).file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| SERVERS.contains(&name))
        };
        let Some(end) = words.iter().position(is_server) else {
            return Err(fault(format!(
                "the process {pid} of {} does not name its program",
                served.server
            )));
        };
        words.truncate(end + 1);
        // By its loader it has an absolute path; alone it may have been found in PATH.
        if end == 0
            && let Ok(path) = std::fs::read_link(at.join("exe"))
            && path.is_file()
        {
            words = vec![path.into()];
        }
        let libraries = split(read("environ")?).into_iter().find_map(|word| {
            let word = word.into_string().ok()?;
            word.strip_prefix(LIBRARIES)?.strip_prefix('=').map(OsString::from)
        });
        let status = read("status")?;
        let user = User::of(&String::from_utf8_lossy(&status)).ok_or_else(|| {
            fault(format!("/proc/{pid}/status does not say who runs {}", served.server))
        })?;
        Ok(Self { words, libraries, user })
    }

    fn path(&self) -> &Path {
        self.words.last().map_or(Path::new(""), Path::new)
    }

    /// A program of this name where this one is, or in the `bin` beside that.
    fn beside(&self, name: &str) -> Option<Self> {
        let dir = self.path().parent()?;
        let places = [dir.join(name), dir.join("../bin").join(name)];
        let path = places.into_iter().find(|path| path.is_file())?;
        let mut found = self.clone();
        *found.words.last_mut()? = path.into();
        Some(found)
    }

    /// Runs it as the server's user: nothing of our own surroundings that it would obey is handed on.
    pub(super) fn command(&self) -> Command {
        let mut words = self.words.iter();
        let mut command = Command::new(words.next().cloned().unwrap_or_default());
        command.args(words).stdin(Stdio::null()).kill_on_drop(true);
        let kept = KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept);
        // Accounts that `mysql_config_editor` keeps would go before ours.
        command.env("MYSQL_TEST_LOGIN_FILE", "/nonexistent");
        if let Some(libraries) = &self.libraries {
            command.env(LIBRARIES, libraries);
        }
        self.user.runs(&mut command);
        command
    }

    async fn version(&self) -> Result<ServerVersion, String> {
        let mut command = self.command();
        command.arg("--version");
        let output = tokio::time::timeout(TOOL, command.output())
            .await
            .map_err(|_| format!("no answer within {} s", TOOL.as_secs()))?
            .map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        client_version(&text).ok_or_else(|| format!("it does not say its version: {text:?}"))
    }
}

/// A client, and of what version it is.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) program: Program,
    pub(super) version: ServerVersion,
}

impl Client {
    /// As people know it.
    pub(super) fn word(&self) -> String {
        let name = self.program.path().file_name().unwrap_or_default().to_string_lossy();
        format!("{name} {}", self.version)
    }

    /// The one that fits a server.
    pub(super) async fn find(
        wanted: Use,
        server: &Program,
        version: ServerVersion,
    ) -> Result<Self, Fault> {
        let names = wanted.names(version);
        let beside = names.iter().filter_map(|name| server.beside(name));
        let installed = names.iter().filter_map(|name| tools::installed(name));
        let installed = installed.map(|path| Program::alone(path, server.user));
        let mut not = Vec::new();
        for program in beside.chain(installed) {
            match program.version().await {
                Ok(own) if fits(own, version) => return Ok(Self { program, version: own }),
                Ok(own) => not.push(format!("{} is of {own}", program.path().display())),
                Err(why) => not.push(format!("{}: {why}", program.path().display())),
            }
        }
        let first = names.first().unwrap_or(&"a client");
        let why = match not.is_empty() {
            true => format!("{first} is not installed on this host"),
            false => format!("no {first} on this host is of use to {version}: {}", not.join("; ")),
        };
        let text = format!("{why}; install the client package of the server's version");
        Err(Fault::new(FaultKind::Other, text))
    }
}

/// Whether a client knows everything that such a server has. MariaDB's (10.11) asks MySQL 5.6 for
/// columns that it does not have, so neither is used for the other.
fn fits(client: ServerVersion, server: ServerVersion) -> bool {
    let series = |version: ServerVersion| (version.number.0, version.number.1);
    client.flavor == server.flavor && series(client) >= series(server)
}

/// `Ver 10.19 Distrib 10.11.6-MariaDB, for ...`, `from 11.8.2-MariaDB, client ...`,
/// `Ver 10.13 Distrib 5.7.44, for ...`, `Ver 9.7.0 for Linux ...`.
fn client_version(text: &str) -> Option<ServerVersion> {
    let number = |word: &str| word.trim_end_matches(',').parse().ok();
    if let Some(word) = text.split_whitespace().find(|word| word.contains("-MariaDB")) {
        return number(word);
    }
    let rest = text.split_once("Distrib ").or_else(|| text.split_once("Ver "))?.1;
    number(rest.split_whitespace().next()?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_client_is_known_by_what_it_says_and_is_no_older_than_the_server() {
        let version = |text: &str| text.parse::<ServerVersion>().unwrap();
        for (text, wanted) in [
            (
                "mysqldump  Ver 10.19 Distrib 10.11.6-MariaDB, for debian-linux-gnu",
                "10.11.6-MariaDB",
            ),
            ("mariadb-dump from 11.8.2-MariaDB, client 10.19 for Linux", "11.8.2-MariaDB"),
            ("mysqldump  Ver 10.13 Distrib 5.7.44, for Linux (x86_64)", "5.7.44"),
            ("mysqldump  Ver 9.7.0 for Linux on x86_64 (MySQL Community)", "9.7.0"),
        ] {
            let found = client_version(text).unwrap();
            assert_eq!(found.number, version(wanted).number, "{text}");
            assert_eq!(found.is_mariadb(), text.contains("MariaDB"), "{text}");
        }
        let fit = |client, server| fits(version(client), version(server));
        assert!(fit("10.11.6-MariaDB", "10.11.2-MariaDB"));
        assert!(!fit("10.5.6-MariaDB", "10.11.2-MariaDB") && !fit("9.7.0", "10.11.2-MariaDB"));
        assert!(!fit("10.11.6-MariaDB", "5.6.24") && fit("9.7.0", "5.6.24"));
        assert!(fit("9.7.0", "8.4.1") && !fit("8.0.44", "8.4.1"));
    }
    #[test]
    fn whoever_runs_a_server_is_known_from_the_kernel() {
        let status = "Name:\tmysqld\nUid:\t0\t999\t999\t999\nGid:\t0\t998\t998\t998\n";
        assert_eq!(User::of(status), Some(User { uid: 999, gid: 998 }));
        assert_eq!(User::of("Name:\tmysqld\n"), None);
    }

    /// The server's user could have put anything beside it.
    #[tokio::test]
    async fn a_program_that_the_servers_user_chose_runs_as_that_user() {
        const STRANGER: u32 = 54_321;
        if !geteuid().is_root() {
            assert!(std::env::var_os("CI").is_none(), "root is required here");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mysqldump");
        let text = "#!/bin/sh\necho \"$(id -u):$(id -g):$(id -G):${HOME-none} Ver 9.7.0 for\"\n";
        std::fs::write(&path, text).unwrap();
        let everyone = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, everyone(0o755)).unwrap();
        std::fs::set_permissions(folder.path(), everyone(0o755)).unwrap();
        let program = Program::alone(path, User { uid: STRANGER, gid: STRANGER });
        let output = program.command().output().await.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with("54321:54321:54321:none "), "{said}");
        assert!(program.version().await.is_ok());
    }
}
