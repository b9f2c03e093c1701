//! After a failover: whether every replica follows, the flag file, the configuration, the end.

use std::time::Duration;

use primacy_mha_config::decoded;
use primacy_mha_config::edit::remove_block;
use primacy_plan::{Plan, managed_source};
use primacy_store::OperationRecord;
use primacy_types::{Address, ClusterSnapshot};
use tokio::time::{Instant, sleep};

use super::Desk;
use super::watch::{End, Watch};

/// How long replicas may take to be seen at the new primary.
const FOLLOW: Duration = Duration::from_secs(10);

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

/// The exit code of a failover that left replicas behind.
const PARTLY: u8 = 10;

impl Watch<'_> {
    /// The engine has made another server the primary.
    pub(super) async fn succeeded(&mut self, record: &OperationRecord) -> Option<End> {
        let Desk { application, orders, log, flags, .. } = self.desk;
        let old = self.master.clone();
        if orders.leaves.anything() {
            return Some(self.left_to_a_person(record).await);
        }
        let (now, behind) = self.followers().await;
        let (was, is) = (application.shown(&old), application.shown(&now));
        if let Err(error) = flags.set_complete() {
            log.warning(format!("the flag file of a failover cannot be made: {error}"));
        }
        for server in &behind {
            let name = application.shown(server);
            log.error(format!("{name} does not replicate from the new master {is}"));
        }
        let word = if behind.is_empty() { "succeeded" } else { "done, but not for all slaves" };
        log.info(format!(
            "----- Failover Report -----\n\n{}: MySQL Master failover {was} to {is} {word}\n",
            application.name
        ));
        if behind.is_empty() {
            log.info(format!("Master failover to {is} completed successfully."));
            if orders.remove_conf {
                self.remove_block_of(&old);
            }
        }
        if orders.keep_running {
            log.info(format!("Going on with the new master {is}."));
            self.watch_instead(now);
            return None;
        }
        Some(End { code: if behind.is_empty() { 0 } else { PARTLY }, at_once: false })
    }

    /// It was ordered that not all is done: what was is said, and what is for a person to do.
    async fn left_to_a_person(&self, record: &OperationRecord) -> End {
        let Desk { application, orders, log, flags, .. } = self.desk;
        if let Err(error) = flags.set_complete() {
            log.warning(format!("the flag file of a failover cannot be made: {error}"));
        }
        let leaves = orders.leaves;
        let now = match leaves.everything() {
            true => None,
            false => self.engine.service().explain(&application.cluster).await.ok(),
        };
        let now = now.and_then(|seen| seen.snapshot.primary);
        let was = application.shown(&self.master);
        let to = now.map(|now| format!(" to {}", application.shown(&now))).unwrap_or_default();
        let mut left = Vec::new();
        if leaves.closed {
            left.push("the new master was left read-only (--skip_disable_read_only)");
        }
        if leaves.replicas {
            left.push("the slaves were left with the dead master (--skip_change_master)");
        }
        log.warning(format!("As it was ordered, {}.", left.join(", and ")));
        log.info(format!(
            "----- Failover Report -----\n\n{}: MySQL Master failover {was}{to} done, and {}\n",
            application.name,
            left.join(", and ")
        ));
        let (behind, why) = match leaves.replicas {
            true => (left_behind(record), "could not be given what it lacks"),
            false => (self.followers().await.1, "does not replicate from the new master"),
        };
        for server in &behind {
            log.error(format!("{} {why}", application.shown(server)));
        }
        End { code: if behind.is_empty() { 0 } else { PARTLY }, at_once: false }
    }

    /// The new primary, and which replicas of the old one are not seen to follow it.
    async fn followers(&self) -> (Address, Vec<Address>) {
        let service = self.engine.service();
        let deadline = Instant::now() + FOLLOW;
        loop {
            let seen = service.explain(&self.desk.application.cluster).await;
            if let Ok(seen) = seen
                && let Some(now) = seen.snapshot.primary.clone()
            {
                let behind: Vec<Address> =
                    self.wanted(&now).filter(|s| !follows(&seen.snapshot, s, &now)).collect();
                if behind.is_empty() || Instant::now() >= deadline {
                    return (now, behind);
                }
            } else if Instant::now() >= deadline {
                return (self.master.clone(), self.slaves.clone());
            }
            sleep(LOOK).await;
        }
    }

    /// The replicas that have to follow: those that could, without `ignore_fail`.
    fn wanted(&self, now: &Address) -> impl Iterator<Item = Address> {
        let ignored = |server: &Address| {
            let block = self.desk.application.block(server);
            block.is_some_and(|block| block.flag("ignore_fail"))
        };
        self.slaves.iter().filter(move |s| *s != now && !ignored(s)).cloned()
    }

    fn remove_block_of(&self, old: &Address) {
        let Desk { application, log, .. } = self.desk;
        let conf = application.conf.display();
        let Some(block) = application.block(old) else { return };
        let removed = || -> Result<bool, String> {
            let name = conf.to_string();
            let bytes = std::fs::read(&application.conf).map_err(|error| error.to_string())?;
            let text = decoded(&name, &bytes).map_err(|errors| errors.to_string())?;
            match remove_block(text, &block.name).map_err(|error| error.to_string())? {
                Some(changed) => primacy_manager::rewrite(&application.conf, &changed)
                    .map(|()| true)
                    .map_err(|error| error.to_string()),
                None => Ok(false),
            }
        };
        match removed() {
            Ok(true) => log.info(format!("Deleted {} entry from {conf} .", block.name)),
            Ok(false) => log.warning(format!("[{}] is not in {conf} any more", block.name)),
            Err(error) => {
                log.error(format!("[{}] was not removed from {conf}: {error}", block.name));
            }
        }
    }
}

fn follows(snapshot: &ClusterSnapshot, server: &Address, primary: &Address) -> bool {
    let channel = snapshot.live_channel(server);
    channel.is_some_and(|channel| channel.applier_running && channel.receiver_error.is_none())
        && managed_source(snapshot, server).as_ref() == Some(primary)
}

/// Replicas that could not be given what they lack, by the plan that was carried out.
fn left_behind(record: &OperationRecord) -> Vec<Address> {
    let plan = serde_json::from_value::<Plan>(record.plan.clone());
    plan.map(|plan| plan.left_behind).unwrap_or_default()
}
