//! Talks to a manager over its unix socket. It is itself a [`Service`], so that a command does not
//! care whether a manager answers or the command does the work itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use crate::{
    Answer, ApiError, CancelRebuild, CheckReport, ClusterView, ErrorKind, Explanation,
    FailoverOrder, HistoryDetail, HistoryEntry, InjectOrder, Injection, PauseOrder, PurgeOrder,
    PurgeReport, RebuildAnswer, RebuildOrder, RebuildView, RejoinOrder, Rejoining, RestartOrder,
    Restarting, Service, SwitchoverOrder,
};

/// Limit of a question.
const ASK: Duration = Duration::from_secs(30);

/// Limit of an order: operations have limits of their own, a held one has none.
const ORDER: Duration = Duration::from_secs(3600);

/// No answer may be larger.
const LARGEST: usize = 64 << 20;

/// No manager could be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("no manager listens on {}: {source}", .socket.display())]
    NotRunning {
        /// The socket.
        socket: PathBuf,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// The file may not be used.
    #[error("{} may not be used by this user: {source} (run as the manager's user, or as root)", .socket.display())]
    Forbidden {
        /// The socket.
        socket: PathBuf,
        /// The operating system's word.
        source: std::io::Error,
    },
}

/// A manager's socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Sees whether a manager listens there.
    ///
    /// # Errors
    /// If none does, or it may not be asked.
    pub async fn connect(socket: &Path) -> Result<Self, ClientError> {
        match UnixStream::connect(socket).await {
            Ok(_) => Ok(Self { socket: socket.to_owned() }),
            Err(source) if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(ClientError::Forbidden { socket: socket.to_owned(), source })
            }
            Err(source) => Err(ClientError::NotRunning { socket: socket.to_owned(), source }),
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<T, ApiError> {
        let lost = |what: &str, e: &dyn std::fmt::Display| {
            ApiError::new(ErrorKind::Unreachable, format!("the manager {what}: {e}"))
        };
        let exchange = async {
            let stream =
                UnixStream::connect(&self.socket).await.map_err(|e| lost("does not listen", &e))?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream))
                    .await
                    .map_err(|e| lost("does not answer", &e))?;
            let carried = tokio::spawn(connection);
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "primacy")
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body)))
                .map_err(|e| lost("cannot be asked", &e))?;
            let response =
                sender.send_request(request).await.map_err(|e| lost("ended the connection", &e))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST)
                .collect()
                .await
                .map_err(|e| lost("ended the connection", &e))?
                .to_bytes();
            carried.abort();
            if status.is_success() {
                serde_json::from_slice(&body)
                    .map_err(|e| lost("answered in a way that this version does not know", &e))
            } else {
                Err(serde_json::from_slice(&body).unwrap_or_else(|_| {
                    let text = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
                    ApiError::new(ErrorKind::BadRequest, format!("{status}: {text}"))
                }))
            }
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| {
            let text = format!("the manager did not answer within {limit:?}");
            Err(ApiError::new(ErrorKind::Unreachable, text))
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(Method::GET, path, Vec::new(), ASK).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        order: &impl Serialize,
    ) -> Result<T, ApiError> {
        let body = serde_json::to_vec(order)
            .map_err(|e| ApiError::new(ErrorKind::Internal, e.to_string()))?;
        self.call(Method::POST, path, body, ORDER).await
    }
}

/// Names in paths: everything but letters, digits, `-`, `_` and `.` is escaped.
fn escaped(name: &str) -> String {
    name.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[async_trait]
impl Service for Client {
    async fn clusters(&self) -> Result<Vec<ClusterView>, ApiError> {
        self.get("/v1/clusters").await
    }

    async fn cluster(&self, name: &str) -> Result<ClusterView, ApiError> {
        self.get(&format!("/v1/clusters/{}", escaped(name))).await
    }

    async fn explain(&self, name: &str) -> Result<Explanation, ApiError> {
        self.get(&format!("/v1/clusters/{}/explain", escaped(name))).await
    }

    async fn check(&self, name: &str) -> Result<CheckReport, ApiError> {
        self.get(&format!("/v1/clusters/{}/check", escaped(name))).await
    }

    async fn switchover(&self, name: &str, order: SwitchoverOrder) -> Result<Answer, ApiError> {
        self.post(&format!("/v1/clusters/{}/switchover", escaped(name)), &order).await
    }

    async fn failover(&self, name: &str, order: FailoverOrder) -> Result<Answer, ApiError> {
        self.post(&format!("/v1/clusters/{}/failover", escaped(name)), &order).await
    }

    async fn pause(&self, name: &str, order: PauseOrder) -> Result<ClusterView, ApiError> {
        self.post(&format!("/v1/clusters/{}/pause", escaped(name)), &order).await
    }

    async fn resume(&self, name: &str) -> Result<ClusterView, ApiError> {
        self.post(&format!("/v1/clusters/{}/resume", escaped(name)), &()).await
    }

    async fn inject_empty(&self, name: &str, order: InjectOrder) -> Result<Injection, ApiError> {
        self.post(&format!("/v1/clusters/{}/inject-empty", escaped(name)), &order).await
    }

    async fn rebuild(&self, name: &str, order: RebuildOrder) -> Result<RebuildAnswer, ApiError> {
        self.post(&format!("/v1/clusters/{}/rebuild", escaped(name)), &order).await
    }

    async fn rebuilds(&self, name: &str) -> Result<Vec<RebuildView>, ApiError> {
        self.get(&format!("/v1/clusters/{}/rebuilds", escaped(name))).await
    }

    async fn cancel_rebuild(
        &self,
        name: &str,
        order: CancelRebuild,
    ) -> Result<RebuildView, ApiError> {
        self.post(&format!("/v1/clusters/{}/rebuild/cancel", escaped(name)), &order).await
    }

    async fn purge_relay_logs(
        &self,
        name: &str,
        order: PurgeOrder,
    ) -> Result<PurgeReport, ApiError> {
        self.post(&format!("/v1/clusters/{}/purge-relay-logs", escaped(name)), &order).await
    }

    async fn rejoin(&self, name: &str, order: RejoinOrder) -> Result<Rejoining, ApiError> {
        self.post(&format!("/v1/clusters/{}/rejoin", escaped(name)), &order).await
    }

    async fn restart(&self, name: &str, order: RestartOrder) -> Result<Restarting, ApiError> {
        self.post(&format!("/v1/clusters/{}/restart", escaped(name)), &order).await
    }

    async fn history(
        &self,
        cluster: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, ApiError> {
        let filter = cluster.map(|c| format!("&cluster={}", escaped(c))).unwrap_or_default();
        self.get(&format!("/v1/history?limit={limit}{filter}")).await
    }

    async fn operation(&self, id: &str) -> Result<HistoryDetail, ApiError> {
        self.get(&format!("/v1/history/{}", escaped(id))).await
    }
}
