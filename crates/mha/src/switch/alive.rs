//! `--master_state=alive`: the role moves while both servers live.

use primacy_api::{Answer, Service, SwitchoverOrder};
use primacy_manager::Standalone;
use primacy_types::Address;

use super::open::open_replicas;
use super::{DONE, SwitchError, Switching, look, named, ready, roles};
use crate::given::Given;

/// Options that mean something else here, and what.
const OTHERWISE: [(&str, &str); 2] = [
    (
        "flush_tables",
        "no tables are flushed: writes are ended by read_only, a grace for what runs, and the end of \
         the applications' sessions, not by FLUSH TABLES WITH READ LOCK, so that nothing waits for \
         tables to be closed",
    ),
    (
        "skip_lock_all_tables",
        "no tables are locked in any case: the old primary is read-only, its applications' sessions \
         are ended, and its position is seen to stand still before the new one is opened",
    ),
];

/// The limits of the command line.
struct Limits {
    updates: u64,
    statements: u64,
    lag: u64,
}

impl Limits {
    fn of(given: &Given) -> Result<Self, SwitchError> {
        let number = |name: &str| {
            let number = given.number(name).unwrap_or_default();
            u64::try_from(number)
                .map_err(|_| SwitchError::refused(format!("--{name} cannot be below 0: {number}")))
        };
        Ok(Self {
            updates: number("running_updates_limit")?,
            statements: number("running_seconds_limit")?,
            // With MHA none means one.
            lag: number("seconds_behind_master")?.max(1),
        })
    }
}

pub(super) async fn alive(mut switching: Switching<'_, '_>) -> Result<u8, SwitchError> {
    let (app, given, log) = (switching.app, switching.given, switching.log);
    let limits = Limits::of(given)?;
    for (option, meaning) in OTHERWISE {
        if given.has(option) {
            log.warning(format!("--{option}: {meaning}"));
        }
    }
    switching.refuse_beside_a_manager()?;
    log.info("Looking at all servers.");
    let engine = app.open().await?;
    let seen = look(&engine, app).await?.snapshot;
    let roles = roles(app, &seen)?;
    let primary = roles.master.ok_or_else(|| SwitchError::refused("there is no primary"))?;
    log.info(format!("{} is the primary.", app.shown(&primary)));
    ready::healthy(app, &seen, &primary, limits.lag)?;
    if seen.policy.check_filters {
        ready::logs_alike(app, &seen).await?;
    }
    let wanted = wanted(&switching, &primary)?;
    engine.know_primary(&app.cluster, &primary).await?;
    ready::no_long_updates(app, &primary, limits.updates).await?;
    let leave_old = !given.is_on("orig_master_is_new_slave");
    let order = SwitchoverOrder { to: wanted, dry_run: false, leave_old };
    let open = open_replicas(&seen, &primary);
    if given.is_on("check_only") && !open.is_empty() {
        let open: Vec<String> = open.iter().map(|server| app.shown(server)).collect();
        log.warning(format!(
            "Replicas that accept writes are made read-only first: {}. What else may stand against \
             the switch is only seen then. Nothing was done (--check_only).",
            open.join(", ")
        ));
        engine.close().await;
        return Ok(DONE);
    }
    if given.is_on("check_only") {
        let winner = checked(&switching, &engine, &order, &limits).await?;
        log.info(format!(
            "The role can be moved from {} to {}. Nothing was done (--check_only).",
            app.shown(&primary),
            app.shown(&winner)
        ));
        engine.close().await;
        return Ok(DONE);
    }
    if open.is_empty() {
        // Before anybody is kept off the servers.
        checked(&switching, &engine, &order, &limits).await?;
    }
    let replicas: Vec<Address> = app.servers().into_iter().filter(|s| *s != primary).collect();
    let _locks = switching.lock(Some(&primary), &replicas).await?;
    let closed = switching.close_replicas(&engine, &seen, &primary).await?;
    let done = moved(&mut switching, &engine, &primary, order, &limits).await;
    let code = closed.unless_moved(&switching, done).await?;
    if leave_old {
        switching.forget(&primary, code);
    } else if given.is_on("remove_dead_master_conf") {
        log.warning(
            "--remove_orig_master_conf: the old primary is a replica now, and its block stays",
        );
    }
    engine.close().await;
    Ok(code)
}

/// Checks it, asks, and does it; the exit code.
async fn moved(
    switching: &mut Switching<'_, '_>,
    engine: &Standalone,
    primary: &Address,
    mut order: SwitchoverOrder,
    limits: &Limits,
) -> Result<u8, SwitchError> {
    let mut winner = checked(switching, engine, &order, limits).await?;
    while !switching.asking.agrees(&question(switching, primary, &winner, order.leave_old))? {
        order.to = Some(switching.another(primary)?);
        winner = checked(switching, engine, &order, limits).await?;
    }
    if switching.asking.is_interactive() {
        // What was agreed to, and nothing else.
        order.to = Some(winner);
    }
    let order = engine.switchover(&switching.app.cluster, order);
    let answer = switching.wait_for(engine.events(), order).await?;
    Ok(switching.told(&answer))
}

/// The server that the command line names.
fn wanted(
    switching: &Switching<'_, '_>,
    primary: &Address,
) -> Result<Option<Address>, SwitchError> {
    let (app, given) = (switching.app, switching.given);
    let Some(host) = given.text("new_master_host").filter(|host| !host.is_empty()) else {
        return Ok(None);
    };
    let port = given.has("new_master_port").then(|| given.number("new_master_port")).flatten();
    let found = named::server(app, host, None, port)?;
    switching.may_be_new(&found, primary)?;
    Ok(Some(found))
}

/// The new primary, if the engine and the limits allow the switch.
async fn checked(
    switching: &Switching<'_, '_>,
    engine: &Standalone,
    order: &SwitchoverOrder,
    limits: &Limits,
) -> Result<Address, SwitchError> {
    let dry = SwitchoverOrder { dry_run: true, ..order.clone() };
    let answer = engine.switchover(&switching.app.cluster, dry).await?;
    let Answer::Plan { plan } = answer else {
        return Err(SwitchError::refused("the engine made no plan"));
    };
    for note in &plan.notes {
        switching.log.info(note);
    }
    ready::no_long_statements(switching.app, &plan.winner, limits.statements).await?;
    Ok(plan.winner)
}

fn question(
    switching: &Switching<'_, '_>,
    primary: &Address,
    winner: &Address,
    leave_old: bool,
) -> String {
    let app = switching.app;
    let then = match leave_old {
        true => "stays read-only and is no replica (--orig_master_is_new_slave is not given)",
        false => "becomes its replica",
    };
    format!(
        "The primary moves from {} to {}. The old primary {then}.\nStart the switch?",
        app.shown(primary),
        app.shown(winner)
    )
}
