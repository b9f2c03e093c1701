//! One event, told to a real receiver.

use std::time::Duration;

use hyper::StatusCode;
use jiff::Timestamp;
use primacy_hooks::{
    AttemptFailure, Authorities, Delivery, DeliveryError, HookEvent, Stage, Webhook,
    WebhookConfigError, WebhookOptions, verify,
};
use secrecy::SecretString;

use crate::notice;
use crate::receiver::{Receiver, Reply, Seen, status};
use crate::tls::Identity;

fn secret() -> SecretString {
    SecretString::from("S3CRET-S3CRET")
}

fn delivery() -> Delivery {
    Delivery::of(&notice(HookEvent::AfterFailover, "db1 died"))
}

fn is_believed(seen: &Seen) -> bool {
    let now = u64::try_from(Timestamp::now().as_second()).unwrap();
    let tolerance = Duration::from_secs(3600);
    verify(&secret(), seen.header("primacy-signature"), &seen.body, now, tolerance).is_ok()
}

/// Why it was not told.
async fn failure(options: WebhookOptions) -> DeliveryError {
    Webhook::new(options).await.unwrap().deliver(&delivery()).await.unwrap_err()
}

#[tokio::test]
async fn a_signed_document_is_told_once() {
    let mut receiver = Receiver::start([status(202)]).await;
    let options = WebhookOptions { secret: Some(secret()), ..receiver.options() };
    let (webhook, delivery) = (Webhook::new(options).await.unwrap(), delivery());
    let delivered = webhook.deliver(&delivery).await.unwrap();
    assert_eq!((delivered.status, delivered.attempts), (StatusCode::ACCEPTED, 1));
    let seen = receiver.next().await;
    assert_eq!((seen.method.as_str(), &*seen.target), ("POST", "/hooks/T0KEN-T0KEN?a=b"));
    assert_eq!(seen.header("host"), format!("localhost:{}", receiver.port));
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("primacy-event"), "after_failover");
    assert_eq!(seen.header("primacy-delivery"), delivery.id().to_string());
    assert_eq!(seen.reason(), "db1 died");
    assert!(is_believed(&seen));
    assert!(receiver.saw_no_more());
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    let mut receiver = Receiver::start([]).await;
    receiver.webhook().await.deliver(&delivery()).await.unwrap();
    assert_eq!(receiver.next().await.header("primacy-signature"), "");
}

#[tokio::test]
async fn what_may_pass_is_tried_again_under_the_same_id() {
    for first in [status(500), status(503), status(408), Reply::Closes] {
        let mut receiver = Receiver::start([first.clone()]).await;
        let options = WebhookOptions { secret: Some(secret()), ..receiver.options() };
        let delivered = Webhook::new(options).await.unwrap().deliver(&delivery()).await.unwrap();
        assert_eq!(delivered.attempts, 2, "{first:?}");
        let (one, two) = (receiver.next().await, receiver.next().await);
        assert_eq!(one.header("primacy-delivery"), two.header("primacy-delivery"));
        assert_eq!(one.body, two.body);
        assert!(is_believed(&one) && is_believed(&two));
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_pause_gets_it() {
    let busy = Reply::Says(429, ("retry-after", "1"), "slow down");
    let receiver = Receiver::start([busy]).await;
    let delivered = receiver.webhook().await.deliver(&delivery()).await.unwrap();
    assert_eq!(delivered.attempts, 2);
    assert!(delivered.took >= Duration::from_secs(1));
}

#[tokio::test]
async fn but_not_one_of_any_length() {
    let busy = Reply::Says(429, ("retry-after", "86400"), "");
    let receiver = Receiver::start([busy]).await;
    let longest_retry_after = Duration::from_millis(10);
    let options = WebhookOptions { longest_retry_after, ..receiver.options() };
    let delivered = Webhook::new(options).await.unwrap().deliver(&delivery()).await.unwrap();
    assert_eq!(delivered.attempts, 2);
}

#[tokio::test]
async fn an_answer_that_is_final_is_not_asked_for_again_and_no_token_is_repeated() {
    let answer = "no such hook: /hooks/T0KEN-T0KEN?a=b";
    let mut receiver = Receiver::start([Reply::Says(400, ("x-none", ""), answer)]).await;
    let error = failure(receiver.options()).await;
    assert_eq!(error.attempts, 1);
    let expected = format!(
        "webhook pager (https://localhost:{}) was not told of after_failover (delivery {}): it \
         answered 400 Bad Request and said: \"no such hook: <hidden>\"; trying again would not help",
        receiver.port, error.delivery
    );
    assert_eq!(error.to_string(), expected);
    receiver.next().await;
    assert!(receiver.saw_no_more());
}

#[tokio::test]
async fn an_event_is_given_up_when_its_time_is_over() {
    let receiver = Receiver::start(vec![status(503); 1000]).await;
    let total_limit = Duration::from_millis(50);
    let error = failure(WebhookOptions { total_limit, ..receiver.options() }).await;
    assert!(error.attempts >= 1);
    assert!(error.to_string().contains("; given up after "), "{error}");
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_at_the_limit_and_asked_again() {
    let mut receiver = Receiver::start([Reply::Hangs]).await;
    let attempt_limit = Duration::from_secs(2);
    let options = WebhookOptions { attempt_limit, ..receiver.options() };
    let delivered = Webhook::new(options).await.unwrap().deliver(&delivery()).await.unwrap();
    assert!(delivered.attempts >= 2);
    let (one, two) = (receiver.next().await, receiver.next().await);
    assert_eq!(one.header("primacy-delivery"), two.header("primacy-delivery"));

    let receiver = Receiver::with(None, [Reply::Hangs]).await;
    let once = WebhookOptions { attempt_limit, total_limit: Duration::ZERO, ..receiver.options() };
    let expected = AttemptFailure::TimedOut { stage: Stage::Answering, limit: attempt_limit };
    assert_eq!(failure(once).await.last, expected);
}

#[tokio::test]
async fn one_that_speaks_no_tls_is_left_at_the_limit_too() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let receiver = Receiver::start([]).await;
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let error = failure(WebhookOptions {
        url: primacy_hooks::WebhookUrl::parse(&url).unwrap(),
        attempt_limit: Duration::from_secs(2),
        total_limit: Duration::ZERO,
        ..receiver.options()
    })
    .await;
    assert!(matches!(error.last, AttemptFailure::TimedOut { stage: Stage::Securing, .. }));
}

#[tokio::test]
async fn a_certificate_from_a_stranger_or_for_another_host_ends_it() {
    let (mut receiver, stranger) = (Receiver::start([]).await, Receiver::start([]).await);
    let authorities = stranger.options().authorities;
    let error = failure(WebhookOptions { authorities, ..receiver.options() }).await;
    assert!(matches!(error.last, AttemptFailure::Certificate { .. }), "{error}");
    let said = "its certificate is not accepted: an authority of that name is trusted, but it did";
    assert!(error.to_string().contains(said), "{error}");
    assert_eq!(error.attempts, 1);
    assert!(receiver.saw_no_more());

    let mut receiver = Receiver::with(Some(Identity::of("elsewhere.example")), []).await;
    let error = failure(receiver.options()).await;
    assert!(matches!(error.last, AttemptFailure::Certificate { .. }), "{error}");
    assert!(receiver.saw_no_more());
}

#[tokio::test]
async fn the_systems_authorities_do_not_know_a_stranger() {
    let receiver = Receiver::start([]).await;
    let options = WebhookOptions { authorities: Authorities::System, ..receiver.options() };
    match Webhook::new(options).await {
        Ok(webhook) => {
            let error = webhook.deliver(&delivery()).await.unwrap_err();
            assert!(matches!(error.last, AttemptFailure::Certificate { .. }), "{error}");
            let said = "not accepted: no authority that is trusted has signed it; if it comes";
            assert!(error.to_string().contains(said), "{error}");
        }
        // A machine without the package ca-certificates.
        Err(error) => assert!(matches!(error, WebhookConfigError::NoSystemAuthorities { .. })),
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Reply::Says(302, ("location", "https://elsewhere.example/T0KEN"), "");
    let mut receiver = Receiver::start([elsewhere]).await;
    let error = failure(receiver.options()).await;
    let said = error.to_string();
    assert!(said.contains("it answered 302 Found and points to https://elsewhere.example:443,"));
    assert!(!said.contains("T0KEN") && error.attempts == 1);
    receiver.next().await;
    assert!(receiver.saw_no_more());
}

#[tokio::test]
async fn nobody_there_is_tried_again_and_said() {
    let receiver = Receiver::with(None, []).await;
    let options = WebhookOptions { total_limit: Duration::from_millis(50), ..receiver.options() };
    drop(receiver);
    let error = failure(options).await;
    assert!(matches!(error.last, AttemptFailure::Connect { .. }), "{error}");
}

#[tokio::test]
async fn a_name_without_an_address_is_said() {
    let options = WebhookOptions::new("pager", "http://no-such-host.invalid/T0KEN").unwrap();
    let (allow_plain, total_limit) = (true, Duration::ZERO);
    let error = failure(WebhookOptions { allow_plain, total_limit, ..options }).await;
    // A name service that does not answer takes the attempt's whole limit.
    let late = AttemptFailure::TimedOut { stage: Stage::Resolving, limit: Duration::from_secs(10) };
    let unresolved = matches!(error.last, AttemptFailure::Resolve { .. }) || error.last == late;
    assert!(unresolved, "{error}");
}

#[tokio::test]
async fn plain_http_is_for_this_machine_unless_it_is_meant() {
    let mut receiver = Receiver::with(None, []).await;
    receiver.webhook().await.deliver(&delivery()).await.unwrap();
    assert_eq!(receiver.next().await.reason(), "db1 died");
    let far = WebhookOptions::new("pager", "http://192.0.2.1/T0KEN").unwrap();
    let refused = Webhook::new(far.clone()).await.unwrap_err().to_string();
    assert!(refused.starts_with("webhook pager: http://192.0.2.1:80 is not encrypted"));
    assert!(Webhook::new(WebhookOptions { allow_plain: true, ..far }).await.is_ok());
}

#[tokio::test]
async fn an_endless_answer_is_not_read() {
    let receiver = Receiver::start([Reply::Chatters(404)]).await;
    let error = failure(receiver.options()).await;
    assert!(matches!(error.last, AttemptFailure::Refused { .. }), "{error}");
    assert!(error.to_string().len() < 1000);
}

#[tokio::test]
async fn authorities_that_cannot_be_used_are_told_when_the_webhook_is_configured() {
    let directory = tempfile::TempDir::new().unwrap();
    let said = async |name: &str| {
        let authorities = Authorities::File(directory.path().join(name));
        let options = WebhookOptions::new("pager", "https://localhost/").unwrap();
        Webhook::new(WebhookOptions { authorities, ..options }).await.unwrap_err().to_string()
    };
    std::fs::write(directory.path().join("empty.pem"), "no certificate").unwrap();
    assert!(said("empty.pem").await.contains("empty.pem cannot be used: it holds no usable cert"));
    assert!(said("none.pem").await.contains("none.pem cannot be used: No such file"));
}

#[tokio::test]
async fn no_debug_text_shows_a_secret() {
    let receiver = Receiver::start([status(400)]).await;
    let options = WebhookOptions { secret: Some(secret()), ..receiver.options() };
    let webhook = Webhook::new(options.clone()).await.unwrap();
    let error = webhook.deliver(&delivery()).await.unwrap_err();
    let shown = format!("{options:?} {webhook:?} {error:?} {error}");
    assert!(!shown.contains("S3CRET") && !shown.contains("T0KEN"), "{shown}");
}

#[tokio::test]
async fn a_secret_that_anybody_could_guess_is_refused() {
    let options = WebhookOptions::new("pager", "http://localhost/").unwrap();
    let secret = Some(SecretString::from(""));
    let refused = Webhook::new(WebhookOptions { secret, ..options }).await.unwrap_err();
    assert!(refused.to_string().starts_with("webhook pager: its secret is empty"));
}
