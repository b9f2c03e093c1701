//! A rebuild as it stands, for whoever asks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use primacy_api::{RebuildPhase, RebuildView};
use primacy_plan::RebuildPlan;
use primacy_store::{OperationRecord, Outcome};
use primacy_types::Millis;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The rate is that of so long.
const LATELY: Duration = Duration::from_secs(5);

/// One rebuild.
pub(super) struct Live {
    view: Mutex<RebuildView>,
    /// Moments and bytes of the last while.
    seen: Mutex<VecDeque<(Instant, u64)>>,
    pub(super) cancelled: CancellationToken,
    /// It cannot be cancelled any more.
    fixed: Mutex<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
    over: watch::Sender<bool>,
}

impl Live {
    pub(super) fn new(plan: &RebuildPlan, record: &OperationRecord) -> Self {
        let view = RebuildView {
            operation: record.id.to_string(),
            server: plan.request.server.clone(),
            donor: plan.donor.clone(),
            started: record.started,
            phase: RebuildPhase::Beginning,
            bytes: 0,
            total: 0,
            rate: 0,
            eta: None,
            paused: false,
            outcome: None,
            sentence: None,
            old_data: None,
        };
        Self {
            view: Mutex::new(view),
            seen: Mutex::default(),
            cancelled: CancellationToken::new(),
            fixed: Mutex::new(false),
            task: Mutex::default(),
            over: watch::Sender::new(false),
        }
    }

    fn locked(&self) -> MutexGuard<'_, RebuildView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn view(&self) -> RebuildView {
        self.locked().clone()
    }

    pub(super) fn set_task(&self, task: JoinHandle<()>) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    pub(super) fn enter(&self, phase: RebuildPhase) {
        let mut view = self.locked();
        view.phase = phase;
        view.paused = false;
        if phase != RebuildPhase::Copying {
            (view.rate, view.eta) = (0, None);
        }
    }

    pub(super) fn set_old_data(&self, place: Option<String>) {
        self.locked().old_data = place;
    }

    /// So many bytes of about so many.
    pub(super) fn copied(&self, bytes: u64, total: u64, paused: bool) {
        self.copied_at(Instant::now(), bytes, total, paused);
    }

    fn copied_at(&self, now: Instant, bytes: u64, total: u64, paused: bool) {
        let rate = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push_back((now, bytes));
            while seen.len() > 2 && seen.front().is_some_and(|(at, _)| now - *at > LATELY) {
                seen.pop_front();
            }
            let first = seen.front().copied().unwrap_or((now, bytes));
            let millis = u64::try_from((now - first.0).as_millis()).unwrap_or(u64::MAX);
            bytes.saturating_sub(first.1).saturating_mul(1000).checked_div(millis).unwrap_or(0)
        };
        let mut view = self.locked();
        (view.bytes, view.total, view.rate, view.paused) = (bytes, total.max(bytes), rate, paused);
        let left = view.total.saturating_sub(bytes).saturating_mul(1000);
        view.eta = left.checked_div(rate).map(Millis).filter(|_| !paused);
    }

    pub(super) fn finish(&self, outcome: Outcome, sentence: &str) {
        {
            let mut view = self.locked();
            view.phase = RebuildPhase::Over;
            (view.rate, view.eta, view.paused) = (0, None, false);
            view.outcome = Some(outcome);
            view.sentence = Some(sentence.to_owned());
        }
        self.over.send_replace(true);
    }

    /// False if it is too late.
    pub(super) fn cancel(&self) -> bool {
        let fixed = self.fixed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*fixed {
            self.cancelled.cancel();
        }
        !*fixed
    }

    /// From now on it goes through to an end of its own; false if it was cancelled before.
    pub(super) fn fix(&self) -> bool {
        let mut fixed = self.fixed.lock().unwrap_or_else(PoisonError::into_inner);
        *fixed = !self.cancelled.is_cancelled();
        *fixed
    }

    pub(super) async fn ended(&self, limit: Duration) {
        let mut over = self.over.subscribe();
        drop(tokio::time::timeout(limit, over.wait_for(|over| *over)).await);
    }

    /// Ends its task where it stands.
    pub(super) async fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            drop(task.await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_plan::{CopyMethod, RebuildRequest};
    use primacy_types::WallClock;

    fn live() -> Live {
        let plan = RebuildPlan {
            cluster: "c".to_owned(),
            request: RebuildRequest {
                server: "b:3306".parse().unwrap(),
                from: None,
                rate: None,
                max_lag: Millis(1),
                remove_old: false,
                method: primacy_plan::MethodChoice::Auto,
                no_physical: None,
            },
            donor: "c:3306".parse().unwrap(),
            method: CopyMethod::Backup,
            notes: Vec::new(),
        };
        let store = primacy_store::Store::in_memory().unwrap();
        let id =
            store.begin_beside("c", "rebuild", &serde_json::Value::Null, WallClock(0)).unwrap();
        Live::new(&plan, &store.operation(id.as_str()).unwrap())
    }

    #[tokio::test]
    async fn the_rest_takes_as_long_as_the_rate_of_late_says() {
        let live = live();
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        for second in 0..=10_u64 {
            live.copied_at(at(second), second * 1000, 100_000, false);
        }
        let view = live.view();
        assert_eq!((view.bytes, view.rate, view.eta), (10_000, 1000, Some(Millis(90_000))));
        live.copied_at(at(11), 10_000, 100_000, true);
        assert!(live.view().paused && live.view().eta.is_none());
        live.enter(RebuildPhase::Swapping);
        assert_eq!(live.view().rate, 0);
    }

    #[tokio::test]
    async fn it_is_cancelled_before_its_data_is_put_in_place_and_not_after() {
        let early = live();
        assert!(early.cancel() && !early.fix());
        let late = live();
        assert!(late.fix() && !late.cancel());
    }
}
