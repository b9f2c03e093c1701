//! What stands against a planned switch by MHA's rules, before the engine is asked for its own.

use std::time::Duration;

use primacy_probe::precheck::{RunningStatement, running_statements};
use primacy_types::{Address, ClusterSnapshot, ReceiverState};
use primacy_wire::Session;

use super::SwitchError;
use crate::application::Application;
use crate::binlog_filters::differences;

/// How long a server may take to list what it runs.
const LIMIT: Duration = Duration::from_secs(5);

/// So many statements are named.
const NAMED: usize = 5;

/// All servers answer, and all replicas replicate in time.
pub(super) fn healthy(
    app: &Application,
    seen: &ClusterSnapshot,
    primary: &Address,
    most_lag: u64,
) -> Result<(), SwitchError> {
    let mut problems = Vec::new();
    for server in app.servers() {
        let name = app.shown(&server);
        let Some(facts) = seen.live(&server) else {
            let why = seen.server(&server).and_then(|s| s.contact.failure());
            let why = why.map_or_else(|| "it was not heard of".to_owned(), ToString::to_string);
            problems.push(format!("{name} does not answer: {why}"));
            continue;
        };
        let Some(channel) = facts.channel(&seen.policy.channel) else {
            if server != *primary {
                problems.push(format!("{name} is neither the primary nor a replica"));
            }
            continue;
        };
        if server == *primary {
            continue;
        }
        if channel.receiver != ReceiverState::Running {
            problems.push(format!("the IO thread of {name} does not run"));
        }
        if !channel.applier_running {
            problems.push(format!("the SQL thread of {name} does not run"));
        } else if channel.receiver == ReceiverState::Running {
            match channel.lag_seconds {
                Some(lag) if lag > most_lag => problems
                    .push(format!("{name} lags by {lag} s (--seconds_behind_master: {most_lag})")),
                Some(_) => {}
                None => problems.push(format!("how far {name} lags cannot be told")),
            }
        }
    }
    match problems.is_empty() {
        true => Ok(()),
        false => Err(SwitchError::refused(format!(
            "not all servers are well, so nothing was done: {}",
            problems.join("; ")
        ))),
    }
}

/// Nobody leaves something else out of its binary log than the others.
pub(super) async fn logs_alike(
    app: &Application,
    seen: &ClusterSnapshot,
) -> Result<(), SwitchError> {
    let found = differences(app, seen, &app.servers()).await;
    match found.is_empty() {
        true => Ok(()),
        false => Err(SwitchError::refused(format!(
            "{}, so nothing was done (check_repl_filter=0 leaves this check out)",
            found.join("; ")
        ))),
    }
}

/// No session of the primary has been writing for longer than `limit` and one second.
pub(super) async fn no_long_updates(
    app: &Application,
    primary: &Address,
    limit: u64,
) -> Result<(), SwitchError> {
    let long = |statement: &RunningStatement| !statement.reads && statement.session.seconds > limit;
    let found = running(app, primary).await?;
    nothing(app, primary, found, long, &format!("--running_updates_limit: {limit} s"))
}

/// No session of the new primary has been running a statement for as long as `limit`.
pub(super) async fn no_long_statements(
    app: &Application,
    winner: &Address,
    limit: u64,
) -> Result<(), SwitchError> {
    let long = |statement: &RunningStatement| statement.session.seconds >= limit.max(1);
    let found = running(app, winner).await?;
    nothing(app, winner, found, long, &format!("--running_seconds_limit: {limit} s"))
}

async fn running(
    app: &Application,
    server: &Address,
) -> Result<Vec<RunningStatement>, SwitchError> {
    let Some(options) = app.connect(server)? else { return Ok(Vec::new()) };
    let failed = |error| {
        let name = app.shown(server);
        SwitchError::refused(format!("what {name} runs cannot be seen: {error}"))
    };
    let mut session = Session::connect(&options).await.map_err(failed)?;
    let found = running_statements(&mut session, LIMIT).await.map_err(failed)?;
    session.close().await;
    Ok(found)
}

fn nothing(
    app: &Application,
    server: &Address,
    found: Vec<RunningStatement>,
    long: impl Fn(&RunningStatement) -> bool,
    limit: &str,
) -> Result<(), SwitchError> {
    let long: Vec<_> = found.into_iter().filter(long).collect();
    if long.is_empty() {
        return Ok(());
    }
    let named = long.iter().take(NAMED).map(|statement| {
        let session = &statement.session;
        format!("session {} of {} for {} s", session.id, session.user, session.seconds)
    });
    Err(SwitchError::refused(format!(
        "{} runs {} long statement(s) ({limit}), so nothing was done: {}; wait for them, or end them \
         with KILL",
        app.shown(server),
        long.len(),
        named.collect::<Vec<_>>().join(", ")
    )))
}
