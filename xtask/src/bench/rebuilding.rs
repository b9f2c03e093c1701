//! What the measurements around a rebuild have in common: a cluster with agents, data to copy, and a
//! rebuild that is followed to its end.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_api::{RebuildAnswer, RebuildOrder, RebuildView, Service};
use primacy_sandbox::Installation;
use primacy_store::Outcome;
use primacy_testkit::{Agents, Builder, Cluster, Manager, cluster};

use super::machine;
use crate::{install, project};

/// The server that is rebuilt.
pub(super) const RECIPIENT: &str = "s3";
/// Limit of one statement.
pub(super) const STATEMENT: Duration = Duration::from_secs(60);
/// One row of the data that is copied.
const ROW: usize = 64 << 10;
/// Rows of one statement: together 1 MB.
const ROWS: usize = (1 << 20) / ROW;
/// How often a rebuild is asked how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// What was measured, and the load average when that began.
pub(super) struct Measured<R> {
    pub(super) rows: Vec<R>,
    pub(super) load: String,
}

/// Measures on these servers, or on the `usual` ones, with a program as users get it; what is missing
/// is installed before.
pub(super) fn measure<R>(
    asked: &[String],
    usual: &[&str],
    mut on: impl AsyncFnMut(&Installation, &str) -> anyhow::Result<Vec<R>>,
) -> anyhow::Result<Measured<R>> {
    let servers = install::servers(asked, usual)?;
    install::backup_program()?;
    let primacy = project::primacy(None)?;
    let program = primacy.to_str().context("the program's path is no text")?;
    let load = machine::load();
    let mut rows = Vec::new();
    tokio::runtime::Runtime::new()?.block_on(async {
        for server in &servers {
            rows.extend(on(server, program).await?);
        }
        anyhow::Ok(())
    })?;
    Ok(Measured { rows, load })
}

/// A cluster whose servers can be copied by their agents.
pub(super) fn builder(server: &Installation) -> Builder {
    let builder = cluster(&server.name).with_agents();
    match server.name.starts_with("mysql") {
        true => builder.option("plugin_load_add = mysql_clone.so"),
        false => builder,
    }
}

/// Starts the agents and the manager, and waits until that knows the recipient.
pub(super) async fn start(program: &str, cluster: &Cluster) -> (Agents, Manager) {
    let agents = Agents::start(program, cluster).await;
    let manager = Manager::start(program, cluster).await;
    manager.has_looked_again(&cluster.address(RECIPIENT)).await;
    (agents, manager)
}

/// So many MB in `app.big`, on all servers.
pub(super) async fn fill(cluster: &Cluster, megabytes: u64) -> anyhow::Result<()> {
    let mut session = cluster.root("s1").await;
    let table = "CREATE TABLE app.big (id INT PRIMARY KEY AUTO_INCREMENT, body LONGBLOB)";
    session.execute(table, STATEMENT).await?;
    // Random enough that nothing on the way makes it smaller, and made by the server itself.
    let one = format!("(REPEAT(UNHEX(SHA2(RAND(), 512)), {}))", ROW / 64);
    let batch = vec![one; ROWS].join(",");
    for _ in 0..megabytes {
        session.execute(&format!("INSERT INTO app.big (body) VALUES {batch}"), STATEMENT).await?;
    }
    session.close().await;
    for replica in ["s2", RECIPIENT] {
        cluster.catches_up(replica, "s1").await;
    }
    Ok(())
}

/// Begins a rebuild and waits until it is done, no longer than `limit`. `look` is told how far it is, and
/// for how long it has been going on.
pub(super) async fn rebuild(
    cluster: &Cluster,
    manager: &Manager,
    order: RebuildOrder,
    limit: Duration,
    mut look: impl FnMut(&RebuildView, Duration),
) -> anyhow::Result<()> {
    let client = manager.client().await;
    let begun = Instant::now();
    let answer = client.rebuild(cluster.name(), order).await?;
    let RebuildAnswer::Begun { operation, .. } = answer else {
        bail!("the rebuild was not begun: {answer:?}");
    };
    loop {
        let views = client.rebuilds(cluster.name()).await?;
        let view = views.into_iter().find(|view| view.operation == operation);
        let view = view.context("the rebuild is not known any more")?;
        look(&view, begun.elapsed());
        match view.outcome {
            Some(Outcome::Done) => return Ok(()),
            Some(_) => bail!("the rebuild failed: {}", view.sentence.unwrap_or_default()),
            None if begun.elapsed() > limit => bail!("the rebuild took too long: {view:?}"),
            None => tokio::time::sleep(LOOK).await,
        }
    }
}
