//! What somebody gets who may reach an agent's port and should not be answered.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use primacy_agent::{AgentOptions, ServedOptions, work};
use primacy_agent_api::{
    AgentClient, AgentError, Credentials, ExtendOrder, FaultKind, FileOrder, OfServer, WhoAmI,
    paths,
};
use primacy_certs::{Authority, Paths, Request, Role, Validity, write_new};
use primacy_plan::lease::{Extension, Vote};
use primacy_types::{Address, Epoch, Millis};
use primacy_wire::{ConnectOptions, TlsMode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(5);

/// So often does a stranger ask, each time on a connection of its own.
const TIMES: usize = 20;

/// An authority in a folder.
struct Pki {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Pki {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authority, issued) = Authority::create("test", Validity::days(2)).unwrap();
        write_new(folder.path(), "authority", &issued).unwrap();
        Self { folder, authority }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("authority.crt")
    }

    fn issue(&self, role: Role, name: &str, validity: Validity) -> Paths {
        let hosts = vec!["127.0.0.1".to_owned()];
        let request = Request { role, name: name.to_owned(), hosts, validity };
        let issued = self.authority.issue(&request).unwrap();
        let (certificate, key) = write_new(self.folder.path(), name, &issued).unwrap();
        Paths { certificate, key, authority: self.root() }
    }
}

fn client(agent: &Address, paths: Paths) -> AgentClient {
    AgentClient::new(agent.clone(), Arc::new(Credentials::load(paths, &[]).unwrap()))
}

/// The server that the agent looks after; nobody listens there.
fn server() -> Address {
    Address::new("127.0.0.1", 1)
}

/// Runs an agent while something is done with it.
async fn with_agent(pki: &Pki, act: impl AsyncFnOnce(Address)) {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let listen = Address::new("127.0.0.1", port);
    let login = ConnectOptions {
        address: server(),
        user: "nobody".to_owned(),
        password: "nothing".to_owned().into(),
        tls: TlsMode::Off,
        connect_timeout: LIMIT,
        database: None,
        program: "test".to_owned(),
        unix_socket: None,
    };
    let options = AgentOptions {
        listen: listen.clone(),
        certificates: pki.issue(Role::Agent, "agent", Validity::days(1)),
        state_dir: pki.folder.path().join("state"),
        servers: vec![ServedOptions { server: server(), login, start: None }],
        lease: Millis::from_secs(3),
        health: None,
    };
    let (ready, is_ready) = tokio::sync::oneshot::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = work(options, false, || ready.send(()).unwrap(), async { drop(stopped.await) });
    let acted = async {
        is_ready.await.unwrap();
        act(listen).await;
        stop.send(()).unwrap();
    };
    let (ran, ()) = tokio::join!(run, acted);
    ran.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_a_tls_alert_and_nothing_else() {
    let pki = Pki::new();
    let stranger = Pki::new();
    let day = |day| jiff::civil::date(2020, 1, day);
    let past = Validity { from: day(1), until: day(9) };
    let expired = pki.issue(Role::Manager, "expired", past);
    // It believes our authority, so that only the agent refuses.
    let other = stranger.issue(Role::Manager, "other", Validity::days(1));
    let other = Paths { authority: pki.root(), ..other };
    let manager = pki.issue(Role::Manager, "manager", Validity::days(1));
    with_agent(&pki, async |agent| {
        for paths in [expired, other] {
            let stranger = client(&agent, paths);
            // The alert comes before the request is sent, while it is, or when its answer is due.
            for _ in 0..TIMES {
                let asked = stranger.ask::<WhoAmI>(paths::WHO, &(), LIMIT).await.map(drop);
                let streamed = stranger.stream(paths::BACKUP, &(), LIMIT).await.map(drop);
                for error in [asked.unwrap_err(), streamed.unwrap_err()] {
                    assert!(matches!(error, AgentError::Tls { .. }), "{error}");
                    assert!(error.to_string().contains("alert"), "{error}");
                }
            }
        }
        // Without TLS at all: HTTP, and noise.
        for words in [&b"POST /v1/who HTTP/1.1\r\nhost: x\r\n\r\n"[..], &[0; 300], &[0xff; 3]] {
            let mut stream = TcpStream::connect((agent.host(), agent.port())).await.unwrap();
            stream.write_all(words).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            let _reset = stream.read_to_end(&mut answer).await;
            // A TLS alert is of type 21; it says nothing of the agent.
            assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
        }
        let who = client(&agent, manager).ask::<WhoAmI>(paths::WHO, &(), LIMIT).await.unwrap();
        assert_eq!((who.name.as_str(), who.servers.len()), ("agent", 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agents_certificate_asks_for_a_vote_and_nothing_else() {
    let pki = Pki::new();
    let stolen = pki.issue(Role::Agent, "stolen", Validity::days(1));
    with_agent(&pki, async |agent| {
        let thief = client(&agent, stolen);
        let of = OfServer { server: server(), limit: Millis(100) };
        for path in [
            paths::WHO,
            paths::CAPABILITY,
            paths::PROCESS,
            paths::WATCH,
            paths::FENCE,
            paths::RELEASE,
            paths::FILES,
            paths::LENGTH,
            paths::RANGE,
            paths::STANDING,
            paths::GRANT,
            paths::OPEN,
            paths::PROBE,
        ] {
            let error = thief.ask::<serde_json::Value>(path, &of, LIMIT).await.unwrap_err();
            let kind = error.fault().map(|fault| fault.kind);
            assert_eq!(kind, Some(FaultKind::Forbidden), "{path}: {error}");
        }
        let extension = Extension { primary: server(), epoch: Epoch(1), nonce: 1 };
        let order = ExtendOrder { server: server(), cluster: "c".to_owned(), extension };
        let vote = thief.ask::<Vote>(paths::EXTEND, &order, LIMIT).await.unwrap();
        // It has just been started, so it counts as having heard a manager.
        assert_eq!(vote, Vote::ManagerHeard);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_and_the_agent_goes_on() {
    let pki = Pki::new();
    let manager = pki.issue(Role::Manager, "manager", Validity::days(1));
    with_agent(&pki, async |agent| {
        let manager = client(&agent, manager);
        let ask = async |path, body: serde_json::Value| {
            manager.ask::<serde_json::Value>(path, &body, LIMIT).await.unwrap_err()
        };
        for body in [
            serde_json::json!(null),
            serde_json::json!([1, 2]),
            serde_json::json!({ "server": "no address", "limit": -1 }),
            serde_json::json!({ "server": { "host": "127.0.0.1", "port": 1 } }),
            serde_json::json!("x".repeat(300_000)),
        ] {
            let error = ask(paths::CAPABILITY, body).await;
            assert!(error.fault().is_some(), "{error}");
        }
        // What is too large is not read to its end, so that connection carries nothing more; TCP may
        // drop the words of the refusal with what was not read.
        for _ in 0..10 {
            let error = ask(paths::CAPABILITY, serde_json::json!("x".repeat(3_000_000))).await;
            let words = error.fault().map(|fault| fault.text.as_str());
            let cut = matches!(error, AgentError::Unreached { .. });
            assert!(cut || words.is_some_and(|words| words.contains("413")), "{error}");
            manager.ask::<WhoAmI>(paths::WHO, &(), LIMIT).await.unwrap();
        }
        let error = ask("/v2/nothing", serde_json::json!(null)).await;
        assert_eq!(error.fault().map(|fault| fault.kind), Some(FaultKind::Forbidden), "{error}");
        let unknown = OfServer { server: Address::new("other", 3306), limit: Millis(100) };
        let asked = manager.ask::<serde_json::Value>(paths::PROCESS, &unknown, LIMIT).await;
        let error = asked.unwrap_err();
        assert_eq!(error.fault().map(|fault| fault.kind), Some(FaultKind::UnknownServer));
        let file = FileOrder { server: server(), path: "/etc/passwd".into(), limit: Millis(1000) };
        let error = manager.ask::<u64>(paths::LENGTH, &file, LIMIT).await.unwrap_err();
        assert_eq!(error.fault().map(|fault| fault.kind), Some(FaultKind::NotALog), "{error}");
        assert!(manager.ask::<WhoAmI>(paths::WHO, &(), LIMIT).await.is_ok());
    })
    .await;
}
