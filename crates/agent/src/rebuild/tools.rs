//! The programs that make, unpack and prepare a physical backup (MariaDB's package mariadb-backup),
//! and how they are run: with an account from a file that only we may read, never in arguments.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_agent_api::{Fault, FaultKind};
use primacy_types::ServerVersion;
use primacy_wire::{ConnectOptions, TlsMode};
use rustix::process::geteuid;
use secrecy::ExposeSecret as _;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use super::clients::User;

/// Its names, the newer one first.
const BACKUP: &[&str] = &["mariadb-backup", "mariabackup"];
const UNPACK: &[&str] = &["mbstream"];
/// Places beside those of `PATH`.
const PLACES: &[&str] = &["/usr/bin", "/usr/local/bin"];
/// Limit of asking the program what it is.
pub(super) const TOOL: Duration = Duration::from_secs(10);
/// So much of what a program says last is kept.
const KEPT: usize = 4096;

/// A program of the system's.
pub(super) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).chain(PLACES.iter().map(PathBuf::from));
    places.find_map(|place| Some(place.join(name)).filter(|path| path.is_file()))
}

fn find(names: &[&str]) -> Result<PathBuf, Fault> {
    names.iter().find_map(|name| installed(name)).ok_or_else(|| {
        let text = format!(
            "{} is not installed on this host; install the package mariadb-backup of the server's \
             version",
            names.first().unwrap_or(&"a program")
        );
        Fault::new(FaultKind::Other, text)
    })
}

/// The program that reads and prepares backups.
pub(super) fn backup() -> Result<PathBuf, Fault> {
    find(BACKUP)
}

/// Whether this host has what a physical copy of such a server takes.
pub(super) async fn usable(server: ServerVersion) -> Result<String, Fault> {
    unpack()?;
    version_for(&backup()?, server, TOOL).await
}

/// The program that unpacks a stream.
pub(super) fn unpack() -> Result<PathBuf, Fault> {
    find(UNPACK)
}

/// What the program says it is, if it is of the server's series: another one may not know the
/// server's files.
pub(super) async fn version_for(
    program: &Path,
    server: ServerVersion,
    limit: Duration,
) -> Result<String, Fault> {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let failed = |reason: String| {
        Fault::new(FaultKind::Other, format!("`{} --version`: {reason}", program.display()))
    };
    let output = tokio::time::timeout(limit, command.output())
        .await
        .map_err(|_| failed(format!("no answer within {} ms", limit.as_millis())))?
        .map_err(|error| failed(error.to_string()))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let wanted = format!("{}.{}.", server.number.0, server.number.1);
    let own = text.split_whitespace().find(|word| word.contains("-MariaDB")).unwrap_or_default();
    if own.starts_with(&wanted) {
        return Ok(format!("mariadb-backup {own}"));
    }
    let text = format!(
        "{} is of version {own}, and the server of {server}: backups need both of the same series; \
         install the package mariadb-backup of the server's version",
        program.display()
    );
    Err(Fault::new(FaultKind::Other, text))
}

/// A file with the account; removed when dropped.
#[derive(Debug)]
pub(super) struct LoginFile(PathBuf);

impl LoginFile {
    /// For mariadb-backup.
    pub(super) fn write(path: PathBuf, login: &ConnectOptions) -> std::io::Result<Self> {
        Self::with(path, login, encrypted)
    }

    /// For a client of this version: MySQL's have a word of their own for encryption.
    pub(super) fn for_client(
        path: PathBuf,
        login: &ConnectOptions,
        client: ServerVersion,
    ) -> std::io::Result<Self> {
        let modes = client.is_mysql() && client.at_least(5, 7, 11);
        Self::with(path, login, if modes { encrypted_by_mode } else { encrypted })
    }

    fn with(
        path: PathBuf,
        login: &ConnectOptions,
        encrypted: fn(&TlsMode) -> String,
    ) -> std::io::Result<Self> {
        // A file of an earlier run may be there, with other rights.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let written = Self(path);
        let mut text = format!(
            "[client]\nuser={}\npassword={}\n",
            quoted(&login.user),
            quoted(login.password.expose_secret())
        );
        let way = match &login.unix_socket {
            Some(socket) => format!("socket={}\n", quoted(&socket.to_string_lossy())),
            None => format!(
                "protocol=tcp\nhost={}\nport={}\n",
                quoted(login.address.host()),
                login.address.port()
            ),
        };
        text.push_str(&way);
        if login.unix_socket.is_none() {
            text.push_str(&encrypted(&login.tls));
        }
        file.write_all(text.as_bytes())?;
        Ok(written)
    }

    /// As the standard input of a client that runs as this user, for [`LoginFile::INPUT`].
    pub(super) fn lent_to(&self, user: User) -> std::io::Result<File> {
        let file = File::open(&self.0)?;
        if geteuid().is_root() {
            fchown(&file, Some(user.uid), Some(user.gid))?;
        }
        Ok(file)
    }

    /// The file that is the standard input: a path to it would lead through directories that are the
    /// agent's own.
    pub(super) const INPUT: &str = "--defaults-file=/proc/self/fd/0";

    pub(super) fn argument(&self) -> String {
        format!("--defaults-file={}", self.0.display())
    }
}

/// As the agent's own connection is protected.
fn encrypted(tls: &TlsMode) -> String {
    let with = |ca: &Path| format!("ssl\nssl-ca={}\n", quoted(&ca.to_string_lossy()));
    match tls {
        TlsMode::Off => String::new(),
        TlsMode::VerifyCa { ca_file } => with(ca_file),
        TlsMode::Full { ca_file: Some(ca_file) } => {
            format!("{}ssl-verify-server-cert\n", with(ca_file))
        }
        _ => "ssl\n".to_owned(),
    }
}

/// The same for MySQL's clients.
fn encrypted_by_mode(tls: &TlsMode) -> String {
    let with = |mode: &str, ca: &Path| {
        format!("ssl-mode={mode}\nssl-ca={}\n", quoted(&ca.to_string_lossy()))
    };
    match tls {
        TlsMode::Off => String::new(),
        TlsMode::VerifyCa { ca_file } => with("VERIFY_CA", ca_file),
        TlsMode::Full { ca_file: Some(ca_file) } => with("VERIFY_IDENTITY", ca_file),
        _ => "ssl-mode=REQUIRED\n".to_owned(),
    }
}

impl Drop for LoginFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// A value of an option file: in quotes, with the escapes that option files know.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// What a program said last on standard error, collected while it runs.
#[derive(Clone, Debug, Default)]
pub(super) struct LastWords(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    last: Vec<u8>,
    lock: BackupLock,
}

/// Whether mariadb-backup holds the server's backup lock, by what it says.
///
/// Newer ones take it in stages: START at the beginning, which keeps nobody waiting; FLUSH, BLOCK_DDL
/// and BLOCK_COMMIT at the end, which do; and END (seen on 10.11.19). Older ones announce all of them
/// at once, at the end ("Acquiring BACKUP LOCKS", or "FLUSH TABLES WITH READ LOCK" for servers
/// before 10.4).
#[derive(Debug, Default)]
struct BackupLock {
    held: bool,
    in_stages: bool,
    /// The end of what was read, which may be the beginning of a line.
    line: Vec<u8>,
}

impl BackupLock {
    fn hears(&mut self, piece: &[u8]) {
        for byte in piece {
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.line_is(&String::from_utf8_lossy(&line));
            } else if self.line.len() < KEPT {
                self.line.push(*byte);
            }
        }
    }

    fn line_is(&mut self, line: &str) {
        let says = |words: &[&str]| words.iter().any(|word| line.contains(word));
        if says(&["All tables unlocked", "BACKUP STAGE END"]) {
            self.held = false;
        } else if says(&["BACKUP STAGE START"]) {
            self.in_stages = true;
        } else if says(&["BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_"]) {
            self.held = true;
        } else if says(&["Acquiring BACKUP LOCKS", "FLUSH TABLES WITH READ LOCK"]) {
            self.held |= !self.in_stages;
        }
    }
}

impl LastWords {
    pub(super) fn of(child: &mut Child) -> Self {
        let words = Self::default();
        if let Some(mut pipe) = child.stderr.take() {
            let into = words.clone();
            tokio::spawn(async move {
                let mut piece = [0; 1024];
                while let Ok(read @ 1..) = pipe.read(&mut piece).await {
                    into.add(piece.get(..read).unwrap_or_default());
                }
            });
        }
        words
    }

    pub(super) fn add(&self, said: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.lock.hears(said);
        kept.last.extend_from_slice(said);
        let more = kept.last.len().saturating_sub(KEPT);
        kept.last.drain(..more);
    }

    /// Whether these words are among them.
    pub(super) fn say(&self, words: &str) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept.last).contains(words)
    }

    /// Whether it holds the server's backup lock now: whoever changes tables, or commits, waits for
    /// it.
    pub(super) fn lock_is_held(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lock.held
    }

    /// The lines that say why it failed, or its last ones.
    pub(super) async fn why(&self) -> String {
        // The rest of the pipe is read in a moment.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).last.clone();
        let text = String::from_utf8_lossy(&kept).into_owned();
        // What a client tells of its course.
        let dull = |line: &str| line.trim().is_empty() || line.starts_with("-- ");
        let lines: Vec<&str> = text.lines().filter(|line| !dull(line)).collect();
        let telling = |line: &&&str| {
            ["rror", "ERROR", "o space", "ailed", "denied"].iter().any(|word| line.contains(word))
        };
        let mut shown: Vec<&str> = lines.iter().filter(telling).copied().rev().take(4).collect();
        if shown.is_empty() {
            shown = lines.iter().copied().rev().take(2).collect();
        }
        shown.reverse();
        shown.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_backup_lock_is_known_by_what_the_program_says() {
        let held = |lines: &[&str]| {
            let mut lock = BackupLock::default();
            lines
                .iter()
                .map(|line| {
                    // In pieces that end anywhere.
                    let (one, other) = line.split_at(line.len() / 2);
                    lock.hears(one.as_bytes());
                    lock.hears(format!("{other}\n").as_bytes());
                    lock.held
                })
                .collect::<Vec<_>>()
        };
        // 10.11.19
        let stages = [
            "[00] 2026-01-01 00:00:00 Starting BACKUP STAGE START",
            "[00] 2026-01-01 00:00:00 Acquiring BACKUP LOCKS...",
            "[00] 2026-01-01 00:00:00 Acquired locks for BACKUP STAGE START",
            "[00] 2026-01-01 00:00:00 Starting BACKUP STAGE FLUSH",
            "[00] 2026-01-01 00:00:00 Finished BACKUP STAGE FLUSH",
            "[00] 2026-01-01 00:00:00 Acquired locks for BACKUP STAGE BLOCK_COMMIT",
            "[00] 2026-01-01 00:00:00 Executing BACKUP STAGE END",
            "[00] 2026-01-01 00:00:00 All tables unlocked",
        ];
        assert_eq!(held(&stages), [false, false, false, true, true, true, false, false]);
        let at_once = ["Acquiring BACKUP LOCKS...", "Executing BACKUP STAGE END"];
        assert_eq!(held(&at_once), [true, false]);
        let older = ["Executing FLUSH TABLES WITH READ LOCK...", "All tables unlocked"];
        assert_eq!(held(&older), [true, false]);
    }

    #[test]
    fn the_account_is_in_a_file_that_only_we_may_read_and_for_as_long_as_it_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("login.cnf");
        let login = ConnectOptions {
            address: "db1:3307".parse().unwrap(),
            user: "primacy".to_owned(),
            password: "a\"b\\c #d".to_owned().into(),
            tls: TlsMode::Off,
            connect_timeout: Duration::from_secs(1),
            database: None,
            program: "test".to_owned(),
            unix_socket: None,
        };
        let file = LoginFile::write(path.clone(), &login).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("password=\"a\\\"b\\\\c #d\"\n"), "{text}");
        assert!(text.contains("host=\"db1\"\nport=3307\n"), "{text}");
        assert!(!file.argument().contains("a\"b"));
        drop(file);
        assert!(!path.exists());
    }
}
