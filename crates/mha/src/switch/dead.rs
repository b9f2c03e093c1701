//! `--master_state=dead`: a primary that is dead is replaced by hand.

use std::time::Duration;

use primacy_api::{Answer, ApiError, ErrorKind, Explanation, FailoverOrder, Service};
use primacy_manager::Standalone;
use primacy_plan::Diagnosis;
use primacy_types::Address;
use tokio::time::Instant;

use super::{DONE, PARTLY, SwitchError, Switching, look, named, roles};
use crate::flags::Flags;
use crate::given::Given;
use crate::never_seen::introduce;
use crate::roles::Roles;

/// How long it may take until the engine knows by itself that the primary is dead. After that the
/// word of the person counts.
const SETTLED: Duration = Duration::from_secs(15);

/// How often it is looked whether it does.
const PAUSE: Duration = Duration::from_millis(100);

/// Options that make no difference here, and why.
const WITHOUT_EFFECT: [(&str, &str); 5] = [
    ("skip_save_master_binlog", "what the dead primary holds is saved wherever it can be read"),
    ("ssh_reachable", "whether the host can be reached is found out"),
    ("ignore_binlog_server_error", "no binlog server has to answer"),
    ("wait_until_gtid_in_sync", "replicas are waited for within limits"),
    ("wait_on_failover_error", "it is for a manager that others start again"),
];

pub(super) async fn dead(mut switching: Switching<'_, '_>) -> Result<u8, SwitchError> {
    let (app, given, log) = (switching.app, switching.given, switching.log);
    for (option, why) in WITHOUT_EFFECT {
        if given.has(option) {
            log.warning(format!("--{option} makes no difference: {why}"));
        }
    }
    let old = dead_one(&switching)?;
    let wanted = wanted(&switching, &old)?;
    switching.refuse_beside_a_manager()?;
    let flags = Flags::new(&app.workdir, &app.name);
    locked_out(given, &flags)?;
    log.info("Looking at all servers.");
    let engine = app.open().await?;
    let seen = look(&engine, app).await?;
    is_dead(&switching, &seen, &old)?;
    let roles = roles(app, &seen.snapshot)?;
    if let Some(primary) = roles.master.as_ref().filter(|primary| **primary != old) {
        return Err(SwitchError::refused(format!(
            "{} is not the primary: the replicas that answer replicate from {}",
            app.shown(&old),
            app.shown(primary)
        )));
    }
    all_others_are_well(&switching, &roles, &old)?;
    engine.know_primary(&app.cluster, &old).await?;
    introduce(app, &engine, &seen.snapshot, &old, log).await;
    let _locks = switching.lock(None, &roles.alive).await?;
    let question = format!("{} does not answer. Is it dead, and to be replaced?", app.shown(&old));
    if !switching.asking.agrees(&question)? {
        return Err(SwitchError::refused("not agreed to, so nothing was done"));
    }
    let seen = settled(&engine, &switching).await?;
    is_dead(&switching, &seen, &old)?;
    let closed = switching.close_replicas(&engine, &seen.snapshot, &old).await?;
    let done = replace(&mut switching, &engine, &old, wanted, &seen).await;
    let done = closed.unless_moved(&switching, done).await;
    // The history says what was done until then, also if it did not succeed.
    engine.close().await;
    let code = done?;
    switching.forget(&old, code);
    Ok(code)
}

/// Plans it, asks, and does it; the exit code.
async fn replace(
    switching: &mut Switching<'_, '_>,
    engine: &Standalone,
    old: &Address,
    wanted: Option<Address>,
    seen: &Explanation,
) -> Result<u8, SwitchError> {
    let (app, log) = (switching.app, switching.log);
    let flags = Flags::new(&app.workdir, &app.name);
    let mut order = FailoverOrder { to: wanted, ..FailoverOrder::default() };
    let mut winner = planned(switching, engine, &mut order, seen).await?;
    let question = |winner: &Address| {
        format!(
            "The primary moves from {} to {}.\nStart the failover?",
            app.shown(old),
            app.shown(winner)
        )
    };
    while !switching.asking.agrees(&question(&winner))? {
        order.to = Some(switching.another(old)?);
        winner = planned(switching, engine, &mut order, seen).await?;
    }
    if switching.asking.is_interactive() {
        order.to = Some(winner);
    }
    let done = switching.wait_for(engine.events(), engine.failover(&app.cluster, order)).await;
    let kept = match &done {
        Ok(_) => flags.set_complete(),
        // What was put back as it was locks nobody out.
        Err(SwitchError::Engine(error)) if error.kind == ErrorKind::Failed => flags.set_error(),
        Err(SwitchError::Held(_)) => flags.set_error(),
        Err(_) => Ok(()),
    };
    if let Err(error) = kept {
        log.error(format!("the flag file cannot be made: {error}"));
    }
    let code = switching.told(&done?);
    debug_assert!(code == DONE || code == PARTLY, "an order that is no dry run was done");
    Ok(code)
}

/// The server that the command line calls dead.
fn dead_one(switching: &Switching<'_, '_>) -> Result<Address, SwitchError> {
    let given = switching.given;
    let host = given.text("dead_master_host").filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| {
        SwitchError::refused("--dead_master_host has to be given with --master_state=dead")
    })?;
    let port = given.has("dead_master_port").then(|| given.number("dead_master_port")).flatten();
    named::server(switching.app, host, given.text("dead_master_ip"), port)
}

fn wanted(switching: &Switching<'_, '_>, old: &Address) -> Result<Option<Address>, SwitchError> {
    let given = switching.given;
    let Some(host) = given.text("new_master_host").filter(|host| !host.is_empty()) else {
        return Ok(None);
    };
    let port = given.has("new_master_port").then(|| given.number("new_master_port")).flatten();
    let found = named::server(switching.app, host, None, port)?;
    switching.may_be_new(&found, old)?;
    Ok(Some(found))
}

/// What became of the last failover, before anything else is looked at.
fn locked_out(given: &Given, flags: &Flags) -> Result<(), SwitchError> {
    let failed = |error| SwitchError::System("the flag files of the last failover", error);
    if given.is_on("ignore_last_failover") {
        return flags.clear().map_err(failed);
    }
    let minutes = given.number("last_failover_minute").unwrap_or_default();
    let minutes = u64::try_from(minutes).map_err(|_| {
        SwitchError::refused(format!("--last_failover_minute cannot be below 0: {minutes}"))
    })?;
    let window = Duration::from_secs(minutes.saturating_mul(60));
    match flags.lock_out(window).map_err(failed)? {
        Some(why) => Err(SwitchError::refused(why.to_string())),
        None => Ok(()),
    }
}

/// A server that answers, in whichever way, is not dead.
fn is_dead(
    switching: &Switching<'_, '_>,
    seen: &Explanation,
    old: &Address,
) -> Result<(), SwitchError> {
    let server = seen.snapshot.server(old);
    let answers = seen.snapshot.live(old).is_some();
    let refuses = server.and_then(|s| s.contact.failure()).filter(|f| f.proves_life());
    let how = match (answers, refuses) {
        (true, _) => "it answers".to_owned(),
        (false, Some(failure)) => format!("it answers: {failure}"),
        (false, None) => return Ok(()),
    };
    Err(SwitchError::refused(format!(
        "{} is not dead ({how}), so nothing was done: --master_state=alive moves the role of a \
         primary that lives",
        switching.app.shown(old)
    )))
}

/// A failover goes on without a replica only where the configuration says so.
fn all_others_are_well(
    switching: &Switching<'_, '_>,
    roles: &Roles,
    old: &Address,
) -> Result<(), SwitchError> {
    let app = switching.app;
    let missed = |server: &&Address| {
        *server != old && !app.block(server).is_some_and(|block| block.flag("ignore_fail"))
    };
    let dead = roles.dead.iter().filter(missed).map(|s| format!("{} is dead too", app.shown(s)));
    let failed = roles.failed.iter().filter(missed);
    let failed = failed.map(|s| format!("the SQL thread of {} has failed", app.shown(s)));
    let all: Vec<String> = dead.chain(failed).collect();
    match all.is_empty() {
        true => Ok(()),
        false => Err(SwitchError::refused(format!(
            "not all replicas are well, so nothing was done: {}; mend that, or write ignore_fail=1 \
             into the blocks of those that may be left behind",
            all.join("; ")
        ))),
    }
}

/// What is known when the engine knows that the primary is dead, or at the limit.
async fn settled(
    engine: &Standalone,
    switching: &Switching<'_, '_>,
) -> Result<Explanation, SwitchError> {
    let until = Instant::now() + SETTLED;
    loop {
        let seen = look(engine, switching.app).await?;
        if known_dead(&seen.diagnosis) || Instant::now() >= until {
            return Ok(seen);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn known_dead(diagnosis: &Diagnosis) -> bool {
    matches!(diagnosis, Diagnosis::PrimaryDead { .. })
}

/// The new primary, if a failover can be done. Where the engine does not know by itself that the
/// primary is dead, the word of the person is added to the order.
async fn planned(
    switching: &Switching<'_, '_>,
    engine: &Standalone,
    order: &mut FailoverOrder,
    seen: &Explanation,
) -> Result<Address, SwitchError> {
    let cluster = &switching.app.cluster;
    let ask = |order: &FailoverOrder| {
        let dry = FailoverOrder { dry_run: true, ..order.clone() };
        async move { engine.failover(cluster, dry).await }
    };
    let mut answer: Result<Answer, ApiError> = ask(order).await;
    let refused = matches!(&answer, Err(error) if error.kind == ErrorKind::Refused);
    if refused && !known_dead(&seen.diagnosis) && !order.force {
        let forced = FailoverOrder { force: true, ..order.clone() };
        if let Ok(plan) = ask(&forced).await {
            switching.log.warning(format!(
                "that it is dead is your word alone: {}",
                seen.diagnosis.sentence()
            ));
            *order = forced;
            answer = Ok(plan);
        }
    }
    let Answer::Plan { plan } = answer? else {
        return Err(SwitchError::refused("the engine made no plan"));
    };
    for note in &plan.notes {
        switching.log.info(note);
    }
    Ok(plan.winner)
}
