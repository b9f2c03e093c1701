//! Data folders made once for each server version, and copied for each server.
//!
//! A template has no accounts but root without password, no server identity and no logs. It is
//! kept in the cache folder, under a name that changes with whatever it depends on.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::Run;
use crate::installation::{Bootstrap, Installation};
use crate::lock::lock;
use crate::mycnf::size_options;
use crate::{Error, Result, places};

/// To be raised when the way templates are made changes.
const GENERATION: u32 = 2;
const INIT_LIMIT: Duration = Duration::from_secs(180);

/// The template for this server; made now if there is none. Blocks.
pub(crate) fn template(installation: &Installation) -> Result<PathBuf> {
    let (_, _, patch) = installation.version.number;
    let place = if installation.is_system() { "system" } else { "own" };
    let name = format!("{}.{patch}-{place}-{GENERATION}", installation.name);
    let parent = places::cache_dir()?.join("templates");
    let dir = parent.join(&name);
    if dir.exists() {
        return Ok(dir);
    }
    places::make_dir(&parent, 0o755)?;
    let _lock = lock(&parent.join(format!(".{name}.lock")), &mut |_| ())?;
    if dir.exists() {
        return Ok(dir);
    }
    let draft = parent.join(format!(".{name}.partial"));
    places::remove(&draft)?;
    places::make_dir(&draft, 0o711)?;
    initialise(installation, &draft)?;
    fs::rename(draft.join("data"), &dir).map_err(Error::file("name", &dir))?;
    places::remove(&draft)?;
    Ok(dir)
}

fn initialise(installation: &Installation, draft: &Path) -> Result<()> {
    let (data, tmp) = (draft.join("data"), draft.join("tmp"));
    places::make_dir(&data, 0o750)?;
    places::make_dir(&tmp, 0o750)?;
    if installation.bootstrap != Bootstrap::Initialize {
        places::make_dir(&data.join("mysql"), 0o750)?;
    }
    let user = places::service_user(&[&installation.root, draft]);
    if let Some(user) = &user {
        places::give(&data, user)?;
        places::give(&tmp, user)?;
    }
    let (mode, input) = mode_and_input(installation)?;
    let mut words = installation.command();
    words.push("--no-defaults".into());
    words.push(mode.into());
    words.extend(options(installation, &data, &tmp));
    // Without this, a server that is started by root refuses to run.
    let user = user.map_or_else(|| "root".to_owned(), |user| user.name);
    if nix::unistd::Uid::effective().is_root() {
        words.push(format!("--user={user}").into());
    }
    Run::words(&words, INIT_LIMIT)
        .envs(&installation.extra_env)
        .input(input)
        .way_out("the server could not make its first data folder; see the lines above")
        .run()?;
    forget_identity(&data)
}

fn options(installation: &Installation, data: &Path, tmp: &Path) -> Vec<OsString> {
    let version = installation.version;
    let mut options: Vec<OsString> = vec![
        format!("--datadir={}", data.display()).into(),
        format!("--tmpdir={}", tmp.display()).into(),
        format!("--basedir={}", installation.basedir.display()).into(),
        format!("--lc-messages-dir={}", installation.share_dir.display()).into(),
        format!("--plugin-dir={}", installation.plugin_dir.display()).into(),
        "--skip-log-bin".into(),
    ];
    options.extend(size_options(version).into_iter().map(OsString::from));
    if installation.bootstrap == Bootstrap::Initialize {
        options.push("--secure-file-priv=NULL".into());
    }
    options
}

/// How the server is told to make its data folder, and the SQL that it is fed.
fn mode_and_input(installation: &Installation) -> Result<(&'static str, Vec<u8>)> {
    let share = |file: &str| {
        let path = installation.share_dir.join(file);
        fs::read(&path).map_err(Error::file("read", &path))
    };
    let mut sql = Vec::new();
    let files = match installation.bootstrap {
        Bootstrap::Initialize => return Ok(("--initialize-insecure", sql)),
        Bootstrap::MariaDb { prefix } => {
            sql.extend_from_slice(b"create database if not exists mysql;\n");
            sql.extend_from_slice(b"use mysql;\nset @auth_root_socket=NULL;\n");
            ["system_tables", "performance_tables", "system_tables_data"]
                .map(|name| format!("{prefix}{name}.sql"))
                .to_vec()
        }
        Bootstrap::MySql56 => {
            sql.extend_from_slice(b"use mysql;\n");
            ["mysql_system_tables.sql", "mysql_system_tables_data.sql"].map(String::from).to_vec()
        }
    };
    for file in files {
        sql.extend(share(&file)?);
        sql.push(b'\n');
    }
    Ok(("--bootstrap", sql))
}

/// Two servers with one UUID would take each other's transactions for their own.
fn forget_identity(data: &Path) -> Result<()> {
    for file in ["auto.cnf", "mysql_upgrade_history"] {
        match fs::remove_file(data.join(file)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &data.join(file))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Copies a folder and everything in it, with modes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).map_err(Error::file("make", to))?;
    let mode = fs::metadata(from).map_err(Error::file("read", from))?.permissions();
    fs::set_permissions(to, mode).map_err(Error::file("set the mode of", to))?;
    for entry in fs::read_dir(from).map_err(Error::file("read", from))? {
        let entry = entry.map_err(Error::file("read", from))?;
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if old.is_symlink() {
            let target = fs::read_link(&old).map_err(Error::file("read", &old))?;
            symlink(target, &new).map_err(Error::file("link", &new))?;
        } else if old.is_dir() {
            copy(&old, &new)?;
        } else {
            fs::copy(&old, &new).map_err(Error::file("copy", &old))?;
        }
    }
    Ok(())
}
