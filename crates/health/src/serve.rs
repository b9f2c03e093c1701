//! Answering strangers within limits: one request a connection, and a connection that is short.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::limits::{HEADERS, LARGEST_HEAD};
use crate::{Answer, BadQuestion, Limits, Question};

/// Pause after a connection could not be accepted.
const AGAIN: Duration = Duration::from_millis(50);

/// Whoever knows the answers.
#[async_trait]
pub trait Respond: Send + Sync + 'static {
    /// The answer to a question.
    ///
    /// # Errors
    /// If the question cannot be answered as it is: it names a server that is not looked after, or
    /// none where there are several.
    async fn answer(&self, question: &Question) -> Result<Answer, BadQuestion>;
}

/// Answers for as long as the task lives.
pub async fn serve(listener: TcpListener, respond: Arc<dyn Respond>, limits: Limits) {
    let room = Room::new(limits);
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or a connection that was gone before it was accepted.
                tracing::warn!(%error, "a connection to the health address was not accepted");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        let Some(place) = room.enter(from.ip()) else {
            tracing::debug!(%from, "too many connections to the health address: closed unread");
            continue;
        };
        let respond = Arc::clone(&respond);
        tokio::spawn(async move {
            let whole = connection(stream, respond, limits);
            if tokio::time::timeout(limits.connection, whole).await.is_err() {
                tracing::debug!(%from, "a connection to the health address lasted too long");
            }
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, respond: Arc<dyn Respond>, limits: Limits) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection to the health address is gone");
        return;
    }
    let service = service_fn(|request: Request<Incoming>| {
        let respond = Arc::clone(&respond);
        async move { Ok::<_, Infallible>(exchange(&request, respond.as_ref(), limits.answer).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.connection)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the health address ended");
    }
}

async fn exchange(
    request: &Request<Incoming>,
    respond: &dyn Respond,
    limit: Duration,
) -> Response<Full<Bytes>> {
    if ![Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        let answer = Answer::no("only GET, HEAD and OPTIONS are answered here");
        let mut response = written(StatusCode::METHOD_NOT_ALLOWED, &answer);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
        return response;
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let said = match Question::parse(target) {
        Ok(question) => tokio::time::timeout(limit, respond.answer(&question))
            .await
            .unwrap_or_else(|_| Ok(Answer::no(format!("no answer was found within {limit:?}")))),
        Err(bad) => Err(bad),
    };
    match said {
        Ok(answer) if answer.ok => written(StatusCode::OK, &answer),
        Ok(answer) => written(StatusCode::SERVICE_UNAVAILABLE, &answer),
        Err(bad) => {
            let status = match bad {
                BadQuestion::UnknownPath => StatusCode::NOT_FOUND,
                BadQuestion::Query(_) => StatusCode::BAD_REQUEST,
            };
            written(status, &Answer::no(bad.to_string()))
        }
    }
}

fn written(status: StatusCode, answer: &Answer) -> Response<Full<Bytes>> {
    let mut body = serde_json::to_vec(answer).unwrap_or_default();
    body.push(b'\n');
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Counts connections, all of them and those of each address.
struct Room {
    limits: Limits,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

impl Room {
    fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    /// A place for one more, if there is one.
    fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let all: usize = taken.values().sum();
        let of_this = taken.get(&from).copied().unwrap_or_default();
        if all >= self.limits.connections || of_this >= self.limits.of_one_peer {
            return None;
        }
        taken.insert(from, of_this + 1);
        drop(taken);
        Some(Place { room: Arc::clone(self), from })
    }
}

/// A connection that is counted until this is dropped.
struct Place {
    room: Arc<Room>,
    from: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.from);
            }
        }
    }
}
