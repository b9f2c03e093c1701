//! Waiting for what was ordered: signals do not take it back, and a failover that does not go on is not
//! waited for for ever.

use std::time::Duration;

use primacy_api::{Answer, ApiError};
use primacy_exec::Entry;
use tokio::sync::broadcast;
use tokio::time::Instant;

use super::{SwitchError, Switching};
use crate::early::Signals;
use crate::held::{Heard, Held};

/// How often it is looked whether it is held for too long.
const LOOK: Duration = Duration::from_millis(100);

impl Switching<'_, '_> {
    /// Waits for what was ordered. It is not taken back by Ctrl-C: what was begun is finished or put
    /// back. The second one ends the waiting, and so does a failover that is held for too long.
    pub(super) async fn wait_for(
        &mut self,
        mut events: broadcast::Receiver<Entry>,
        order: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Result<Answer, SwitchError> {
        let signals = Signals::listen();
        let mut signals = signals.map_err(|e| SwitchError::System("waiting for signals", e))?;
        // Only now: there is no moment in which a signal is nobody's.
        drop(self.early.take());
        let mut order = std::pin::pin!(order);
        let mut look = tokio::time::interval(LOOK);
        let mut held: Option<Held> = None;
        let mut interrupted = false;
        loop {
            let name = tokio::select! {
                answer = &mut order => return Ok(answer?),
                name = signals.next() => name,
                _ = look.tick() => {
                    listen(&mut events, &mut held);
                    match held.as_ref().filter(|held| held.is_over(Instant::now())) {
                        None => continue,
                        Some(held) => {
                            let conf = self.app.conf.display().to_string();
                            return Err(SwitchError::Held(held.sentence(&conf)));
                        }
                    }
                }
            };
            if interrupted {
                return Err(SwitchError::Left(
                    "ended in the midst of it: start masterha_manager, which finishes it or puts \
                     everything back"
                        .to_owned(),
                ));
            }
            interrupted = true;
            self.log.warning(format!(
                "{name}: it is under way and will be finished or put back; a second signal ends the \
                 waiting"
            ));
        }
    }
}

/// Takes what the engine has said.
fn listen(events: &mut broadcast::Receiver<Entry>, held: &mut Option<Held>) {
    loop {
        match events.try_recv() {
            Ok(entry) => {
                let now = Instant::now();
                if let Some(heard) = Heard::of(&entry.text, now) {
                    heard.into_known(held, now);
                }
            }
            Err(broadcast::error::TryRecvError::Lagged(_)) => {}
            Err(_) => return,
        }
    }
}
