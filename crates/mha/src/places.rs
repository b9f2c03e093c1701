//! Where a manager keeps its status, its flags and its log, as options and configuration say; and of
//! which application a command speaks that only looks after a manager.

use std::path::{Path, PathBuf};

use primacy_manager::load_mha;
use primacy_mha_config::MhaConfig;

use crate::application::ApplicationError;
use crate::given::Given;

/// Where MHA keeps state if nobody says otherwise.
const WORKDIR: &str = "/var/tmp";

/// Where MHA's sites have the files that `--app` names.
const APP_CONF: &str = "/usr/local/masterha/conf";

/// Is read in the place of a global file that is not there.
const NOTHING: &str = "/dev/null";

/// The places of a manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The application.
    pub app: String,
    /// Where status and flag files are.
    pub workdir: PathBuf,
    /// The manager's log; `None`: standard error.
    pub log: Option<PathBuf>,
}

impl Places {
    /// What options say counts more than what the configuration says.
    ///
    /// # Errors
    /// If a relative path cannot be made whole.
    pub fn of(mha: &MhaConfig, given: &Given) -> Result<Self, ApplicationError> {
        let written = mha.defaults.written("manager_workdir");
        let configured = written.and_then(|_| mha.defaults.filled("manager_workdir"));
        let workdir = asked_workdir(given).map(str::to_owned).or(configured);
        let workdir = absolute(Path::new(workdir.as_deref().unwrap_or(WORKDIR)))?;
        let log = option(given, "manager_log").map(str::to_owned);
        let log = log.or_else(|| mha.defaults.filled("manager_log"));
        let log = log.map(|path| absolute(Path::new(&path))).transpose()?;
        Ok(Self { app: mha.app.clone(), workdir, log })
    }

    /// Of the manager that `conf`, or `app` with or without `status_dir`, names.
    ///
    /// # Errors
    /// If none is named, or its configuration is needed and cannot be read.
    pub fn find(given: &Given) -> Result<Self, ApplicationError> {
        let (conf, app) = (option(given, "conf"), option(given, "app"));
        let conf = match (conf, app, asked_workdir(given)) {
            (Some(conf), _, _) => PathBuf::from(conf),
            (None, Some(app), Some(workdir)) => {
                let log = option(given, "manager_log");
                return Ok(Self {
                    app: app.to_owned(),
                    workdir: absolute(Path::new(workdir))?,
                    log: log.map(PathBuf::from),
                });
            }
            (None, Some(app), None) => return Self::of_app(app, given),
            (None, None, _) => return Err(ApplicationError::NoTarget),
        };
        let (mha, _) = read(&conf, given)?;
        Self::of(&mha, given)
    }

    /// Of the application whose file is in MHA's usual folder.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_app(app: &str, given: &Given) -> Result<Self, ApplicationError> {
        let (mha, _) = read(&Path::new(APP_CONF).join(format!("{app}.cnf")), given)?;
        Self::of(&mha, given)
    }
}

/// Reads the configuration, and says what is missing. With MHA the global file need not be there, and
/// then no other one is read.
pub(crate) fn read(
    conf: &Path,
    given: &Given,
) -> Result<(MhaConfig, Option<String>), ApplicationError> {
    let named = given.has("global_conf").then(|| option(given, "global_conf")).flatten();
    match named.map(Path::new) {
        Some(path) if !path.exists() => {
            let missing = format!("Global configuration file {} not found.", path.display());
            Ok((load_mha(conf, Some(Path::new(NOTHING)))?, Some(missing)))
        }
        global => Ok((load_mha(conf, global)?, None)),
    }
}

/// The folder that the command line names.
pub(crate) fn asked_workdir(given: &Given) -> Option<&str> {
    option(given, "manager_workdir").or_else(|| option(given, "status_dir"))
}

/// The text of an option that the command has, if it is not empty.
pub(crate) fn option<'g>(given: &'g Given, name: &str) -> Option<&'g str> {
    let known = given.command().option(name).is_some();
    known.then(|| given.text(name)).flatten().filter(|text| !text.is_empty())
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, ApplicationError> {
    std::path::absolute(path)
        .map_err(|source| ApplicationError::Path { path: path.to_owned(), source })
}
