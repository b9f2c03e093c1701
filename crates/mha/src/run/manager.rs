//! `masterha_manager`: checks, watches, does one failover, and ends.

use super::say;
use crate::application::Application;
use crate::command::Streams;
use crate::given::Given;
use crate::log::{Level, Log};
use crate::manage::{check_only, manage};
use crate::monitor;
use crate::orders::Orders;
use crate::runtime::block_on;

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    if given.is_on("monitor_only") {
        return monitor::watch(given, false, streams);
    }
    let mut application = match Application::load(given) {
        Ok(application) => application,
        Err(error) => {
            say(streams.err, &error.to_string());
            return 1;
        }
    };
    let orders = Orders::of(given, &application);
    if orders.keep_running && orders.leaves.anything() {
        let text = "--keep-running cannot be had with --skip_change_master or \
                    --skip_disable_read_only: the rest of the failover is for a person to do";
        say(streams.err, text);
        return 1;
    }
    orders.apply(&mut application);
    let level = Level::named(&application.mha.defaults.text("log_level").unwrap_or_default());
    let log = match &application.log {
        Some(path) => match Log::file(path, level, application.secrets()) {
            Ok(log) => log,
            Err(error) => {
                say(streams.err, &format!("{} cannot be written: {error}", path.display()));
                return 1;
            }
        },
        None => Log::screen(level, application.secrets()),
    };
    // So that masterha_stop reaches what it starts as well. A leader of a group is one already.
    let _is_one = rustix::process::setpgid(None, None);
    log.take_events();
    for notice in &orders.notices {
        log.warning(notice);
    }
    let ended = block_on(Box::pin(async {
        application.keep_replication_login().await;
        match given.is_on("check_only") {
            true => check_only(&application, &orders, &log).await,
            false => Box::pin(manage(&application, &orders, &log)).await,
        }
    }));
    match ended {
        Ok(code) => code,
        Err(error) => {
            log.error(format!("no threads can be started: {error}"));
            1
        }
    }
}
