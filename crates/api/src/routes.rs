//! The HTTP routes and the trait behind them.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use crate::{
    Answer, ApiError, CancelRebuild, CheckReport, ClusterView, ErrorKind, Explanation,
    FailoverOrder, HistoryDetail, HistoryEntry, InjectOrder, Injection, PauseOrder, PurgeOrder,
    PurgeReport, RebuildAnswer, RebuildOrder, RebuildView, RejoinOrder, Rejoining, RestartOrder,
    Restarting, SwitchoverOrder,
};

/// Whoever answers: a manager, or a command that works without one.
#[async_trait]
pub trait Service: Send + Sync + 'static {
    /// All clusters.
    async fn clusters(&self) -> Result<Vec<ClusterView>, ApiError>;
    /// One cluster.
    async fn cluster(&self, name: &str) -> Result<ClusterView, ApiError>;
    /// Why the manager does what it does.
    async fn explain(&self, name: &str) -> Result<Explanation, ApiError>;
    /// What stands against a failover or switchover.
    async fn check(&self, name: &str) -> Result<CheckReport, ApiError>;
    /// Moves the role.
    async fn switchover(&self, name: &str, order: SwitchoverOrder) -> Result<Answer, ApiError>;
    /// Replaces a dead primary.
    async fn failover(&self, name: &str, order: FailoverOrder) -> Result<Answer, ApiError>;
    /// Pauses automatic actions.
    async fn pause(&self, name: &str, order: PauseOrder) -> Result<ClusterView, ApiError>;
    /// Ends the pause, and the block after a failover.
    async fn resume(&self, name: &str) -> Result<ClusterView, ApiError>;
    /// Commits empty transactions in the place of errant ones.
    async fn inject_empty(&self, name: &str, order: InjectOrder) -> Result<Injection, ApiError>;
    /// Begins to build a server's data anew; its progress is asked for.
    async fn rebuild(&self, name: &str, order: RebuildOrder) -> Result<RebuildAnswer, ApiError>;
    /// Rebuilds under way, and those that ended since the manager was started.
    async fn rebuilds(&self, name: &str) -> Result<Vec<RebuildView>, ApiError>;
    /// Ends a rebuild before its data is put in place.
    async fn cancel_rebuild(
        &self,
        name: &str,
        order: CancelRebuild,
    ) -> Result<RebuildView, ApiError>;
    /// Removes relay logs that are applied and that nobody may need any more.
    async fn purge_relay_logs(
        &self,
        name: &str,
        order: PurgeOrder,
    ) -> Result<PurgeReport, ApiError>;
    /// Makes a server that is back a replica.
    async fn rejoin(&self, name: &str, order: RejoinOrder) -> Result<Rejoining, ApiError>;
    /// Restarts a replica.
    async fn restart(&self, name: &str, order: RestartOrder) -> Result<Restarting, ApiError>;
    /// Operations, the newest first.
    async fn history(
        &self,
        cluster: Option<&str>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, ApiError>;
    /// One operation; any unique beginning of its id will do.
    async fn operation(&self, id: &str) -> Result<HistoryDetail, ApiError>;
}

type Shared = Arc<dyn Service>;

/// The routes of version 1.
pub fn router(service: Shared) -> Router {
    Router::new()
        .route("/v1/clusters", get(clusters))
        .route("/v1/clusters/{name}", get(cluster))
        .route("/v1/clusters/{name}/explain", get(explain))
        .route("/v1/clusters/{name}/check", get(check))
        .route("/v1/clusters/{name}/switchover", post(switchover))
        .route("/v1/clusters/{name}/failover", post(failover))
        .route("/v1/clusters/{name}/pause", post(pause))
        .route("/v1/clusters/{name}/resume", post(resume))
        .route("/v1/clusters/{name}/inject-empty", post(inject_empty))
        .route("/v1/clusters/{name}/rebuild", post(rebuild))
        .route("/v1/clusters/{name}/rebuilds", get(rebuilds))
        .route("/v1/clusters/{name}/rebuild/cancel", post(cancel_rebuild))
        .route("/v1/clusters/{name}/purge-relay-logs", post(purge_relay_logs))
        .route("/v1/clusters/{name}/rejoin", post(rejoin))
        .route("/v1/clusters/{name}/restart", post(restart))
        .route("/v1/history", get(history))
        .route("/v1/history/{id}", get(operation))
        .with_state(service)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = match self.kind {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Refused => StatusCode::CONFLICT,
            ErrorKind::Busy => StatusCode::LOCKED,
            ErrorKind::BadRequest => StatusCode::BAD_REQUEST,
            ErrorKind::BackedOut
            | ErrorKind::Failed
            | ErrorKind::Unreachable
            | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(self)).into_response()
    }
}

type Result2<T> = Result<Json<T>, ApiError>;

fn json<T: Serialize>(result: Result<T, ApiError>) -> Result2<T> {
    result.map(Json)
}

async fn clusters(State(service): State<Shared>) -> Result2<Vec<ClusterView>> {
    json(service.clusters().await)
}

async fn cluster(State(service): State<Shared>, Path(name): Path<String>) -> Result2<ClusterView> {
    json(service.cluster(&name).await)
}

async fn explain(State(service): State<Shared>, Path(name): Path<String>) -> Result2<Explanation> {
    json(service.explain(&name).await)
}

async fn check(State(service): State<Shared>, Path(name): Path<String>) -> Result2<CheckReport> {
    json(service.check(&name).await)
}

async fn switchover(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<SwitchoverOrder>,
) -> Result2<Answer> {
    json(service.switchover(&name, order).await)
}

async fn failover(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<FailoverOrder>,
) -> Result2<Answer> {
    json(service.failover(&name, order).await)
}

async fn pause(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<PauseOrder>,
) -> Result2<ClusterView> {
    json(service.pause(&name, order).await)
}

async fn resume(State(service): State<Shared>, Path(name): Path<String>) -> Result2<ClusterView> {
    json(service.resume(&name).await)
}

async fn inject_empty(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<InjectOrder>,
) -> Result2<Injection> {
    json(service.inject_empty(&name, order).await)
}

async fn rebuild(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<RebuildOrder>,
) -> Result2<RebuildAnswer> {
    json(service.rebuild(&name, order).await)
}

async fn rebuilds(
    State(service): State<Shared>,
    Path(name): Path<String>,
) -> Result2<Vec<RebuildView>> {
    json(service.rebuilds(&name).await)
}

async fn cancel_rebuild(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<CancelRebuild>,
) -> Result2<RebuildView> {
    json(service.cancel_rebuild(&name, order).await)
}

async fn purge_relay_logs(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<PurgeOrder>,
) -> Result2<PurgeReport> {
    json(service.purge_relay_logs(&name, order).await)
}

async fn rejoin(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<RejoinOrder>,
) -> Result2<Rejoining> {
    json(service.rejoin(&name, order).await)
}

async fn restart(
    State(service): State<Shared>,
    Path(name): Path<String>,
    Json(order): Json<RestartOrder>,
) -> Result2<Restarting> {
    json(service.restart(&name, order).await)
}

/// Query of `/v1/history`.
#[derive(Debug, Deserialize)]
struct HistoryQuery {
    cluster: Option<String>,
    limit: Option<usize>,
}

async fn history(
    State(service): State<Shared>,
    Query(query): Query<HistoryQuery>,
) -> Result2<Vec<HistoryEntry>> {
    let limit = query.limit.unwrap_or(50).min(1000);
    json(service.history(query.cluster.as_deref(), limit).await)
}

async fn operation(
    State(service): State<Shared>,
    Path(id): Path<String>,
) -> Result2<HistoryDetail> {
    json(service.operation(&id).await)
}
