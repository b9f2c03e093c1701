//! `check-vip`: may this host have the primary's virtual address? For keepalived and the like, which
//! want an exit code at once.
//!
//! It is right at night: whatever is in doubt (nobody answers, the configuration is wrong, time is
//! up) is a no that says so. A no costs a moment without the address, a wrong yes gives it to two
//! hosts.

use primacy_api::{Client, ClusterView, Service as _};
use primacy_config::{ClusterConfig, Config};
use primacy_health::{Answer, HealthUrl, Question, Subject, ask};
use primacy_probe::{Depth, observe};
use primacy_types::Address;
use primacy_wire::{ConnectOptions, Session};

use crate::args::{CheckVip, Global};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;
use crate::session::load;

/// Says yes or no, and never waits for longer than the deadline.
pub(super) async fn run(global: &Global, printer: &mut Printer, args: &CheckVip) -> Outcome {
    let answer = tokio::time::timeout(args.deadline, find_out(global, args))
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {:?}", args.deadline)))
        .unwrap_or_else(|reason| Answer::no(one_line(&reason)));
    let exit = if answer.ok { Exit::Done } else { Exit::Refused };
    let written = if printer.wants_json() {
        printer.json_line(&answer)
    } else {
        let word = if answer.ok { "yes" } else { "no" };
        printer.data(&format!("{word}: {}", answer.reason))
    };
    // Whether anybody reads it or not: the exit code is the answer.
    drop(written);
    Ok(exit)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

async fn find_out(global: &Global, args: &CheckVip) -> Result<Answer, String> {
    if let Some(url) = &args.url {
        return at(url, args).await;
    }
    // The file may be on a disk that hangs.
    let from = Global { config: global.config.clone(), ..*global };
    let config = tokio::task::spawn_blocking(move || load(&from))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|failure: Failure| failure.message)?;
    match &config.agent {
        Some(agent) => match &agent.health {
            Some(listen) => at(&HealthUrl::of(listen), args).await,
            None => Err("the agent has no health address: write health = \"127.0.0.1:7621\" into \
                         its section [agent], or name one with --url"
                .to_owned()),
        },
        None => without_agent(&config, args).await,
    }
}

async fn at(url: &HealthUrl, args: &CheckVip) -> Result<Answer, String> {
    let question = Question {
        subject: Subject::Primary,
        cluster: args.cluster.clone(),
        server: args.server.clone(),
    };
    ask(url, &question, args.deadline).await.map_err(|error| error.to_string())
}

/// Without an agent both must say so: the manager that it is the primary, and the server itself that
/// it accepts writes.
async fn without_agent(config: &Config, args: &CheckVip) -> Result<Answer, String> {
    let Some(server) = &args.server else {
        return Err("without an agent it has to be said which server is this host's: --server \
                    HOST:PORT"
            .to_owned());
    };
    let of_it = |cluster: &&ClusterConfig| {
        cluster.servers.contains(server)
            && args.cluster.as_deref().is_none_or(|name| name == cluster.name.as_str())
    };
    let cluster =
        config.clusters.values().find(of_it).ok_or_else(|| {
            format!("{server} is in no cluster of the configuration that is meant")
        })?;
    let (view, accepts) =
        tokio::join!(view(config, cluster.name.as_str()), accepts(cluster, server, args));
    said(server, &view?, accepts?)
}

fn said(server: &Address, view: &ClusterView, accepts: bool) -> Result<Answer, String> {
    if view.primary.as_ref() != Some(server) {
        return Err(format!("{server} is not the primary of {}", view.name));
    }
    let seen = view.servers.iter().find(|one| one.address == *server);
    if seen.and_then(|one| one.writable) != Some(true) {
        return Err(format!("the manager does not see that {server} accepts writes"));
    }
    if !accepts {
        return Err(format!("{server} is read-only"));
    }
    let mut answer = Answer::yes(format!("{server} is the primary and accepts writes"));
    answer.server = Some(server.clone());
    answer.cluster = Some(view.name.clone());
    answer.epoch = Some(view.epoch);
    Ok(answer)
}

async fn view(config: &Config, cluster: &str) -> Result<ClusterView, String> {
    let doubt =
        |error: &dyn std::fmt::Display| format!("it is not known who the primary is: {error}");
    let client = Client::connect(&config.manager.socket_path()).await.map_err(|e| doubt(&e))?;
    client.cluster(cluster).await.map_err(|error| doubt(&error))
}

/// Whether the server itself says that it accepts writes.
async fn accepts(
    cluster: &ClusterConfig,
    server: &Address,
    args: &CheckVip,
) -> Result<bool, String> {
    let account = cluster.accounts.manager.clone();
    let password = tokio::task::spawn_blocking(move || primacy_manager::secret(&account))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let options = ConnectOptions {
        address: server.clone(),
        user: cluster.accounts.manager.user.clone(),
        password,
        tls: primacy_manager::tls_mode(&cluster.tls),
        connect_timeout: args.deadline,
        database: None,
        program: "primacy check-vip".to_owned(),
        unix_socket: None,
    };
    let mut session = Session::connect(&options).await.map_err(|error| error.to_string())?;
    let seen = observe(&mut session, Depth::Quick, None, args.deadline).await;
    session.close().await;
    seen.map(|seen| seen.facts.writable()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use primacy_plan::testing::{addr, cluster};

    use super::*;

    #[test]
    fn the_manager_and_the_server_itself_must_both_say_so() {
        let view = crate::render::testing::view(&cluster(["a", "b"]));
        assert!(said(&addr("a"), &view, true).unwrap().ok);
        assert!(said(&addr("a"), &view, false).unwrap_err().contains("read-only"));
        assert!(said(&addr("b"), &view, true).unwrap_err().contains("not the primary"));
        let dead = crate::render::testing::view(&cluster(["a", "b"]).primary_killed());
        assert!(said(&addr("a"), &dead, true).unwrap_err().contains("does not see"));
    }

    #[test]
    fn reasons_of_several_lines_are_told_in_one() {
        assert_eq!(one_line("a:\n  b\n"), "a: b");
    }
}
