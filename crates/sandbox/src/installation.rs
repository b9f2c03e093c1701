//! The server programs on this machine, and what it takes to start each.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use primacy_types::{Flavor, ServerVersion};
use serde::{Deserialize, Serialize};

use crate::command::{Run, on_path};
use crate::{CATALOGUE, Entry, Error, Result, places};

/// The file that says that a provisioned server is complete.
pub(crate) const MARKER: &str = "primacy-server.json";

/// What the marker file holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Package and version, of everything that was unpacked.
    pub(crate) packages: Vec<String>,
    /// Whether signatures or digests vouch for it.
    pub(crate) verified: bool,
}

/// How the first data folder of a server is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// MariaDB: SQL files of this prefix in the share folder, fed to `--bootstrap`.
    MariaDb {
        /// `mysql_` or `mariadb_`.
        prefix: &'static str,
    },
    /// MySQL 5.7 and later: `--initialize-insecure`.
    Initialize,
    /// MySQL 5.6: its SQL files, fed to `--bootstrap`.
    MySql56,
}

/// A server program with what belongs to it.
#[derive(Clone, Debug)]
pub struct Installation {
    /// `mariadb-10.11` and the like: flavour and series.
    pub name: String,
    /// MySQL or MariaDB.
    pub flavor: Flavor,
    /// What the program says of itself.
    pub version: ServerVersion,
    /// The program.
    pub mysqld: PathBuf,
    /// Words that come before the program: its own loader and library path, or none.
    pub launcher: Vec<OsString>,
    /// The folder with error messages, character sets and the system tables' SQL.
    pub share_dir: PathBuf,
    /// The folder with plugins; it may be missing.
    pub plugin_dir: PathBuf,
    /// What `basedir` must name.
    pub basedir: PathBuf,
    /// Environment that the program needs.
    pub extra_env: Vec<(OsString, OsString)>,
    /// How its data folder is made.
    pub bootstrap: Bootstrap,
    /// Whether semi-synchronous replication can be had.
    pub has_semisync: bool,
    /// The folder that holds all of it; `/` for the system's own.
    pub root: PathBuf,
}

impl Installation {
    /// The words that start the program, without options.
    pub fn command(&self) -> Vec<OsString> {
        let mut words = self.launcher.clone();
        words.push(self.mysqld.clone().into());
        words
    }

    /// Whether it belongs to the system rather than to our cache folder.
    pub fn is_system(&self) -> bool {
        self.root == Path::new("/")
    }

    /// A complete server that was unpacked into this folder.
    pub(crate) fn unpacked(name: &str, root: &Path) -> Result<Self> {
        let npm = root.join("server/mysqld");
        if npm.is_file() {
            return Self::from_npm(name, root, npm);
        }
        let mysqld = program_in(root).ok_or_else(|| {
            Error::refused(
                format!("{} holds no server program", root.display()),
                format!("remove it and run: cargo xtask servers {name}"),
            )
        })?;
        let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        let loader = loader(root)?;
        let library_path = [root.join(&libraries), root.join("usr/lib/mysql/private")]
            .map(|dir| dir.display().to_string())
            .join(":");
        let launcher = vec![loader.into(), "--library-path".into(), library_path.into()];
        Self::detect(Some(name), root, mysqld, launcher, Vec::new())
    }

    fn from_npm(name: &str, root: &Path, mysqld: PathBuf) -> Result<Self> {
        let dir = root.join("server");
        let env = vec![("LD_LIBRARY_PATH".into(), dir.clone().into())];
        let version = ask_version(&[mysqld.clone().into()], &env)?;
        Ok(Self {
            name: name.to_owned(),
            flavor: version.flavor,
            version,
            mysqld,
            launcher: Vec::new(),
            share_dir: dir.join("share"),
            plugin_dir: dir.join("plugin"),
            basedir: dir,
            extra_env: env,
            bootstrap: Bootstrap::MySql56,
            has_semisync: false,
            root: root.to_owned(),
        })
    }

    /// The server that the system's packages (or an administrator) installed, if any.
    fn system() -> Option<Self> {
        let mysqld = ["mariadbd", "mysqld"].iter().find_map(|name| on_path(name))?;
        match Self::detect(None, Path::new("/"), mysqld.clone(), Vec::new(), Vec::new()) {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::debug!(program = %mysqld.display(), %error, "not a usable server");
                None
            }
        }
    }

    fn detect(
        name: Option<&str>,
        root: &Path,
        mysqld: PathBuf,
        launcher: Vec<OsString>,
        extra_env: Vec<(OsString, OsString)>,
    ) -> Result<Self> {
        let mut words = launcher.clone();
        words.push(mysqld.clone().into());
        let version = ask_version(&words, &extra_env)?;
        let (major, minor, _) = version.number;
        let family = if version.is_mariadb() { "mariadb" } else { "mysql" };
        let (share_dir, bootstrap) = share(root, &mysqld, version)?;
        let plugin_dir = plugins(root, &mysqld, version);
        let has_semisync = version.is_mariadb()
            || ["semisync_source.so", "semisync_master.so"]
                .iter()
                .any(|file| plugin_dir.join(file).exists());
        Ok(Self {
            name: name.map_or_else(|| format!("{family}-{major}.{minor}"), str::to_owned),
            flavor: version.flavor,
            version,
            basedir: mysqld.ancestors().nth(2).unwrap_or(root).to_owned(),
            mysqld,
            launcher,
            share_dir,
            plugin_dir,
            extra_env,
            bootstrap,
            has_semisync,
            root: root.to_owned(),
        })
    }
}

/// The server of this name; without one the system's own, else the newest provisioned.
pub fn find_installation(name: Option<&str>) -> Result<Installation> {
    let system = Installation::system();
    let Some(name) = name else {
        return match system {
            Some(found) => Ok(found),
            None => list_provisioned().pop().ok_or(Error::NoServer),
        };
    };
    if let Some(found) = system.filter(|found| found.name == name) {
        return Ok(found);
    }
    if Entry::named(name).is_none() {
        return Err(Error::UnknownServer { name: name.to_owned(), known: Entry::names() });
    }
    let root = server_dir(name)?;
    if !root.join(MARKER).exists() {
        return Err(Error::NotProvisioned { name: name.to_owned() });
    }
    Installation::unpacked(name, &root)
}

/// Every server that a sandbox can be made of here: the system's own first.
pub fn list_installations() -> Vec<Installation> {
    let mut found: Vec<_> = Installation::system().into_iter().collect();
    for other in list_provisioned() {
        if found.iter().all(|known| known.name != other.name) {
            found.push(other);
        }
    }
    found
}

/// The provisioned ones, older releases first.
fn list_provisioned() -> Vec<Installation> {
    let complete =
        |entry: &&Entry| server_dir(entry.name).is_ok_and(|dir| dir.join(MARKER).exists());
    let mut found: Vec<_> = CATALOGUE
        .iter()
        .filter(complete)
        .filter_map(|entry| find_provisioned(entry.name))
        .collect();
    found.sort_by_key(|one| one.version.number);
    found
}

fn find_provisioned(name: &str) -> Option<Installation> {
    Installation::unpacked(name, &server_dir(name).ok()?).ok()
}

/// Where a provisioned server of this name is, or would be.
pub(crate) fn server_dir(name: &str) -> Result<PathBuf> {
    Ok(places::cache_dir()?.join("servers").join(name))
}

fn program_in(root: &Path) -> Option<PathBuf> {
    ["usr/sbin/mariadbd", "usr/sbin/mysqld"]
        .iter()
        .map(|file| root.join(file))
        .find(|file| file.exists())
}

/// The dynamic loader within an unpacked tree. Old releases link it by an absolute path, which
/// would lead out of the tree: links are followed as if the tree were `/`.
fn loader(root: &Path) -> Result<PathBuf> {
    let names = ["usr/lib64/ld-linux-x86-64.so.2", "usr/lib/ld-linux-aarch64.so.1"];
    let mut file = names
        .iter()
        .map(|name| root.join(name))
        .find(|file| file.is_symlink() || file.exists())
        .ok_or_else(|| {
            Error::refused(
                format!("{} holds no loader for this machine", root.display()),
                "servers of other releases are known to run on x86-64 and arm64",
            )
        })?;
    for _ in 0..8 {
        let Ok(target) = fs::read_link(&file) else { break };
        file = match target.strip_prefix("/") {
            Ok(inside) => root.join(inside),
            Err(_) => file.parent().unwrap_or(root).join(target),
        };
    }
    Ok(file)
}

/// The folder with the messages and the system tables' SQL, found by what is in it.
fn share(root: &Path, mysqld: &Path, version: ServerVersion) -> Result<(PathBuf, Bootstrap)> {
    let base = mysqld.ancestors().nth(2).unwrap_or(root);
    let dirs = ["share/mariadb", "share/mysql", "share"].map(|dir| base.join(dir));
    if version.is_mariadb() {
        for dir in &dirs {
            for prefix in ["mariadb_", "mysql_"] {
                if dir.join(format!("{prefix}system_tables.sql")).exists() {
                    return Ok((dir.clone(), Bootstrap::MariaDb { prefix }));
                }
            }
        }
    } else if let Some(dir) = dirs.iter().find(|dir| dir.join("english").exists()) {
        let old = !version.at_least(5, 7, 6);
        return Ok((dir.clone(), if old { Bootstrap::MySql56 } else { Bootstrap::Initialize }));
    }
    Err(Error::refused(
        format!("{} has no share folder with its system tables", mysqld.display()),
        "install the complete server package",
    ))
}

fn plugins(root: &Path, mysqld: &Path, version: ServerVersion) -> PathBuf {
    let base = mysqld.ancestors().nth(2).unwrap_or(root);
    let known = ["lib/mysql/plugin", "lib64/mysql/plugin", "lib/plugin", "lib64/mariadb/plugin"];
    let found = known.iter().map(|dir| base.join(dir)).find(|dir| dir.is_dir());
    let fallback = if version.is_mariadb() { "lib/mysql/plugin" } else { "lib/plugin" };
    found.unwrap_or_else(|| base.join(fallback))
}

fn ask_version(words: &[OsString], env: &[(OsString, OsString)]) -> Result<ServerVersion> {
    let text = Run::words(words, Duration::from_secs(20))
        .args(["--no-defaults", "--version"])
        .envs(env)
        .way_out("the server program does not run here; reinstall it")
        .run()?;
    let parsed = text.split_once("Ver ").and_then(|(_, rest)| {
        let flavor = if text.contains("MariaDB") { "-MariaDB" } else { "" };
        format!("{}{flavor}", rest.split_whitespace().next()?).parse().ok()
    });
    parsed.ok_or_else(|| {
        Error::refused(
            format!("{} does not say its version: {text:?}", words.join(" ".as_ref()).display()),
            "use MySQL or MariaDB",
        )
    })
}
