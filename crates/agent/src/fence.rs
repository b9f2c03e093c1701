//! The fence of a manager: the server is killed and kept down until a manager lets it go, whatever
//! becomes of the agent's process meanwhile.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use primacy_agent_api::{Fault, FaultKind, Fenced, OfServer, Release};
use primacy_host::{HostAccess as _, HostError, LocalHost};
use primacy_plan::lease::Hold;

use crate::routes::{Answer, limit, served};
use crate::served::{Served, fault};
use crate::{Agent, clock};

/// The kill waits no longer for the record: a fence may be wanted because the disk hangs.
const RECORD: Duration = Duration::from_millis(500);

/// Limit of one attempt to keep down what an earlier worker kept down, and of the record when it is let
/// go.
const AGAIN: Duration = Duration::from_secs(2);

type Shared = Arc<Agent>;

pub(crate) async fn fence(
    State(agent): State<Shared>,
    Json(order): Json<OfServer>,
) -> Answer<Fenced> {
    let served = served(&agent, &order.server)?;
    let limit = limit(order.limit);
    let host = served.host_or_former(limit).await?;
    tracing::warn!(server = %served.server, "fenced by a manager");
    let before = served.fence();
    served.fence_is_on_record().await;
    let killed = match host.kill_and_keep_down(limit).await {
        Ok(killed) => killed,
        Err(error) => {
            // Killed, and not gone yet: it stays fenced. After any other error nobody keeps it down.
            if !matches!(error, HostError::StillAlive { .. }) {
                served.state().fenced = before;
                served.fence_is_on_record().await;
            }
            return Err(fault(&error).into());
        }
    };
    served.state().killed = true;
    Ok(Json(Fenced {
        pid: killed.pid,
        was: killed.was,
        restarts_prevented: killed.restarts_prevented.count(),
        unit: killed.unit.map(|unit| (unit.unit, unit.failure)),
    }))
}

pub(crate) async fn release(State(agent): State<Shared>, Json(order): Json<Release>) -> Answer<()> {
    let served = Arc::clone(served(&agent, &order.server)?);
    let host = served.host_or_former(AGAIN).await?;
    // Also if the manager does not wait for it: half of it would be neither.
    let done = tokio::spawn(async move { served.let_go(&host).await }).await;
    done.unwrap_or_else(|failed| Err(Fault::new(FaultKind::Other, failed.to_string())))?;
    Ok(Json(()))
}

impl Served {
    /// From now on it is kept down, and holds no lease that could let it start; gives whether it was
    /// fenced already.
    fn fence(&self) -> bool {
        let mut state = self.state();
        let epoch = state.member.record().epoch;
        state.member.give_back(epoch);
        std::mem::replace(&mut state.fenced, true)
    }

    /// A worker that takes over finds it there. If the disk takes nothing, the guard knows it still.
    async fn fence_is_on_record(&self) {
        if let Err(fault) = self.keep(RECORD).await {
            tracing::error!(server = %self.server, %fault, "the fence is not on record");
        }
    }

    /// It may be started again. If that fails it is fenced as before, and kept down again.
    async fn let_go(&self, host: &LocalHost) -> Result<(), Fault> {
        let _turn = self.fencing.lock().await;
        let before = std::mem::replace(&mut self.state().fenced, false);
        let released = match self.keep(AGAIN).await {
            Ok(()) => host.release().await.map_err(|error| fault(&error)),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = released {
            self.state().fenced = before;
            self.fence_is_on_record().await;
            return Err(fault);
        }
        {
            let mut state = self.state();
            state.killed = false;
            state.let_go += 1;
        }
        tracing::warn!(server = %self.server, "it may be started again");
        Ok(())
    }

    /// Keeps down what a manager fenced, if this process does not do so yet: an earlier worker did.
    pub(crate) async fn keep_down(&self) {
        let _turn = self.fencing.lock().await;
        {
            let state = self.state();
            // It is not held any more where letting it go has failed half way.
            let held = state.host.as_ref().is_some_and(|host| host.keeps_down());
            if !state.fenced || state.killed && held {
                return;
            }
        }
        let down = async {
            let host = self.host_or_former(AGAIN).await?;
            host.kill_and_keep_down(AGAIN).await.map_err(|error| fault(&error))
        };
        match down.await {
            Ok(killed) => {
                let mut state = self.state();
                state.killed = true;
                state.not_down = None;
                tracing::warn!(server = %self.server, pid = ?killed.pid, "kept down: a manager has fenced it");
            }
            Err(fault) => {
                let said = Some(fault.to_string());
                let mut state = self.state();
                if state.not_down != said {
                    tracing::error!(server = %self.server, %fault, "a manager has fenced it, and it is not kept down");
                    state.not_down = said;
                }
            }
        }
    }

    /// A primary is not shut down as replicas are: whoever wants to has looked too long ago.
    pub(crate) fn may_stop(&self) -> Result<(), Fault> {
        let state = self.state();
        let hold = state.member.hold(clock::now());
        let Some(lease) = state.member.lease().filter(|_| hold != Hold::Without) else {
            return Ok(());
        };
        let text = format!(
            "{} holds the lease of epoch {}: it is the primary, and is not shut down",
            self.server, lease.epoch
        );
        Err(Fault::new(FaultKind::Lease, text))
    }

    /// What a manager fenced is not started.
    pub(crate) fn may_start(&self) -> Result<(), Fault> {
        if !self.state().fenced {
            return Ok(());
        }
        let text = format!(
            "{} is kept down: a manager has fenced it, and it may be started when one has let it go",
            self.server
        );
        Err(Fault::new(FaultKind::Other, text))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use primacy_agent_api::{Standing, StandingOrder};
    use primacy_plan::lease::{Ask, HeldLease, LeaseTimes, Voters};
    use primacy_types::{Address, Epoch, Millis};
    use primacy_wire::{ConnectOptions, TlsMode};

    use super::*;
    use crate::ServedOptions;
    use crate::record::RecordFile;

    const EPOCH: Epoch = Epoch(3);

    /// A server as a worker that begins finds it; nobody listens there.
    pub(crate) fn served(folder: &Path, kept: Option<HeldLease>) -> Arc<Served> {
        let server = Address::new("127.0.0.1", 1);
        let login = ConnectOptions {
            address: server.clone(),
            user: "nobody".to_owned(),
            password: "nothing".to_owned().into(),
            tls: TlsMode::Off,
            connect_timeout: AGAIN,
            database: None,
            program: "test".to_owned(),
            unix_socket: None,
        };
        let options = ServedOptions { server, login, start: None };
        let file = RecordFile::open(folder).unwrap();
        let (known, times) = (file.of(&options.server), LeaseTimes::new(Millis::from_secs(60)));
        let record = Arc::new(tokio::sync::Mutex::new(file));
        Arc::new(Served::new(&options, times, record, known, kept))
    }

    /// What the last worker held.
    pub(crate) fn lease() -> Option<HeldLease> {
        let (since, voters) = (clock::now(), Voters::default());
        Some(HeldLease { epoch: EPOCH, since, voters, by_voters: false })
    }

    #[tokio::test]
    async fn a_fence_takes_the_lease_and_the_next_worker_knows_it() {
        let folder = tempfile::tempdir().unwrap();
        let hold = |served: &Served| served.state().member.hold(clock::now());
        let first = served(folder.path(), lease());
        assert_eq!(hold(&first), Hold::Good);
        assert!(!first.fence());
        first.fence_is_on_record().await;
        assert_eq!(hold(&first), Hold::Without);
        // The guard had not heard of it, and hands the lease on.
        let next = served(folder.path(), lease());
        assert_eq!(hold(&next), Hold::Without);
        assert!(next.state().fenced && next.lease_state(Ok(0)).kept_down);
        let error = next.may_start().unwrap_err().to_string();
        assert!(error.contains("kept down"), "{error}");
        assert!(next.may_open(EPOCH).is_err());
        // The manager that fenced it still has it on record as the primary.
        let order = StandingOrder {
            server: next.server.clone(),
            cluster: "c".to_owned(),
            ask: Ask { term: 1, agrees: true },
            epoch: EPOCH,
            standing: Standing::Primary,
            vips: Vec::new(),
            take_over: false,
            agents: std::collections::BTreeMap::new(),
            readers: None,
        };
        assert_eq!(next.stands(&order), Ok(0), "no lease is wanted");
        next.state().fenced = false;
        assert!(next.stands(&order).unwrap() > 0);
    }
    #[tokio::test]
    async fn a_fenced_server_is_kept_down_again_where_letting_it_go_has_failed_half_way() {
        let folder = tempfile::tempdir().unwrap();
        let served = served(folder.path(), None);
        let identity = primacy_host::ServerIdentity::new(served.server.clone());
        let host = Arc::new(LocalHost::expected(&identity, AGAIN).await.unwrap());
        served.state().host = Some(Arc::clone(&host));
        served.fence();
        served.keep_down().await;
        assert!(served.state().killed && host.keeps_down());
        host.release().await.unwrap();
        served.keep_down().await;
        assert!(host.keeps_down());
        served.let_go(&host).await.unwrap();
        served.keep_down().await;
        assert!(!host.keeps_down());
    }

    #[tokio::test]
    async fn one_that_holds_the_lease_is_not_shut_down_as_a_replica() {
        let folder = tempfile::tempdir().unwrap();
        let primary = served(folder.path(), lease());
        let why = primary.may_stop().unwrap_err().to_string();
        assert!(why.contains("holds the lease of epoch 3"), "{why}");
        primary.fence();
        assert!(primary.may_stop().is_ok());
    }

    /// What was decided first is written last: the record of a look waits behind a slow disk.
    #[tokio::test]
    async fn a_record_that_waits_for_the_disk_says_what_is_true_when_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let served = served(folder.path(), None);
        let slow = served.disk().await;
        let looks = Arc::clone(&served);
        let waits = tokio::spawn(async move { looks.keep(AGAIN).await });
        tokio::task::yield_now().await;
        served.fence();
        drop(slow);
        waits.await.unwrap().unwrap();
        assert!(RecordFile::open(folder.path()).unwrap().of(&served.server).fenced);
    }

    /// The beats to the guard go on, and the lease is obeyed.
    #[tokio::test]
    async fn a_disk_that_hangs_holds_up_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let served = served(folder.path(), lease());
        // The record is written into this; whoever opens a pipe waits for its reader.
        let pipe = folder.path().join("agent.new");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        served.fence();
        let fault = served.keep(Duration::from_millis(50)).await.unwrap_err().to_string();
        assert!(fault.contains("the disk took nothing"), "{fault}");
        let _reader = std::fs::File::open(&pipe).unwrap();
    }
}
