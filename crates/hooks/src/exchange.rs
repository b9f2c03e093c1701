//! One request and its answer.

use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{HeaderMap, LOCATION, RETRY_AFTER};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::time::timeout;

use crate::backoff::retry_after;
use crate::connect::Connection;
use crate::outcome::end_of;
use crate::{AttemptFailure, WebhookUrl};

/// The headers of an answer are not larger.
const LARGEST_HEAD: usize = 64 << 10;
/// So much of an answer is read to say what the matter is.
const LARGEST_ANSWER: usize = 4 << 10;
/// And for no longer than this: the status is known already.
const ANSWER: Duration = Duration::from_secs(1);

/// Sends a request and judges the answer; the connection ends with it.
pub(crate) async fn exchange(
    connection: Box<dyn Connection>,
    request: Request<Full<Bytes>>,
    url: &WebhookUrl,
) -> Result<StatusCode, AttemptFailure> {
    let broken = |error: hyper::Error| AttemptFailure::Broken { reason: full(&error) };
    let (mut sender, carried) = http1::Builder::new()
        .max_buf_size(LARGEST_HEAD)
        .handshake(TokioIo::new(connection))
        .await
        .map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        judge(response, url).await
    };
    tokio::pin!(answer, carried);
    tokio::select! {
        biased;
        judged = &mut answer => judged,
        // What had come before its end is still handed over.
        _ = &mut carried => answer.await,
    }
}

/// hyper's errors say the kind only; the reason is behind it.
fn full(error: &hyper::Error) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

async fn judge(
    response: Response<Incoming>,
    url: &WebhookUrl,
) -> Result<StatusCode, AttemptFailure> {
    let status = response.status();
    if status.is_success() {
        return Ok(status);
    }
    let text = |headers: &HeaderMap, name| {
        headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    if status.is_redirection() {
        let to = text(response.headers(), LOCATION);
        return Err(AttemptFailure::Redirect {
            status,
            to: to.and_then(|to| WebhookUrl::parse(&to).ok()),
        });
    }
    let asked = text(response.headers(), RETRY_AFTER);
    let retry_after = asked.and_then(|asked| retry_after(&asked, Timestamp::now()));
    let mut said = Vec::new();
    let _ = timeout(ANSWER, begin_of(response.into_body(), &mut said)).await;
    let said = end_of(&url.without_secrets(&String::from_utf8_lossy(&said)));
    Err(AttemptFailure::Refused { status, said, retry_after })
}

/// Reads the beginning of an answer, as far as it comes.
async fn begin_of(mut body: Incoming, into: &mut Vec<u8>) {
    while let Some(Ok(frame)) = body.frame().await {
        if let Some(data) = frame.data_ref() {
            into.extend_from_slice(&data[..data.len().min(LARGEST_ANSWER - into.len())]);
        }
        if into.len() == LARGEST_ANSWER {
            return;
        }
    }
}
