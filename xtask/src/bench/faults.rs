//! `cargo xtask bench faults`: what applications, rows and the promise of one writer make of every
//! fault, on hosts of their own: network namespaces with an agent each, and a manager on a fourth.
//!
//! Clients are direct ones: they know all servers and look for the writable one themselves, over the
//! servers' sockets, so that a cable that is cut does not cut them off. That is the hardest case for
//! the promise of one writer.

mod through_vip;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use primacy_sandbox::Installation;
use primacy_testkit::{Agents, Cluster, Manager, Net, Outcome, SmallDisk, Writer, cluster};
use primacy_types::AbsenceState;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use self::through_vip::{Args as VipClient, run as client};
use self::through_vip::{Seen, ThroughVip};
use super::machine;
use crate::interrupt::Interrupt;
use crate::{install, project, report, say};

/// The servers that are measured unless others are named.
const SERVERS: [&str; 2] = ["mariadb-10.11", "mysql-9.7"];
/// Writing before the fault, while it lasts, and after it is mended.
const BEFORE: Duration = Duration::from_secs(2);
const DURING: Duration = Duration::from_secs(12);
const AFTER: Duration = Duration::from_secs(6);
/// How often each server is asked whether it accepts writes.
const EVERY: Duration = Duration::from_millis(20);
/// The manager's host.
const MANAGER: usize = 3;
/// The primary's host.
const PRIMARY: usize = 0;
/// The host of the client that knows the virtual address only.
const CLIENT: usize = 4;
/// What the writer has room for when the disk is to be full.
const ROOM: u64 = 64 * 1024;
/// The virtual address.
const VIP: &str = "10.77.0.100";
/// How long the old primary may take to be in its place again.
const RETURN: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only this server; may be repeated.
    #[arg(long)]
    server: Vec<String>,
    /// Only this case; may be repeated.
    #[arg(long, value_enum)]
    case: Vec<Fault>,
    /// Do not write docs/bench/faults.md.
    #[arg(long)]
    dry_run: bool,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Fault {
    Kill,
    Freeze,
    HostGone,
    CutFromManager,
    CutFromReplicas,
    CutFromAll,
    OneWayToManager,
    OneWayToReplicas,
    ManagerCut,
    AgentKilled,
    AgentFrozen,
    AgentFrozenHostCut,
    GuardFrozenHostCut,
    HostFrozen,
    ManagerRestarted,
    VipConflict,
    DiskFull,
}

impl Fault {
    /// All, with what happens and how it is mended.
    const ALL: [(Self, &str); 17] = [
        (Self::Kill, "primary killed (SIGKILL)"),
        (Self::Freeze, "primary frozen (SIGSTOP), SIGCONT 12 s later"),
        (Self::HostGone, "primary's host gone: server and agent killed, cable out"),
        (Self::CutFromManager, "primary's host cut from the manager only"),
        (Self::CutFromReplicas, "primary's host cut from the replicas only"),
        (Self::CutFromAll, "primary's host cut from everybody"),
        (Self::OneWayToManager, "what the primary's host sends to the manager is lost"),
        (Self::OneWayToReplicas, "what the primary's host sends to the replicas is lost"),
        (Self::ManagerCut, "manager cut from everybody"),
        (Self::AgentKilled, "primary's agent killed, guard and worker"),
        (Self::AgentFrozen, "primary's agent frozen (the worker)"),
        (Self::AgentFrozenHostCut, "primary's agent frozen (the worker), and its host cut"),
        (Self::GuardFrozenHostCut, "agent frozen with its guard, and the host cut"),
        (Self::HostFrozen, "agent, guard and server frozen together, thawed 12 s later"),
        (Self::ManagerRestarted, "manager killed, and started again 8 s later"),
        (Self::VipConflict, "a stranger takes the virtual address, and the primary is killed"),
        (Self::DiskFull, "primary's disk full (tmpfs below its binary logs), write_probe = 3 s"),
    ];
}

/// What came of one case.
struct Row {
    server: String,
    what: &'static str,
    outcome: Outcome,
    through_vip: Seen,
    two_writable: Duration,
    /// Hosts of servers that have the virtual address at the end.
    holders: usize,
    primary: String,
    old: String,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let servers = install::servers(&args.server, &SERVERS)?;
    let primacy = project::primacy(None)?;
    tokio::runtime::Runtime::new()?.block_on(bench(args, &servers, &primacy))
}

async fn bench(args: &Args, servers: &[Installation], primacy: &Path) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let load = machine::load();
    let program = primacy.to_str().context("the program's path is no text")?;
    let mut rows = Vec::new();
    for server in servers {
        for (fault, what) in Fault::ALL {
            if args.case.is_empty() || args.case.contains(&fault) {
                let row = interrupt.unless(case(program, server, fault, what)).await?;
                report(&line(&row));
                rows.push(row);
            }
        }
    }
    let table = table(&rows);
    say(&table);
    if !args.dry_run {
        project::write_page("docs/bench/faults.md", &page(&table, &load))?;
    }
    let clean = |row: &Row| row.outcome.missing_acked == 0;
    Ok(if rows.iter().all(clean) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn case(
    program: &str,
    server: &Installation,
    fault: Fault,
    what: &'static str,
) -> anyhow::Result<Row> {
    let net = Net::new(5).context("network namespaces cannot be made here (root is needed)")?;
    // The virtual address is one of its host's, too.
    let builder = cluster(&server.name).on(&net).option("bind_address = 0.0.0.0");
    let cluster = builder.semi_sync(1).with_agents().up().await;
    let head = format!("[cluster.{}]\n", cluster.name());
    cluster.change_config(&head, &format!("{head}vip = [\"{VIP}\"]\n"));
    let disk = match fault {
        Fault::DiskFull => {
            cluster.add_policy("write_probe = \"3s\"");
            let disk = SmallDisk::under(&cluster, "s1").await;
            Some(disk.context("a file system cannot be mounted here (root is needed)")?)
        }
        _ => None,
    };
    let mut agents = Agents::start(program, &cluster).await;
    let mut manager = Manager::spawn_in(program, &cluster, &net.host(MANAGER).namespace);
    manager.is_ready().await;
    in_force(&manager).await?;
    let writer = Writer::start(&cluster).await;
    let client = ThroughVip::start(&net, CLIENT, &cluster, VIP, 300).await?;
    let sampler = Sampler::start(&cluster);
    tokio::time::sleep(BEFORE).await;
    disk.iter().for_each(|disk| disk.leave(ROOM));
    break_it(&net, &cluster, &mut agents, &mut manager, fault).await;
    let manager = match fault {
        Fault::ManagerRestarted => {
            tokio::time::sleep(Duration::from_secs(8)).await;
            let mut next = Manager::spawn_in(program, &cluster, &net.host(MANAGER).namespace);
            next.is_ready().await;
            next
        }
        _ => manager,
    };
    tokio::time::sleep(DURING).await;
    disk.iter().for_each(SmallDisk::enlarge);
    mend(&net, &cluster, &agents, fault).await;
    tokio::time::sleep(AFTER).await;
    let through_vip = client.finish().await?;
    if through_vip.rows == 0 {
        bail!("nobody took a row by the virtual address");
    }
    let two_writable = sampler.finish().await;
    let outcome = writer.finish(&cluster).await;
    let writable = cluster.writable().await;
    let old = match writable.contains(&"s1".to_owned()) {
        true => "is the primary".to_owned(),
        false => returned(program, &cluster, &mut agents, &manager, fault).await,
    };
    let holders = (0..3).filter(|host| net.has_address(*host, VIP)).count();
    drop(manager);
    Ok(Row {
        server: server.version.to_string(),
        what,
        outcome,
        through_vip,
        two_writable,
        holders,
        primary: writable.join(" and "),
        old,
    })
}

/// The old primary is started by whoever looks after its host (its agent too, if it is gone): what
/// becomes of it without a person.
async fn returned(
    program: &str,
    cluster: &Cluster,
    agents: &mut Agents,
    manager: &Manager,
    fault: Fault,
) -> String {
    let began = Instant::now();
    if matches!(fault, Fault::HostGone | Fault::AgentKilled) {
        agents.start_one(program, cluster, "s1").await;
    }
    if !cluster.is_alive("s1") {
        cluster.start("s1").await;
    }
    let address = cluster.address("s1");
    while began.elapsed() < RETURN {
        let seen = manager.explain().await.snapshot;
        if let Some(AbsenceState::Quarantined { transactions, .. }) =
            seen.absent.get(&address).map(|absence| &absence.state)
        {
            return format!("is quarantined, {transactions} transaction(s) on file");
        }
        if let Some(source) = cluster.source_of("s1").await {
            let after = began.elapsed().as_secs_f64();
            return format!("replicates from {source} {after:.1} s after its start");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    "stays alone".to_owned()
}

/// Waits until the primary is under a guarded lease.
async fn in_force(manager: &Manager) -> anyhow::Result<()> {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        let seen = manager.explain().await.snapshot;
        let primary = seen.primary.as_ref().and_then(|primary| seen.server(primary));
        if primary.is_some_and(|p| p.fences.contains(&primacy_types::FenceRung::Lease)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("no lease came into force:\n{}", manager.log())
}

async fn break_it(
    net: &Net,
    cluster: &Cluster,
    agents: &mut Agents,
    manager: &mut Manager,
    fault: Fault,
) {
    match fault {
        Fault::Kill => cluster.kill("s1").await,
        Fault::Freeze => cluster.freeze("s1").await,
        Fault::HostGone => {
            net.cut_off(PRIMARY);
            agents.kill("s1").await;
            cluster.kill("s1").await;
        }
        Fault::CutFromManager => net.cut_between(MANAGER, PRIMARY),
        Fault::CutFromReplicas => [1, 2].iter().for_each(|at| net.cut_between(PRIMARY, *at)),
        Fault::CutFromAll => net.cut_off(PRIMARY),
        Fault::OneWayToManager => net.cut_one_way(PRIMARY, MANAGER),
        Fault::OneWayToReplicas => [1, 2].iter().for_each(|at| net.cut_one_way(PRIMARY, *at)),
        Fault::ManagerCut => net.cut_off(MANAGER),
        Fault::AgentKilled => agents.kill("s1").await,
        Fault::AgentFrozen => agents.freeze_worker("s1").await,
        Fault::AgentFrozenHostCut => {
            agents.freeze_worker("s1").await;
            net.cut_off(PRIMARY);
        }
        Fault::GuardFrozenHostCut => {
            agents.freeze("s1").await;
            net.cut_off(PRIMARY);
        }
        Fault::HostFrozen => {
            agents.freeze("s1").await;
            cluster.freeze("s1").await;
        }
        Fault::ManagerRestarted => manager.kill9(),
        Fault::VipConflict => {
            net.add_address(MANAGER, VIP);
            cluster.kill("s1").await;
        }
        // The writer fills it by itself.
        Fault::DiskFull => {}
    }
}

async fn mend(net: &Net, cluster: &Cluster, agents: &Agents, fault: Fault) {
    match fault {
        // Gone if the fence killed it, which is what it is for.
        Fault::Freeze => cluster.thaw_if_alive("s1").await,
        Fault::CutFromManager => net.mend_between(MANAGER, PRIMARY),
        Fault::CutFromReplicas => [1, 2].iter().for_each(|at| net.mend_between(PRIMARY, *at)),
        Fault::CutFromAll | Fault::AgentFrozenHostCut => net.mend(PRIMARY),
        Fault::OneWayToManager => net.mend_one_way(PRIMARY, MANAGER),
        Fault::OneWayToReplicas => [1, 2].iter().for_each(|at| net.mend_one_way(PRIMARY, *at)),
        Fault::ManagerCut => net.mend(MANAGER),
        Fault::HostGone => net.mend(PRIMARY),
        Fault::VipConflict => net.remove_address(MANAGER, VIP),
        Fault::GuardFrozenHostCut => {
            agents.thaw("s1");
            net.mend(PRIMARY);
        }
        Fault::HostFrozen => {
            agents.thaw("s1");
            cluster.thaw_if_alive("s1").await;
        }
        _ => {}
    }
}

/// Asks every server every 20 ms whether it accepts an application's writes.
struct Sampler {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<Vec<(Instant, Instant)>>>,
}

impl Sampler {
    fn start(cluster: &Cluster) -> Self {
        let stop = CancellationToken::new();
        let tasks = cluster.names().into_iter().map(|name| {
            let login = cluster.login(&name, primacy_sandbox::AccountRole::Application);
            tokio::spawn(crate::writable::spans(login, EVERY, stop.clone()))
        });
        Self { tasks: tasks.collect(), stop }
    }

    async fn finish(self) -> Duration {
        self.stop.cancel();
        let mut all = Vec::new();
        for task in self.tasks {
            all.push(task.await.unwrap_or_default());
        }
        crate::writable::overlap(&all)
    }
}

fn line(row: &Row) -> String {
    format!(
        "{}, {}: {:.2} s, {} rows, {} missing, {} late, two writable {} ms; by the address {:.2} s, \
         {} rows, {} late, on {} host(s); {} is the primary, the old one {}",
        row.server,
        row.what,
        row.outcome.longest_gap.as_secs_f64(),
        row.outcome.acked,
        row.outcome.missing_acked,
        row.outcome.late_rows,
        row.two_writable.as_millis(),
        row.through_vip.longest_gap.as_secs_f64(),
        row.through_vip.rows,
        row.through_vip.late,
        row.holders,
        row.primary,
        row.old
    )
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| server | fault | outage | rows acknowledged | missing | late | two writable | outage by \
         address | late by address | hosts with it | the old primary |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n",
    );
    for row in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} s | {} | {} | {} | {} ms | {:.2} s | {} | {} | {} |",
            row.server,
            row.what,
            row.outcome.longest_gap.as_secs_f64(),
            row.outcome.acked,
            row.outcome.missing_acked,
            row.outcome.late_rows,
            row.two_writable.as_millis(),
            row.through_vip.longest_gap.as_secs_f64(),
            row.through_vip.late,
            row.holders,
            row.old
        );
    }
    text
}

fn page(table: &str, load: &str) -> String {
    format!(
        "# What each fault costs\n\n\
         Measured by `cargo xtask bench faults` on {}, on one machine: {}; load average at the \
         beginning {load}. Three servers on hosts of their own (network namespaces with a switch \
         between them), each with an agent; the manager on a fourth. GTID, semi-sync, leases of 3 s, \
         default timing.\n\n\
         One writer inserts numbered rows as fast as they are acknowledged and looks for the \
         writable server itself, over the servers' sockets: a cable that is cut does not cut it off. \
         The outage is the longest time between two acknowledgements. Missing are acknowledged rows \
         that the best server does not have at the end; late are rows that the old primary \
         acknowledged after the new one had acknowledged its first. Every server is asked every \
         20 ms, with the application's account, whether it accepts writes. A fault lasts 12 s. A second client, on a fifth host, \
         knows nothing but the virtual address. When it is over an old primary that is down is \
         started, and left to the manager.\n\n\
         {table}\n\
         A host that is frozen as a whole, or whose agent and guard are both frozen, cannot close \
         its server: when it thaws, direct clients can write there until its guard has killed it, \
         which the column \"two writable\" shows. Clients that come through a virtual address or a \
         proxy do not reach it, as the columns by address show.\n",
        project::today(),
        machine::facts(),
    )
}
