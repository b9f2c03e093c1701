//! An application of MHA as a command finds it: its configuration read as MHA reads it, the same as
//! a native one, where its state and its log are, and the one engine in this process on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use primacy_config::{ClusterConfig, Config, ConfigErrors};
use primacy_dcs::Holder;
use primacy_manager::{Engine, ManagerError, Standalone, secret, tls_mode};
use primacy_mha_config::{Block, MhaConfig, cluster_name, to_native};
use primacy_types::{Address, Leaves};
use primacy_wire::ConnectOptions;
use secrecy::SecretString;

use crate::given::Given;
use crate::locks::FailoverLocks;
use crate::places::{self, Places, absolute, asked_workdir};

/// Why an application cannot be worked with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplicationError {
    /// The command line names no configuration.
    #[error("--conf=<application configuration file> must be given")]
    NoConf,
    /// The command line names no application.
    #[error("--conf=<application configuration file> or --app=<application> must be given")]
    NoTarget,
    /// The configuration or its files.
    #[error(transparent)]
    Manager(#[from] ManagerError),
    /// What it says cannot be one native cluster.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// A path that is none.
    #[error("the path {} cannot be resolved: {source}", .path.display())]
    Path {
        /// The path as it was given.
        path: PathBuf,
        /// The operating system's word.
        source: std::io::Error,
    },
}

/// An application of MHA.
pub struct Application {
    /// Its name: that of its file without the last extension.
    pub name: String,
    /// What its cluster is called natively.
    pub cluster: String,
    /// Its file, as it was named.
    pub conf: PathBuf,
    /// What the file says.
    pub mha: MhaConfig,
    /// The same as the engine understands it.
    pub config: Config,
    /// What deserves to be said of the file, in sentences.
    pub notices: Vec<String>,
    /// Where status and flag files are.
    pub workdir: PathBuf,
    /// The manager's log; `None`: standard error.
    pub log: Option<PathBuf>,
}

impl Application {
    /// Reads the configuration that the options `conf` and `global_conf` name; `manager_workdir` and
    /// `manager_log` count more than what it says.
    ///
    /// # Errors
    /// If it is not named, cannot be read or is wrong.
    pub fn load(given: &Given) -> Result<Self, ApplicationError> {
        let conf = given.text("conf").filter(|path| !path.is_empty());
        let conf = PathBuf::from(conf.ok_or(ApplicationError::NoConf)?);
        Self::of(&conf, given)
    }

    /// The same with a configuration that is found in another way.
    ///
    /// # Errors
    /// If it cannot be read or is wrong.
    pub fn of(conf: &Path, given: &Given) -> Result<Self, ApplicationError> {
        let (mha, missing) = places::read(conf, given)?;
        let native = to_native(&mha)?;
        let said = native.notices.iter().map(ToString::to_string);
        let notices = missing.into_iter().chain(said).collect();
        let whole = absolute(conf)?;
        let folder = whole.parent().unwrap_or_else(|| Path::new("/")).to_owned();
        let mut config = native.config.resolved(&folder);
        let cluster = cluster_name(&mha.app);
        let Places { workdir, log, .. } = Places::of(&mha, given)?;
        if asked_workdir(given).is_some() {
            // As where the file names it: a folder that is called like the application is its own.
            let own = workdir.file_name().is_some_and(|name| *name == *cluster);
            config.manager.state_dir = if own { workdir.clone() } else { workdir.join(&cluster) };
        }
        Ok(Self {
            name: mha.app.clone(),
            cluster,
            conf: conf.to_owned(),
            mha,
            config,
            notices,
            workdir,
            log,
        })
    }

    /// Its next failover leaves this for a person to do.
    pub(crate) fn leave(&mut self, leaves: Leaves) {
        for cluster in self.config.clusters.values_mut() {
            cluster.policy.leaves = leaves;
        }
    }

    /// Its cluster in the native configuration.
    pub fn native(&self) -> Option<&ClusterConfig> {
        self.config.clusters.values().next()
    }

    /// The block of a server.
    pub fn block(&self, server: &Address) -> Option<&Block> {
        let same = |block: &&Block| Address::new(block.host(), block.port()) == *server;
        self.mha.servers.iter().find(same)
    }

    /// A server as MHA's lines name it: `host(ip:port)`. Where the file has no `ip`, the name stands
    /// twice: nothing is resolved only to be printed.
    pub fn shown(&self, server: &Address) -> String {
        match self.block(server) {
            Some(block) => format!("{}({}:{})", block.hostname(), block.host(), block.port()),
            None => format!("{}({server})", server.host()),
        }
    }

    /// The name of a server's host in the file.
    pub fn host(&self, server: &Address) -> String {
        self.block(server).map_or_else(|| server.host().to_owned(), Block::hostname)
    }

    /// The servers in MHA's order.
    pub fn servers(&self) -> Vec<Address> {
        self.mha.servers.iter().map(|block| Address::new(block.host(), block.port())).collect()
    }

    /// The passwords that must not be shown.
    pub fn secrets(&self) -> Vec<SecretString> {
        let blocks = std::iter::once(&self.mha.defaults).chain(&self.mha.servers);
        let names = ["password", "repl_password"];
        blocks.flat_map(|block| names.into_iter().filter_map(|n| block.secret(n))).collect()
    }

    /// Starts the engine on it: it watches, and acts by itself; before a failover it takes the locks
    /// that MHA takes. A primary that is already known by MHA's rules is put on record before.
    ///
    /// # Errors
    /// If it cannot start, or another manager holds the cluster's lock.
    pub async fn start(&self, primary: Option<&Address>) -> Result<Engine, ManagerError> {
        let locks = FailoverLocks::of(self)?;
        let mut engine = Engine::prepare(&self.config, &self.conf, Some(Arc::new(locks))).await?;
        if let Some(primary) = primary {
            engine.know_primary(&self.cluster, primary).await?;
        }
        engine.begin(&self.config).await?;
        Ok(engine)
    }

    /// Opens it for a look, or for one order that is given by hand; nothing is done by itself.
    ///
    /// # Errors
    /// If the history cannot be opened.
    pub async fn open(&self) -> Result<Standalone, ManagerError> {
        Standalone::of(self.config.clone(), &self.conf, Some(&self.cluster)).await
    }

    /// How to connect to a server with the manager's account.
    ///
    /// # Errors
    /// If its password cannot be read.
    pub fn connect(&self, server: &Address) -> Result<Option<ConnectOptions>, ManagerError> {
        let Some(cluster) = self.native() else { return Ok(None) };
        Ok(Some(ConnectOptions {
            address: server.clone(),
            user: cluster.accounts.manager.user.clone(),
            password: secret(&cluster.accounts.manager)?,
            tls: tls_mode(&cluster.tls),
            connect_timeout: cluster.policy.timing.connect_timeout.as_duration(),
            database: None,
            program: "primacy".to_owned(),
            unix_socket: None,
        }))
    }

    /// Who this process is, for those who look for the holder of a lock.
    pub fn holder(&self) -> Holder {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Holder { name: self.name.clone(), host, pid: std::process::id() }
    }
}
