//! The certificate of this side, read again when its files change.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use primacy_certs::{CertError, Identity, Paths, Peer, Role};
use rustls::{ClientConfig, ServerConfig};

/// Settings made of three files. A certificate that was renewed is shown from the next connection
/// on, without a restart.
#[derive(Debug)]
pub struct Credentials {
    paths: Paths,
    serves: &'static [Role],
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    stamp: Stamp,
    own: Peer,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

type Stamp = [Option<SystemTime>; 3];

fn stamp(paths: &Paths) -> Stamp {
    [&paths.certificate, &paths.key, &paths.authority]
        .map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
}

fn read(paths: &Paths, serves: &'static [Role]) -> Result<Current, CertError> {
    let stamp = stamp(paths);
    let identity = Identity::load(paths)?;
    Ok(Current {
        stamp,
        own: identity.own().clone(),
        client: Arc::new(identity.client()?),
        server: Arc::new(identity.server(serves)?),
    })
}

impl Credentials {
    /// Reads the files; holders of the roles in `serves` may connect, if this side listens.
    ///
    /// # Errors
    /// If they cannot be used.
    pub fn load(paths: Paths, serves: &'static [Role]) -> Result<Self, CertError> {
        let current = Mutex::new(read(&paths, serves)?);
        Ok(Self { paths, serves, current })
    }

    /// Reads them again if they have changed; what was read before stays in force if they cannot be
    /// used now. Whether they have changed.
    ///
    /// # Errors
    /// Why the changed files cannot be used.
    pub fn refresh(&self) -> Result<bool, CertError> {
        let now = stamp(&self.paths);
        if self.lock().stamp == now {
            return Ok(false);
        }
        let fresh = read(&self.paths, self.serves)?;
        *self.lock() = fresh;
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What one's own certificate says.
    pub fn own(&self) -> Peer {
        self.lock().own.clone()
    }

    /// For connections that this side opens.
    pub fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.lock().client)
    }

    /// For connections that this side accepts.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.lock().server)
    }
}
