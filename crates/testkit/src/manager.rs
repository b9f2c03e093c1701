//! The program `primacy`, run as a process of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use primacy_api::{
    Answer, ApiError, CheckReport, Client, ClusterView, Explanation, FailoverOrder, HistoryDetail,
    HistoryEntry, PauseOrder, PurgeOrder, PurgeReport, Service, SwitchoverOrder,
};
use primacy_plan::{Diagnosis, OperationKind};
use primacy_store::Outcome;
use primacy_types::Address;

use crate::logs::{OF_OTHERS, show};
use crate::{Cluster, eventually, must, until};

/// How long a manager may take to see that all is well.
const READY: Duration = Duration::from_secs(60);

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// A running manager; killed when dropped. The end of its log is shown when the test fails, and
/// always with `PRIMACY_TEST_LOGS` in the environment.
#[derive(Debug)]
pub struct Manager {
    child: Child,
    log: PathBuf,
    socket: PathBuf,
    cluster: String,
}

impl Manager {
    /// Starts a manager of this cluster and waits until it is ready to act.
    pub async fn start(program: &str, cluster: &Cluster) -> Self {
        let mut manager = Self::spawn(program, cluster, &[]);
        manager.is_ready().await;
        manager
    }

    /// Starts a manager with these variables in its environment, and does not wait.
    pub fn spawn(program: &str, cluster: &Cluster, env: &[(&str, &str)]) -> Self {
        Self::run(Command::new(program), cluster, cluster.config(), env)
    }

    /// Starts a manager in a network namespace, and does not wait.
    pub fn spawn_in(program: &str, cluster: &Cluster, namespace: &str) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, program]);
        Self::run(command, cluster, cluster.config(), &[])
    }

    /// Starts a manager of this cluster with another configuration file, and does not wait.
    pub fn spawn_with(program: &str, cluster: &Cluster, config: &Path) -> Self {
        Self::run(Command::new(program), cluster, config, &[])
    }

    fn run(mut command: Command, cluster: &Cluster, config: &Path, env: &[(&str, &str)]) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = cluster.place().join(format!("manager-{number}.log"));
        let file = must(File::create(&log), "making the manager's log");
        let both = must(file.try_clone(), "making the manager's log");
        let child = command
            .args([
                "manager",
                "--log-format",
                "human",
                "--log-level",
                "debug,rustls=info,tokio_rustls=info,hyper=info",
                "--config",
            ])
            .arg(config)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(both)
            .stderr(file)
            .spawn();
        Self {
            child: must(child, "starting the manager"),
            log,
            socket: cluster.socket(),
            cluster: cluster.name().to_owned(),
        }
    }

    /// Waits until the manager says that all is well, knows how to fence what it may fence, and
    /// holds the lock.
    pub async fn is_ready(&mut self) {
        let what = "the manager says that all is well";
        let end = tokio::time::Instant::now() + READY;
        let mut last = String::new();
        while tokio::time::Instant::now() < end {
            if let Some(status) = must(self.child.try_wait(), "looking at the manager") {
                panic!("the manager ended with {status} before it was ready:\n{}", self.log());
            }
            match self.try_explain().await {
                Ok(seen) => {
                    let fenceable = seen.snapshot.servers.values().all(|server| {
                        let policy = seen.snapshot.policy.server(&server.address);
                        policy.host_access == primacy_types::HostAccessKind::None
                            || !server.fences.is_empty()
                    });
                    let healthy = matches!(seen.diagnosis, Diagnosis::Healthy { .. });
                    let recorded = seen.snapshot.primary.is_some();
                    if healthy && recorded && fenceable && seen.lock.permits(&self.cluster).is_ok()
                    {
                        return;
                    }
                    last = seen.diagnosis.sentence();
                }
                Err(error) => last = error,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not within {READY:?}: {what}; at last: {last}\n{}", self.log());
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has logged.
    pub fn log(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Kills it, as a crash would.
    pub fn kill9(&mut self) {
        must(self.child.kill(), "killing the manager");
        must(self.child.wait(), "waiting for the manager's end");
    }

    /// Asks it to end and waits until it has.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.wait_exit(Duration::from_secs(40)).await
    }

    /// Has it read its configuration again.
    pub fn reload(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let process = primacy_sandbox::process::Identity::of(self.pid());
        let sent = process.map(|process| process.signal(signal));
        assert!(matches!(sent, Some(Ok(true))), "the manager could not be signalled: {sent:?}");
    }

    /// Waits until it has ended by itself.
    pub async fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        until(limit, "the manager ends", async || {
            must(self.child.try_wait(), "looking at the manager")
        })
        .await
    }

    /// Waits until it takes connections. The file of its socket says nothing: it is there an
    /// instant before anybody listens on it.
    pub async fn listens(&self) {
        eventually(READY, "the manager listens", async || {
            Client::connect(&self.socket).await.is_ok()
        })
        .await;
    }

    /// The way to it, if it listens.
    pub async fn client(&self) -> Client {
        must(Client::connect(&self.socket).await, "asking the manager")
    }

    /// What it believes, and why.
    pub async fn explain(&self) -> Explanation {
        must(self.try_explain().await, "asking the manager")
    }

    async fn try_explain(&self) -> Result<Explanation, String> {
        let client = Client::connect(&self.socket).await.map_err(|error| error.to_string())?;
        client.explain(&self.cluster).await.map_err(|error| error.to_string())
    }

    /// What it shows of the cluster.
    pub async fn view(&self) -> ClusterView {
        must(self.client().await.cluster(&self.cluster).await, "asking the manager")
    }

    /// What it finds to be risky.
    pub async fn check(&self) -> CheckReport {
        must(self.client().await.check(&self.cluster).await, "asking the manager")
    }

    /// Waits until the manager's diagnosis is the one that `is_it` knows.
    pub async fn diagnoses(&self, what: &str, mut is_it: impl FnMut(&Diagnosis) -> bool) {
        let mut last = String::new();
        let end = tokio::time::Instant::now() + READY;
        while tokio::time::Instant::now() < end {
            let diagnosis = self.explain().await.diagnosis;
            if is_it(&diagnosis) {
                return;
            }
            last = format!("{diagnosis:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not within {READY:?}: {what}; at last: {last}");
    }

    /// Waits until the manager has looked so often in vain at a server that a silent one would
    /// count as dead, and once more.
    pub async fn has_looked_in_vain(&self, server: &Address) {
        let what = format!("the manager has looked in vain at {server} for long enough");
        eventually(READY, &what, async || {
            let snapshot = self.explain().await.snapshot;
            let enough = snapshot.policy.timing.ping_failures + 2;
            match snapshot.server(server).map(|server| &server.contact) {
                Some(primacy_types::Contact::Failing { failures, .. }) => *failures >= enough,
                _ => false,
            }
        })
        .await;
    }

    /// Waits until the manager has looked at a server twice more: it knows what was there when
    /// this was called.
    pub async fn has_looked_again(&self, server: &Address) {
        let looked_at = async || {
            let snapshot = self.explain().await.snapshot;
            snapshot.server(server).and_then(|seen| seen.facts_at)
        };
        for _ in 0..2 {
            let before = looked_at().await;
            eventually(READY, "the manager looks again", async || looked_at().await > before).await;
        }
    }

    /// Moves the role to the best server, or to this one.
    pub async fn try_switchover(&self, to: Option<Address>) -> Result<Answer, ApiError> {
        let order = SwitchoverOrder { to, ..SwitchoverOrder::default() };
        self.client().await.switchover(&self.cluster, order).await
    }

    /// Asks what a switchover would do.
    pub async fn dry_switchover(&self) -> Result<Answer, ApiError> {
        let order = SwitchoverOrder { dry_run: true, ..SwitchoverOrder::default() };
        self.client().await.switchover(&self.cluster, order).await
    }

    /// Moves the role and returns who has it now.
    pub async fn switchover(&self, to: Option<Address>) -> Address {
        match self.try_switchover(to).await {
            Ok(Answer::Done { report }) => {
                assert_eq!(report.left, Vec::<String>::new(), "something was left undone");
                report.primary
            }
            other => panic!("the switchover was not done: {other:?}"),
        }
    }

    /// Replaces a dead primary.
    pub async fn try_failover(&self, order: FailoverOrder) -> Result<Answer, ApiError> {
        self.client().await.failover(&self.cluster, order).await
    }

    /// Stops automatic actions.
    pub async fn pause(&self) {
        let order = PauseOrder::default();
        must(self.client().await.pause(&self.cluster, order).await, "pausing");
    }

    /// Goes on with automatic actions.
    pub async fn resume(&self) {
        must(self.client().await.resume(&self.cluster).await, "resuming");
    }

    /// Purges relay logs.
    ///
    /// # Errors
    /// As the manager answers.
    pub async fn purge_relay_logs(&self, order: PurgeOrder) -> Result<PurgeReport, ApiError> {
        self.client().await.purge_relay_logs(&self.cluster, order).await
    }

    /// All operations, the newest first.
    pub async fn history(&self) -> Vec<HistoryEntry> {
        let client = self.client().await;
        must(client.history(Some(&self.cluster), 1000).await, "reading the history")
    }

    /// One operation with everything that is known of it.
    pub async fn operation(&self, id: &str) -> HistoryDetail {
        must(self.client().await.operation(id).await, "reading the history")
    }

    /// Waits until an operation of this kind has ended well and the newest one is finished;
    /// returns the new primary.
    pub async fn has_done(&self, kind: OperationKind, limit: Duration) -> Address {
        let what = format!("a {kind} is done");
        until(limit, &what, async || {
            let newest = self.history().await.into_iter().next()?;
            let done = newest.kind == kind.word() && newest.outcome == Some(Outcome::Done);
            if done { self.view().await.primary } else { None }
        })
        .await
    }

    /// Ends the test if anything was ever begun on the cluster.
    pub async fn has_done_nothing(&self) {
        let history = self.history().await;
        assert!(history.is_empty(), "nothing should have been done: {history:?}");
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
        if std::thread::panicking() || std::env::var_os("PRIMACY_TEST_LOGS").is_some() {
            show(&self.log, OF_OTHERS);
        }
    }
}
