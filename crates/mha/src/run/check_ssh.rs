//! `masterha_check_ssh`: whether each host can be reached from here and from each other one.

use super::say;
use crate::application::Application;
use crate::command::Streams;
use crate::given::Given;
use crate::log::{Level, Log};
use crate::runtime::block_on;

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    let application = match Application::load(given) {
        Ok(application) => application,
        Err(error) => {
            say(streams.err, &error.to_string());
            return 1;
        }
    };
    let log = Log::screen(Level::Debug, application.secrets());
    match block_on(all(&application, &log)) {
        Ok(failed) => u8::from(failed),
        Err(error) => {
            say(streams.err, &format!("no threads can be started: {error}"));
            1
        }
    }
}

/// Tries them all and says what came of each; whether one failed.
async fn all(application: &Application, log: &Log) -> bool {
    for notice in &application.notices {
        log.warning(notice);
    }
    let mut tested = Vec::new();
    for server in application.servers() {
        match application.block(&server).is_some_and(|block| block.flag("skip_init_ssh_check")) {
            true => log.info(format!("{server} is left out: skip_init_ssh_check")),
            false => tested.push(server),
        }
    }
    log.info("Starting SSH connection tests..");
    let mut failed = false;
    for login in application.logins(&tested, true).await {
        let from = login.from.as_ref();
        let from = from.map_or_else(|| "this host".to_owned(), |from| application.ssh_name(from));
        let to = application.ssh_name(&login.to);
        log.debug(format!(" Connecting via SSH from {from} to {to}.."));
        match login.failure {
            None => log.debug("  ok."),
            Some(why) => {
                failed = true;
                log.error(format!("SSH connection from {from} to {to} failed: {why}"));
            }
        }
    }
    // A failover does not ask them.
    for (block, host, failure) in application.binlog_logins().await {
        log.debug(format!(" Connecting via SSH from this host to {host}, of [{block}].."));
        match failure {
            None => log.debug("  ok."),
            Some(why) => {
                log.warning(format!("SSH connection to {host}, of [{block}], failed: {why}"));
            }
        }
    }
    match failed {
        false => log.info("All SSH connection tests passed successfully."),
        true => log.error(
            "SSH connection tests failed. A failover needs the logins from this host; those \
             between servers are needed only by MHA's own node commands.",
        ),
    }
    failed
}
