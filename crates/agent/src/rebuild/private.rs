//! A server of our own on new data: it is made of the program of the server that is rebuilt, with the
//! settings of that one which decide how its files look, and with no option file. It listens on a
//! socket in a directory that only its owner may enter, writes no binary log, replicates nothing and
//! runs no events. It ends before its data is put in place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use primacy_agent_api::{Fault, FaultKind};
use primacy_types::ServerVersion;
use primacy_wire::{ConnectOptions, Session, TlsMode, WireError};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use super::clients::{Client, Program, Use};
use super::layout::Layout;
use super::tools::LastWords;
use crate::served::Served;

/// Limit of a question to the server that is rebuilt.
const ASK: Duration = Duration::from_secs(15);
/// Limit of making an empty data directory.
const INIT: Duration = Duration::from_secs(600);
/// Limit of the private server's start.
const START: Duration = Duration::from_secs(300);
/// Limit of its end: it writes what it holds in memory.
const END: Duration = Duration::from_secs(1800);
const LOOK: Duration = Duration::from_millis(50);
/// A path of a socket is no longer than this (unix(7)).
const LONGEST_SOCKET: usize = 100;

/// Settings that decide how files look, or how definitions are understood. They are read from the
/// running server by name and handed on if it has them.
const KEPT: &[&str] = &[
    "basedir",
    "character_set_server",
    "character_sets_dir",
    "collation_server",
    "explicit_defaults_for_timestamp",
    "ft_max_word_len",
    "ft_min_word_len",
    "innodb_checksum_algorithm",
    "innodb_compression_algorithm",
    "innodb_data_file_path",
    "innodb_default_row_format",
    "innodb_file_format",
    "innodb_file_per_table",
    "innodb_ft_max_token_size",
    "innodb_ft_min_token_size",
    "innodb_large_prefix",
    "innodb_page_size",
    "lc_messages_dir",
    "lower_case_table_names",
    "ngram_token_size",
    "plugin_dir",
];
/// The same where MySQL 8.0 and later decide themselves.
const KEPT_BEFORE_8: &[&str] =
    &["innodb_log_file_size", "innodb_log_files_in_group", "innodb_undo_tablespaces"];
/// What it must not do. Not every version knows all of these.
const ALWAYS: &[&str] = &[
    "--skip-networking",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--event-scheduler=OFF",
    "--max-allowed-packet=1073741824",
    "--innodb-buffer-pool-size=268435456",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-strict-mode=OFF",
    "--loose-skip-slave-start",
    "--loose-skip-replica-start",
    "--loose-gtid-mode=OFF",
    "--loose-enforce-gtid-consistency=OFF",
    "--loose-local-infile=OFF",
    "--loose-mysqlx=OFF",
    "--loose-performance-schema=OFF",
    "--loose-super-read-only=OFF",
    "--loose-auto-generate-certs=OFF",
    "--loose-sha256-password-auto-generate-rsa-keys=OFF",
    "--loose-caching-sha2-password-auto-generate-rsa-keys=OFF",
];

/// What it takes to run one.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    program: Program,
    version: ServerVersion,
    kept: Vec<(String, String)>,
    pub(super) client: Client,
}

impl Recipe {
    /// Asks the server that is rebuilt, while it runs.
    pub(super) async fn of(served: &Served) -> Result<Self, Fault> {
        let server = &served.server;
        let failed = |error: WireError| {
            let text = format!(
                "{server}: new data is made as its settings say, and it cannot be asked: {error}; \
                 start it, with any data"
            );
            Fault::new(FaultKind::Server, text)
        };
        let mut session = Session::connect(&served.login).await.map_err(failed)?;
        let version = session.version();
        let before_8 = version.is_mariadb() || !version.at_least(8, 0, 0);
        let more = if before_8 { KEPT_BEFORE_8 } else { &[] };
        let names: Vec<_> = KEPT.iter().chain(more).map(|name| format!("'{name}'")).collect();
        let sql = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", names.join(", "));
        let rows = session.query(&sql, ASK).await.map_err(failed)?;
        let kept =
            rows.iter().filter_map(|row| Some((row.at(0)?.to_owned(), row.at(1)?.to_owned())));
        let kept = kept.filter(|(_, value)| !value.is_empty()).collect();
        let program = Program::of(served).await?;
        let client = Client::find(Use::Load, &program, version).await?;
        Ok(Self { program, version, kept, client })
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.kept.iter().find(|(kept, _)| kept == name).map(|(_, value)| &**value)
    }

    /// The directory with the SQL of an empty server's system tables.
    fn share(&self) -> Option<PathBuf> {
        let messages = self.setting("lc_messages_dir").map(PathBuf::from);
        let sets = self.setting("character_sets_dir");
        let beside = sets.and_then(|sets| Path::new(sets).parent()).map(Path::to_owned);
        let base = self.setting("basedir").map(PathBuf::from);
        let below = ["share/mysql", "share/mariadb", "share"];
        let below = base.into_iter().flat_map(|base| below.map(|part| base.join(part)));
        let mut all = messages.into_iter().chain(beside).chain(below);
        all.find(|dir| self.prefix(dir).is_some())
    }

    fn prefix(&self, share: &Path) -> Option<&'static str> {
        let there = |prefix: &&str| share.join(format!("{prefix}system_tables.sql")).is_file();
        ["mariadb_", "mysql_"].into_iter().find(there)
    }

    /// Makes the data directory of an empty server, with `root` without a password.
    pub(super) async fn initialise(&self, layout: &Layout) -> Result<(), String> {
        let failed = |error: io::Error| format!("new data could not be made: {error}");
        fs::create_dir_all(layout.making.join("tmp")).map_err(failed)?;
        let by_itself = self.version.is_mysql() && self.version.at_least(5, 7, 6);
        let input = if by_itself {
            Vec::new()
        } else {
            fs::create_dir(layout.fresh.join("mysql")).map_err(failed)?;
            self.system_tables()?
        };
        layout.own_all(&layout.making).map_err(failed)?;
        let mut command = self.command(layout);
        command.arg(if by_itself { "--initialize-insecure" } else { "--bootstrap" });
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let words = LastWords::of(&mut child);
        if let Some(mut stdin) = child.stdin.take() {
            // A server that ends before it has read all says why.
            drop(stdin.write_all(&input).await);
        }
        let status = timeout(INIT, child.wait())
            .await
            .map_err(|_| format!("an empty data directory took more than {} s", INIT.as_secs()))?
            .map_err(failed)?;
        match status.success() {
            true => Ok(()),
            false => Err(format!(
                "an empty data directory could not be made ({status}): {}",
                words.why().await
            )),
        }
    }

    /// What `mariadb-install-db` and `mysql_install_db` feed to the server.
    fn system_tables(&self) -> Result<Vec<u8>, String> {
        let not =
            || "the SQL of its system tables (mysql_system_tables.sql) was not found".to_owned();
        let share = self.share().ok_or_else(not)?;
        let prefix = self.prefix(&share).ok_or_else(not)?;
        let mut sql = b"create database if not exists mysql;\nuse mysql;\n".to_vec();
        let files: &[&str] = if self.version.is_mariadb() {
            sql.extend_from_slice(b"set @auth_root_socket=NULL;\n");
            &["system_tables", "performance_tables", "system_tables_data", "sys_schema"]
        } else {
            &["system_tables", "system_tables_data"]
        };
        for file in files {
            let path = share.join(format!("{prefix}{file}.sql"));
            match fs::read(&path) {
                Ok(text) => sql.extend(text),
                // Since MariaDB 10.6.
                Err(_) if *file == "sys_schema" => {}
                Err(error) => return Err(format!("{}: {error}", path.display())),
            }
            sql.push(b'\n');
        }
        Ok(sql)
    }

    /// The program with everything but what it shall do.
    fn command(&self, layout: &Layout) -> Command {
        let mut command = self.program.command();
        command.arg("--no-defaults").arg(data_argument(&layout.fresh));
        command.args(ALWAYS);
        for (name, value) in &self.kept {
            command.arg(format!("--{}={value}", name.replace('_', "-")));
        }
        let making = layout.making.display();
        command.arg(format!("--tmpdir={making}/tmp"));
        command.arg(format!("--secure-file-priv={making}/tmp"));
        command.current_dir(&layout.making);
        let (uid, gid) = layout.owner();
        let own = geteuid();
        if uid == 0 && self.program.user().uid == 0 {
            // Or it refuses to run. The server that is rebuilt runs so as well.
            command.arg("--user=root");
        } else if uid == 0 {
            // Data that is root's makes nobody root.
        } else if own.is_root() || own.as_raw() != uid {
            command.uid(uid).gid(gid);
        }
        command
    }
}

fn data_argument(fresh: &Path) -> String {
    format!("--datadir={}", fresh.display())
}

/// It runs. Dropped, it is killed.
pub(super) struct PrivateServer {
    child: Child,
    words: LastWords,
    socket: PathBuf,
    log: PathBuf,
}

impl PrivateServer {
    /// Starts it and waits until it answers.
    pub(super) async fn start(recipe: &Recipe, layout: &Layout) -> Result<Self, String> {
        let socket = layout.making.join("s");
        if socket.as_os_str().len() > LONGEST_SOCKET {
            return Err(format!(
                "{} is too long for a socket; move the data directory to a shorter path",
                socket.display()
            ));
        }
        let log = layout.making.join("error.log");
        let mut command = recipe.command(layout);
        command
            .arg(format!("--socket={}", socket.display()))
            .arg(format!("--pid-file={}", layout.making.join("pid").display()))
            .arg(format!("--log-error={}", log.display()))
            .arg("--sql-mode=")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|error| format!("a server for the new data could not be started: {error}"))?;
        let words = LastWords::of(&mut child);
        let mut server = Self { child, words, socket, log };
        let end = Instant::now() + START;
        loop {
            let error = match Session::connect(&server.options()).await {
                Ok(session) => {
                    session.close().await;
                    return Ok(server);
                }
                Err(error) => error,
            };
            if let Ok(Some(status)) = server.child.try_wait() {
                let why = server.why().await;
                return Err(format!("the server for the new data ended with {status}: {why}"));
            }
            if Instant::now() >= end {
                return Err(format!(
                    "the server for the new data does not answer within {} s: {error}",
                    START.as_secs()
                ));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    fn options(&self) -> ConnectOptions {
        ConnectOptions {
            address: primacy_types::Address::new("localhost", 3306),
            user: "root".to_owned(),
            password: String::new().into(),
            tls: TlsMode::Off,
            connect_timeout: ASK,
            database: None,
            program: "primacy agent".to_owned(),
            unix_socket: Some(self.socket.clone()),
        }
    }

    /// What it said last.
    pub(super) async fn why(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let said = LastWords::default();
        said.add(&log);
        match log.is_empty() {
            true => self.words.why().await,
            false => said.why().await,
        }
    }

    /// Shuts it down; all that it holds is on disk afterwards.
    pub(super) async fn end(mut self) -> Result<(), String> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let pid = pid.ok_or("the server for the new data has ended by itself")?;
        kill_process(pid, Signal::TERM)
            .map_err(|error| format!("the server for the new data is not ended: {error}"))?;
        let status = timeout(END, self.child.wait())
            .await
            .map_err(|_| "the server for the new data does not shut down".to_owned())?
            .map_err(|error| error.to_string())?;
        match status.success() {
            true => Ok(()),
            false => Err(format!(
                "the server for the new data ended with {status}: {}",
                self.why().await
            )),
        }
    }
}

/// Kills servers of ours that a former run of the agent has left on this data: nothing else is
/// started with such an option.
pub(super) fn end_strays(fresh: &Path) {
    let wanted = data_argument(fresh);
    let Ok(entries) = fs::read_dir("/proc") else { return };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let ours = line.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes());
        if let (true, Some(pid)) = (ours, Pid::from_raw(pid)) {
            tracing::warn!(?pid, "a server that was left on data that is given up is ended");
            if let Err(error) = kill_process(pid, Signal::KILL) {
                tracing::debug!(?pid, %error, "it may be gone by now");
            }
        }
    }
}
