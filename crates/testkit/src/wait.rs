//! Waiting for states.

use std::time::Duration;

use tokio::time::Instant;

/// How often a state is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Waits until `condition` holds; ends the test if it does not within `limit`.
pub async fn eventually(limit: Duration, what: &str, mut condition: impl AsyncFnMut() -> bool) {
    until(limit, what, async || condition().await.then_some(())).await;
}

/// Waits until `look` finds something and returns it; ends the test if it does not within `limit`.
pub async fn until<T>(limit: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
