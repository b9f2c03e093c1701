//! Sending applications to the primary: held during a switch, routed at an epoch, released.
//!
//! Today's implementation publishes the route inside the process; a proxy in the same process
//! follows it, proxies elsewhere get it by leases later.

use async_trait::async_trait;
use primacy_types::{Address, Epoch};
use tokio::sync::watch;

/// Where applications of a cluster are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Route {
    /// The primary, once one was routed.
    pub primary: Option<Address>,
    /// Its reign.
    pub epoch: Epoch,
    /// Writes wait.
    pub held: bool,
}

/// Why a route was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("applications are routed at epoch {current} already; epoch {asked} is over")]
pub struct RouteError {
    /// What was asked for.
    pub asked: Epoch,
    /// What is in force.
    pub current: Epoch,
}

/// Whoever carries applications to the primary.
#[async_trait]
pub trait Router: Send + Sync {
    /// Writes wait from now on.
    async fn hold(&self);

    /// Applications go to `primary`; refused if a later epoch is routed already.
    ///
    /// # Errors
    /// If `epoch` is over.
    async fn route(&self, primary: &Address, epoch: Epoch) -> Result<(), RouteError>;

    /// Writes no longer wait; they go where they went before [`Router::hold`].
    async fn release(&self);
}

/// Publishes the route inside this process.
#[derive(Debug)]
pub struct LocalRouter {
    sender: watch::Sender<Route>,
}

impl Default for LocalRouter {
    fn default() -> Self {
        Self { sender: watch::Sender::new(Route::default()) }
    }
}

impl LocalRouter {
    /// Follows the route.
    pub fn subscribe(&self) -> watch::Receiver<Route> {
        self.sender.subscribe()
    }
}

#[async_trait]
impl Router for LocalRouter {
    async fn hold(&self) {
        self.sender.send_modify(|route| route.held = true);
    }

    async fn route(&self, primary: &Address, epoch: Epoch) -> Result<(), RouteError> {
        let mut refused = None;
        self.sender.send_if_modified(|route| {
            if epoch < route.epoch {
                refused = Some(RouteError { asked: epoch, current: route.epoch });
                return false;
            }
            *route = Route { primary: Some(primary.clone()), epoch, held: false };
            true
        });
        refused.map_or(Ok(()), Err)
    }

    async fn release(&self) {
        self.sender.send_modify(|route| route.held = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn applications_are_never_sent_back_to_an_older_reign() {
        let router = LocalRouter::default();
        router.hold().await;
        let (a, b) = (Address::new("a", 1), Address::new("b", 1));
        router.route(&b, Epoch(2)).await.unwrap();
        assert!(router.route(&a, Epoch(1)).await.is_err());
        let route = router.subscribe().borrow().clone();
        assert_eq!(route, Route { primary: Some(b), epoch: Epoch(2), held: false });
    }
}
