//! The address as strangers use it, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use primacy_health::{
    Answer, BadQuestion, HealthUrl, Limits, Question, Respond, Subject, ask, serve,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The primary; a question for a replica is never answered.
struct Primary;

#[async_trait]
impl Respond for Primary {
    async fn answer(&self, question: &Question) -> Result<Answer, BadQuestion> {
        match question.subject {
            Subject::Replica { .. } => std::future::pending().await,
            Subject::Galera => Ok(Answer::no("it is not a Galera node")),
            _ => Ok(Answer::yes("it is the primary")),
        }
    }
}

const LIMIT: Duration = Duration::from_secs(5);

fn short() -> Limits {
    Limits {
        connections: 8,
        of_one_peer: 6,
        connection: Duration::from_millis(400),
        answer: Duration::from_millis(100),
    }
}

async fn address(limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::new(Primary), limits));
    address
}

async fn say(at: SocketAddr, words: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(words.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut all)).await.unwrap();
    drop(read);
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn each_way_of_asking_gets_a_status_and_a_reason() {
    let at = address(Limits::default()).await;
    let said = say(at, "GET /primary HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    assert!(said.contains("\r\ncontent-type: application/json\r\n"), "{said}");
    assert!(said.ends_with("{\"ok\":true,\"reason\":\"it is the primary\"}\n"), "{said}");
    // As HAProxy asks unless told otherwise: without a Host header.
    let said = say(at, "OPTIONS /primary HTTP/1.0\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.0 200 "), "{said}");
    let said = say(at, "HEAD /galera HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.ends_with("\r\n\r\n"), "{said}");
    let said = say(at, "GET /replica?max_lag=x HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("max_lag"), "{said}");
    let said = say(at, "GET /master HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 404 ") && said.contains("/primary, /replica"), "{said}");
    let said = say(at, "POST /primary HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 405 ") && said.contains("allow: GET, HEAD"), "{said}");
}

#[tokio::test]
async fn an_answer_that_is_not_found_in_time_is_no() {
    let at = address(short()).await;
    let said = say(at, "GET /replica HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains("no answer was found"), "{said}");
}

#[tokio::test]
async fn a_head_that_is_too_large_or_never_ends_is_cut_off() {
    let at = address(short()).await;
    let said = say(at, &format!("GET /primary?cluster={} HTTP/1.1\r\n", "x".repeat(20_000))).await;
    assert!(!said.contains(" 200 "), "{said}");
    let begun = Instant::now();
    let said = say(at, "GET /primary HTTP/1.1\r\nHost:").await;
    assert!(!said.contains(" 200 "), "{said}");
    assert!(begun.elapsed() < LIMIT);
}

#[tokio::test]
async fn who_keeps_connections_open_without_a_word_shuts_out_nobody_for_long() {
    let at = address(short()).await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(at).await.unwrap());
    }
    let url: HealthUrl = format!("http://{at}").parse().unwrap();
    let begun = Instant::now();
    while ask(&url, &Question::of(Subject::Primary), LIMIT).await.is_err() {
        assert!(begun.elapsed() < LIMIT, "the address does not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(silent);
}

#[tokio::test]
async fn one_who_asks_hears_the_same_and_never_waits_for_longer_than_said() {
    let at = address(Limits::default()).await;
    let url: HealthUrl = format!("http://{at}").parse().unwrap();
    let yes = ask(&url, &Question::of(Subject::Primary), LIMIT).await.unwrap();
    assert_eq!(yes, Answer::yes("it is the primary"));
    let no = ask(&url, &Question::of(Subject::Galera), LIMIT).await.unwrap();
    assert_eq!(no, Answer::no("it is not a Galera node"));
    // Somebody listens and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: HealthUrl = format!("http://{}", deaf.local_addr().unwrap()).parse().unwrap();
    let begun = Instant::now();
    let error = ask(&url, &Question::of(Subject::Primary), Duration::from_millis(100)).await;
    assert!(error.unwrap_err().to_string().contains("did not answer within"));
    assert!(begun.elapsed() < LIMIT);
}
