//! Many events for many webhooks, some of which are down.

use std::time::Duration;

use primacy_hooks::{
    Backoff, HookEvent, Notifier, Subscription, Webhook, WebhookOptions, WebhookStatus,
};

use crate::notice;
use crate::receiver::{Receiver, Reply, status};
use crate::scripts::AMPLE;

/// Never, for a test.
const NEVER: Duration = Duration::from_secs(100_000);

async fn to_all(receiver: &Receiver) -> Subscription {
    Subscription { webhook: receiver.webhook().await, events: Vec::new() }
}

/// A webhook that is never left at a limit, and tried again only when somebody is in a hurry.
async fn patient(receiver: &Receiver) -> Subscription {
    let backoff = Backoff { first: NEVER, longest: NEVER };
    let options = WebhookOptions {
        attempt_limit: NEVER,
        total_limit: 3 * NEVER,
        backoff,
        ..receiver.options()
    };
    Subscription { webhook: Webhook::new(options).await.unwrap(), events: Vec::new() }
}

fn counted(delivered: u64, failed: u64, dropped: u64) -> WebhookStatus {
    WebhookStatus { webhook: "pager".to_owned(), waiting: 0, delivered, failed, dropped }
}

#[tokio::test]
async fn the_order_is_kept_even_if_the_first_must_be_told_twice() {
    let mut receiver = Receiver::start([status(500)]).await;
    let notifier = Notifier::start(vec![to_all(&receiver).await], 10);
    for reason in ["one", "two", "three"] {
        notifier.handle().notify(&notice(HookEvent::Alarm, reason));
    }
    for reason in ["one", "one", "two", "three"] {
        assert_eq!(receiver.next().await.reason(), reason);
    }
    assert_eq!(notifier.stop(AMPLE).await, [counted(3, 0, 0)]);
}

#[tokio::test]
async fn one_that_hangs_holds_up_neither_the_others_nor_the_caller() {
    let mut hung = Receiver::start(vec![Reply::Hangs; 10]).await;
    let mut well = Receiver::start([]).await;
    let lanes = vec![patient(&hung).await, to_all(&well).await];
    let notifier = Notifier::start(lanes, 2);
    let handle = notifier.handle();
    handle.notify(&notice(HookEvent::Alarm, "0"));
    // It is taken out of the queue; two more have room.
    hung.next().await;
    assert_eq!(well.next().await.reason(), "0");
    for reason in ["1", "2", "3", "4"] {
        handle.notify(&notice(HookEvent::Alarm, reason));
        assert_eq!(well.next().await.reason(), reason);
    }
    let status = &handle.status()[0];
    assert_eq!((status.waiting, status.dropped), (3, 2));
    // What the receiver has read is delivered when its answer is back.
    let answered = async {
        while handle.status()[1].delivered < 5 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(AMPLE, answered).await.unwrap();
    let ended = notifier.stop(Duration::from_millis(50)).await;
    assert_eq!(ended, [counted(0, 0, 5), counted(5, 0, 0)]);
}

#[tokio::test]
async fn a_webhook_is_told_only_of_what_it_wants() {
    let mut receiver = Receiver::start([]).await;
    let events = vec![HookEvent::AfterFailover, HookEvent::Alarm];
    let lane = Subscription { events, ..to_all(&receiver).await };
    let notifier = Notifier::start(vec![lane], 10);
    notifier.handle().notify(&notice(HookEvent::BeforeFence, "unwanted"));
    notifier.handle().notify(&notice(HookEvent::Alarm, "wanted"));
    assert_eq!(receiver.next().await.reason(), "wanted");
    assert_eq!(notifier.stop(AMPLE).await, [counted(1, 0, 0)]);
    assert!(receiver.saw_no_more());
}

#[tokio::test]
async fn at_the_end_what_waits_is_tried_at_once() {
    let mut receiver = Receiver::start([status(503), status(200), status(503)]).await;
    let notifier = Notifier::start(vec![patient(&receiver).await], 10);
    for reason in ["one", "two", "three"] {
        notifier.handle().notify(&notice(HookEvent::Alarm, reason));
    }
    assert_eq!(receiver.next().await.reason(), "one");
    // It would be tried again in a day; there is no day left. The second has one attempt.
    assert_eq!(notifier.stop(AMPLE).await, [counted(2, 1, 0)]);
    for reason in ["one", "two", "three"] {
        assert_eq!(receiver.next().await.reason(), reason);
    }
}

#[tokio::test]
async fn after_the_end_nothing_is_taken() {
    let mut receiver = Receiver::start([]).await;
    let notifier = Notifier::start(vec![to_all(&receiver).await], 10);
    let handle = notifier.handle();
    notifier.stop(AMPLE).await;
    handle.notify(&notice(HookEvent::Alarm, "late"));
    assert_eq!(handle.status(), [counted(0, 0, 1)]);
    assert!(receiver.saw_no_more());
}

#[tokio::test]
async fn an_event_that_waited_too_long_has_one_attempt_and_no_more() {
    let mut receiver = Receiver::start(vec![status(503); 10]).await;
    let options = WebhookOptions { total_limit: Duration::ZERO, ..receiver.options() };
    let webhook = Webhook::new(options).await.unwrap();
    let notifier = Notifier::start(vec![Subscription { webhook, events: Vec::new() }], 10);
    for reason in ["one", "two"] {
        notifier.handle().notify(&notice(HookEvent::Alarm, reason));
        assert_eq!(receiver.next().await.reason(), reason);
    }
    assert_eq!(notifier.stop(AMPLE).await, [counted(0, 2, 0)]);
    assert!(receiver.saw_no_more());
}

#[tokio::test]
async fn dropping_the_notifier_ends_its_tasks() {
    let mut hung = Receiver::start([Reply::Hangs]).await;
    let notifier = Notifier::start(vec![patient(&hung).await], 10);
    let handle = notifier.handle();
    handle.notify(&notice(HookEvent::Alarm, "one"));
    hung.next().await;
    drop(notifier);
    // The task goes at its next turn; from then on its queue takes nothing.
    while handle.status()[0].dropped == 0 {
        handle.notify(&notice(HookEvent::Alarm, "two"));
        tokio::task::yield_now().await;
    }
}
