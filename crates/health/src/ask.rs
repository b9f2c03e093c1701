//! Asking a health address.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use primacy_types::Address;
use tokio::net::TcpStream;

use crate::limits::LARGEST_ANSWER;
use crate::{Answer, Question};

/// `http://HOST:PORT`, where a health address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthUrl(Address);

/// Why something is no such URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not http://HOST:PORT (a health address speaks plain HTTP; the path is not written)"
)]
pub struct BadUrl(String);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url} {reason}")]
pub struct AskError {
    /// Who was asked.
    pub url: HealthUrl,
    /// What came of it.
    pub reason: String,
}

impl HealthUrl {
    /// The URL of whoever listens at this address. One that listens everywhere is reached over the
    /// loopback.
    pub fn of(listen: &Address) -> Self {
        let host = match listen.host() {
            "0.0.0.0" => "127.0.0.1",
            "::" => "::1",
            other => other,
        };
        Self(Address::new(host, listen.port()))
    }
}

impl FromStr for HealthUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let bad = || BadUrl(text.to_owned());
        let rest = text.strip_prefix("http://").ok_or_else(bad)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // Without a port it would be the database's.
        let port = rest.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let is_plain_v6 = rest.matches(':').count() > 1 && !rest.contains(']');
        if !port || is_plain_v6 {
            return Err(bad());
        }
        rest.parse().map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for HealthUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

/// Asks a question, `limit` in all.
///
/// # Errors
/// If nobody answers in time, or in words that are not understood.
pub async fn ask(
    url: &HealthUrl,
    question: &Question,
    limit: Duration,
) -> Result<Answer, AskError> {
    let failed = |reason: String| AskError { url: url.clone(), reason };
    match tokio::time::timeout(limit, exchange(&url.0, question)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(reason)) => Err(failed(reason)),
        Err(_) => Err(failed(format!("did not answer within {limit:?}"))),
    }
}

async fn exchange(at: &Address, question: &Question) -> Result<Answer, String> {
    let stream = TcpStream::connect((at.host(), at.port()))
        .await
        .map_err(|error| format!("is not reached: {error}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| format!("does not speak HTTP: {error}"))?;
    let carried = tokio::spawn(connection);
    let request = Request::get(question.to_string())
        .header(HOST, at.to_string())
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("cannot be asked: {error}"))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| format!("ended the connection without an answer: {error}"))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LARGEST_ANSWER)
        .collect()
        .await
        .map_err(|error| format!("did not finish its answer: {error}"))?
        .to_bytes();
    carried.abort();
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| format!("answered {status} and no health answer: is this its address?"))?;
    // Both must say the same: another program may answer anything with 200.
    if answer.ok != (status == StatusCode::OK) {
        return Err(format!("answered {status} with words that do not fit it"));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_url_with_a_port_is_one() {
        for good in ["http://127.0.0.1:7621", "http://db1:7621/", "http://[::1]:7621"] {
            assert!(good.parse::<HealthUrl>().is_ok(), "{good}");
        }
        for bad in
            ["db1:7621", "https://db1:7621", "http://db1", "http://db1:7621/primary", "http://"]
        {
            assert!(bad.parse::<HealthUrl>().is_err(), "{bad}");
        }
        let everywhere = HealthUrl::of(&"0.0.0.0:7621".parse().unwrap());
        assert_eq!(everywhere.to_string(), "http://127.0.0.1:7621");
        let everywhere = HealthUrl::of(&"[::]:7621".parse().unwrap());
        assert_eq!(everywhere.to_string(), "http://[::1]:7621");
    }
}
