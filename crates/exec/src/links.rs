//! Warm control connections, one per server: nothing is dialled during a failover that could have
//! been dialled before it.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use primacy_probe::Dialect;
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session, WireError};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Slot = Arc<AsyncMutex<Option<Session>>>;

/// The control connections of a cluster.
#[derive(Debug)]
pub struct Links {
    template: ConnectOptions,
    slots: Mutex<BTreeMap<Address, Slot>>,
}

/// A control connection in use; given back when dropped.
#[derive(Debug)]
pub struct Link {
    slot: OwnedMutexGuard<Option<Session>>,
    dialect: Dialect,
}

impl Links {
    /// Connections made like this one, but to the address asked for.
    pub fn new(template: ConnectOptions) -> Self {
        Self { template, slots: Mutex::default() }
    }

    /// How to connect to a server.
    pub fn options(&self, server: &Address) -> ConnectOptions {
        ConnectOptions { address: server.clone(), ..self.template.clone() }
    }

    /// The control connection to a server, made now if there is none or the last one broke.
    ///
    /// # Errors
    /// If another step keeps it for longer than `limit`, or the connection cannot be made.
    pub async fn to(&self, server: &Address, limit: Duration) -> Result<Link, WireError> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(server.clone()).or_default())
        };
        let mut slot = tokio::time::timeout(limit, slot.lock_owned()).await.map_err(|_| {
            WireError::Timeout {
                address: server.clone(),
                what: "waiting for the control connection".into(),
                limit,
            }
        })?;
        if slot.as_ref().is_none_or(Session::is_broken) {
            *slot = None;
            let mut options = self.options(server);
            options.connect_timeout = options.connect_timeout.min(limit);
            *slot = Some(Session::connect(&options).await?);
        }
        let version = slot.as_ref().map(Session::version);
        let dialect = version
            .map(Dialect::of)
            .ok_or_else(|| WireError::Broken { address: server.clone() })?;
        Ok(Link { slot, dialect })
    }

    /// Sees to it that the connection to a server is there and answers; a broken one is replaced.
    ///
    /// # Errors
    /// What the server or the network answered.
    pub async fn warm(&self, server: &Address, limit: Duration) -> Result<(), WireError> {
        let mut link = self.to(server, limit).await?;
        link.ping(limit).await
    }
}

impl Link {
    /// The statements that this server speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Closes the connection after use: for one whose session settings were changed.
    pub fn discard(mut self) {
        *self.slot = None;
    }
}

impl Deref for Link {
    type Target = Session;

    #[expect(clippy::expect_used, reason = "`Links::to` fills the slot before it makes a Link")]
    fn deref(&self) -> &Session {
        self.slot.as_ref().expect("a link has a session")
    }
}

impl DerefMut for Link {
    #[expect(clippy::expect_used, reason = "`Links::to` fills the slot before it makes a Link")]
    fn deref_mut(&mut self) -> &mut Session {
        self.slot.as_mut().expect("a link has a session")
    }
}
