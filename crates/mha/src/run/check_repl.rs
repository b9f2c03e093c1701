//! `masterha_check_repl`: what a manager checks at its start, and whether replication is healthy.

use super::say;
use crate::application::Application;
use crate::command::Streams;
use crate::given::Given;
use crate::log::{Level, Log};
use crate::preflight::{Depth, preflight};
use crate::runtime::block_on;

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    let fine = check(given, streams);
    // What scripts look for.
    let word = if fine { "OK." } else { "NOT OK!" };
    say(streams.out, &format!("\nMySQL Replication Health is {word}"));
    u8::from(!fine)
}

fn check(given: &Given, streams: &mut Streams<'_>) -> bool {
    let mut application = match Application::load(given) {
        Ok(application) => application,
        Err(error) => {
            say(streams.err, &error.to_string());
            return false;
        }
    };
    let level = application.mha.defaults.text("log_level").unwrap_or_default();
    let log = Log::screen(Level::named(&level), application.secrets());
    let lag = given.number("seconds_behind_master").and_then(|n| u64::try_from(n).ok());
    let depth = Depth {
        ignore_fail: given.is_on("ignore_fail_on_start"),
        ssh: !given.is_on("skip_check_ssh"),
        health: Some(lag.unwrap_or(30)),
    };
    let checked = block_on(Box::pin(async {
        application.keep_replication_login().await;
        let engine = match application.open().await {
            Ok(engine) => engine,
            Err(error) => {
                log.error(error.to_string());
                return false;
            }
        };
        let found = preflight(&application, &engine, depth, &log).await;
        engine.close().await;
        found.is_some()
    }));
    match checked {
        Ok(fine) => fine,
        Err(error) => {
            say(streams.err, &format!("no threads can be started: {error}"));
            false
        }
    }
}
