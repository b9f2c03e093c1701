//! Building a server's data anew from that of another one: who gives, how, and why not.

use std::collections::BTreeSet;

use primacy_types::{
    Address, ClusterSnapshot, GtidMode, HostAccessKind, Millis, Promotion, ReceiverState,
    ServerFacts, ServerVersion,
};
use serde::{Deserialize, Serialize};

use crate::{Reason, against_replacing, errant_of, is_fed_by, replicates_by_place};

/// What a person asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildRequest {
    /// The server that gets new data.
    pub server: Address,
    /// From this one; the best donor if not named.
    #[serde(default)]
    pub from: Option<Address>,
    /// No more bytes a second than this.
    #[serde(default)]
    pub rate: Option<u64>,
    /// A donor is not further behind than this, and the transfer pauses while it is.
    pub max_lag: Millis,
    /// The old data is removed when the server replicates; it is kept otherwise.
    #[serde(default)]
    pub remove_old: bool,
    /// How, as far as a person says.
    #[serde(default)]
    pub method: MethodChoice,
    /// Why the files cannot be copied here, where that was found out.
    #[serde(default)]
    pub no_physical: Option<String>,
}

/// How data shall be copied, as a person says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MethodChoice {
    /// The files; a logical dump where that is not possible.
    #[default]
    Auto,
    /// The files, or not at all.
    Physical,
    /// A logical dump.
    Dump,
}

/// How the data gets from one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyMethod {
    /// MySQL's clone plugin: the server itself fetches it.
    Clone,
    /// mariadb-backup, streamed between the agents.
    Backup,
    /// The server's own dump client, streamed between the agents and loaded into new data.
    Dump,
}

impl CopyMethod {
    /// As people know it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Clone => "clone plugin",
            Self::Backup => "mariadb-backup",
            Self::Dump => "logical dump",
        }
    }
}

/// What will be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebuildPlan {
    /// Name of the cluster.
    pub cluster: String,
    /// What was asked for.
    pub request: RebuildRequest,
    /// Who gives.
    pub donor: Address,
    /// How.
    pub method: CopyMethod,
    /// What people should know.
    pub notes: Vec<String>,
}

impl RebuildPlan {
    /// What is done, in order, as sentences.
    pub fn steps(&self) -> Vec<String> {
        let (server, donor) = (&self.request.server, &self.donor);
        let rate =
            self.request.rate.map(|rate| format!(", no more than {} KB a second", rate >> 10));
        let old = match self.request.remove_old {
            true => "remove the old data",
            false => "keep the old data beside the new, and remove what earlier rebuilds kept",
        };
        vec![
            format!(
                "copy the data of {donor} to a new directory beside that of {server} ({}{}); {server} \
                 goes on meanwhile as it is",
                self.method.word(),
                rate.unwrap_or_default()
            ),
            format!("shut {server} down, put the new data in place of the old, and start it"),
            format!("let {server} replicate from the primary until it has caught up"),
            old.to_owned(),
        ]
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("rebuild refused: {}", .reasons.iter().map(|r| format!("{} ({})", r.why, r.remedy)).collect::<Vec<_>>().join("; "))]
pub struct RebuildRefusal {
    /// All reasons, the weightiest first.
    pub reasons: Vec<Reason>,
}

fn refuse<T>(why: impl Into<String>, remedy: impl Into<String>) -> Result<T, RebuildRefusal> {
    Err(RebuildRefusal { reasons: vec![Reason::new(why, remedy)] })
}

/// Plans a rebuild. `busy` are servers that give or get data already.
///
/// # Errors
/// Every reason against it, with its way out.
pub fn plan_rebuild(
    snapshot: &ClusterSnapshot,
    request: &RebuildRequest,
    busy: &BTreeSet<Address>,
) -> Result<RebuildPlan, RebuildRefusal> {
    let server = &request.server;
    let Some(seen) = snapshot.server(server) else {
        return refuse(
            format!("{server} is none of the cluster's servers"),
            "primacy status names them; write it into the configuration first",
        );
    };
    let Some(primary) = &snapshot.primary else {
        return refuse("the cluster has no primary on record", "see: primacy explain");
    };
    if server == primary {
        return refuse(
            format!("{server} is the primary: its data is never replaced"),
            format!("move the role first: primacy switchover {}", snapshot.cluster),
        );
    }
    if snapshot.live(server).is_some_and(ServerFacts::writable) {
        return refuse(
            format!("{server} accepts writes"),
            "make it read-only first: SET GLOBAL read_only = ON",
        );
    }
    if busy.contains(server) {
        return refuse(
            format!("{server} gives or gets data already"),
            "wait until that rebuild is over, or cancel it: primacy rebuild --cancel",
        );
    }
    let Some(facts) = &seen.facts else {
        return refuse(
            format!("{server} was never seen to answer, so its version is not known"),
            "start it once, with any data",
        );
    };
    if facts.binlog_server {
        return refuse(
            format!("{server} is a binlog server: it has no tables"),
            "nothing is needed",
        );
    }
    if replicates_by_place(snapshot) {
        return refuse(
            "the cluster replicates by file and position: where a copy goes on is not known to this \
             version",
            "switch the cluster to GTID, or copy the server by hand",
        );
    }
    let (method, why_dump) = method_for(facts.version, request)?;
    if snapshot.policy.server(server).host_access != HostAccessKind::Agent {
        return refuse(
            format!("there is no agent on the host of {server}, so its data cannot be replaced"),
            "run `primacy agent` there and set host_access = \"agent\" for it (docs/agents.md)",
        );
    }
    let judged: Vec<(Address, Option<Reason>)> = snapshot
        .servers
        .keys()
        .filter(|other| *other != server)
        .map(|donor| (donor.clone(), unfit(snapshot, request, facts, donor, method, busy).err()))
        .collect();
    let donor = match &request.from {
        Some(from) => match judged.iter().find(|(donor, _)| donor == from) {
            Some((_, None)) => from.clone(),
            Some((_, Some(reason))) => {
                return Err(RebuildRefusal { reasons: vec![reason.clone()] });
            }
            None => {
                return refuse(
                    format!("{from} is none of the other servers"),
                    "see: primacy status",
                );
            }
        },
        None => {
            let fit = judged.iter().filter(|(_, reason)| reason.is_none()).map(|(donor, _)| donor);
            match fit.min_by_key(|donor| rank(snapshot, server, donor)) {
                Some(donor) => donor.clone(),
                None => {
                    let reasons: Vec<_> = judged.into_iter().filter_map(|(_, why)| why).collect();
                    return match reasons.is_empty() {
                        true => refuse("there is no other server to copy", "add one"),
                        false => Err(RebuildRefusal { reasons }),
                    };
                }
            }
        }
    };
    let needed = against_replacing(snapshot, server);
    if !needed.is_empty() {
        return Err(RebuildRefusal { reasons: needed });
    }
    let mut notes: Vec<String> = why_dump.into_iter().collect();
    if donor == *primary {
        notes.push(match request.from.is_some() {
            true => format!("{donor} is the primary: reading its data costs its applications"),
            false => format!(
                "no replica can give its data, so the primary {donor} does: reading it costs its \
                 applications; --limit-rate spares them"
            ),
        });
    }
    let errant = errant_of(snapshot, primary, server);
    if !errant.is_empty() {
        notes.push(format!(
            "{server} has transactions that the primary lacks: {}. They stay in its old data only; \
             to keep them as a file: primacy errant export",
            errant.join(", ")
        ));
    }
    if snapshot.live(server).is_none() {
        let why = match method {
            CopyMethod::Clone => Some("it fetches the data itself"),
            CopyMethod::Dump => Some("its program and settings are asked for"),
            CopyMethod::Backup => None,
        };
        notes.extend(
            why.map(|why| format!("{server} does not answer: it is started first, for {why}")),
        );
    }
    Ok(RebuildPlan {
        cluster: snapshot.cluster.clone(),
        request: request.clone(),
        donor,
        method,
        notes,
    })
}

/// How the files of servers of this version are copied.
fn physical(version: ServerVersion) -> Option<CopyMethod> {
    match version.is_mariadb() {
        true => Some(CopyMethod::Backup),
        false => version.at_least(8, 0, 17).then_some(CopyMethod::Clone),
    }
}

/// How a server of this version is copied; for a logical dump, why.
fn method_for(
    version: ServerVersion,
    request: &RebuildRequest,
) -> Result<(CopyMethod, Option<String>), RebuildRefusal> {
    let slower = |why: String| {
        let text = format!(
            "a logical dump is taken: {why}. It is slower than a copy of the files, reads every row, \
             and builds every index anew; definitions and accounts must not be changed meanwhile"
        );
        Ok((CopyMethod::Dump, Some(text)))
    };
    let none = || format!("the files of {version} cannot be copied while it runs");
    match (request.method, physical(version), &request.no_physical) {
        (MethodChoice::Dump, ..) => slower("it was asked for".to_owned()),
        (_, Some(method), None) => Ok((method, None)),
        (MethodChoice::Auto, Some(_), Some(why)) => slower(why.clone()),
        (MethodChoice::Auto, None, _) => slower(none()),
        (MethodChoice::Physical, Some(_), Some(why)) => {
            refuse(why.clone(), "install what lacks, or take a logical dump: --method dump")
        }
        (MethodChoice::Physical, None, _) => refuse(none(), "take a logical dump: --method dump"),
    }
}

/// Whether a copy of one is data that the other can be started with.
fn fits(method: CopyMethod, donor: ServerVersion, recipient: ServerVersion) -> bool {
    let series = |v: ServerVersion| (v.number.0, v.number.1);
    let same_series = donor.flavor == recipient.flavor && series(donor) == series(recipient);
    match method {
        CopyMethod::Backup => same_series,
        // From 8.0.37 on servers of one series clone from each other; before, of one release.
        // A dump brings the tables of accounts with it, which releases before that change.
        CopyMethod::Dump if donor.is_mariadb() || !donor.at_least(8, 0, 0) => same_series,
        CopyMethod::Clone | CopyMethod::Dump => {
            let both = donor.at_least(8, 0, 37) && recipient.at_least(8, 0, 37);
            same_series && (both || donor.number == recipient.number)
        }
    }
}

/// Why a server cannot give its data to this one now.
fn unfit(
    snapshot: &ClusterSnapshot,
    request: &RebuildRequest,
    recipient: &ServerFacts,
    donor: &Address,
    method: CopyMethod,
    busy: &BTreeSet<Address>,
) -> Result<(), Reason> {
    let no = |why: String, remedy: &str| Err(Reason::new(why, remedy));
    let Some(facts) = snapshot.live(donor) else {
        return no(format!("{donor} does not answer"), "bring it back");
    };
    if facts.binlog_server {
        return no(format!("{donor} is a binlog server: it has no tables"), "none");
    }
    if busy.contains(donor) {
        return no(format!("{donor} gives or gets data already"), "wait until that is over");
    }
    if !fits(method, facts.version, recipient.version) {
        return no(
            format!(
                "{donor} is of {}, and a copy is of no use to {}",
                facts.version, recipient.version
            ),
            "both have to be of the same series",
        );
    }
    let agent = snapshot.policy.server(donor).host_access == HostAccessKind::Agent;
    if method != CopyMethod::Clone && !agent {
        return no(
            format!("there is no agent on the host of {donor} that could send its data"),
            "run `primacy agent` there and set host_access = \"agent\" for it",
        );
    }
    if facts.gtid_mode != GtidMode::On {
        return no(format!("{donor} has GTIDs not switched on"), "switch them on");
    }
    let Some(primary) = snapshot.primary.as_ref().filter(|primary| *primary != donor) else {
        return Ok(());
    };
    if !is_fed_by(snapshot, donor, primary) {
        return no(format!("{donor} does not replicate from {primary}"), "see: primacy topology");
    }
    let errant = errant_of(snapshot, primary, donor);
    if !errant.is_empty() {
        return no(
            format!("{donor} has transactions that the primary lacks: {}", errant.join(", ")),
            "see: primacy errant show",
        );
    }
    let Some(channel) = snapshot.live_channel(donor) else { return Ok(()) };
    if channel.receiver != ReceiverState::Running || !channel.applier_running {
        return no(format!("replication of {donor} does not run"), "START REPLICA there");
    }
    let lag = channel.lag_seconds.unwrap_or_default().saturating_sub(channel.delay_seconds);
    if lag.saturating_mul(1000) > request.max_lag.0 {
        return no(
            format!("{donor} is {lag} s behind, and no more than {} is allowed", request.max_lag),
            "wait until it has caught up, or allow more: --max-lag",
        );
    }
    Ok(())
}

/// The smaller the better: a replica that nobody wants as primary, of the same site, not delayed.
fn rank(
    snapshot: &ClusterSnapshot,
    recipient: &Address,
    donor: &Address,
) -> (bool, u64, bool, bool, u64, Address) {
    let (own, policy) = (snapshot.policy.server(recipient), snapshot.policy.server(donor));
    let channel = snapshot.live_channel(donor);
    (
        snapshot.primary.as_ref() == Some(donor),
        channel.map_or(0, |channel| channel.delay_seconds),
        own.site != policy.site,
        policy.promotion != Promotion::Never,
        channel.and_then(|channel| channel.lag_seconds).unwrap_or_default(),
        donor.clone(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, addr, cluster, pos};
    use primacy_types::ContactFailure;

    fn world() -> World {
        let mut world = cluster(["a", "b", "c"]);
        for server in ["a", "b", "c"] {
            world.snapshot.policy.servers.entry(addr(server)).or_default().host_access =
                HostAccessKind::Agent;
        }
        world
    }

    fn request(server: &str) -> RebuildRequest {
        RebuildRequest {
            server: addr(server),
            from: None,
            rate: None,
            max_lag: Millis::from_secs(60),
            remove_old: false,
            method: MethodChoice::Auto,
            no_physical: None,
        }
    }

    fn plan(world: &World, request: &RebuildRequest) -> Result<RebuildPlan, RebuildRefusal> {
        plan_rebuild(&world.snapshot, request, &BTreeSet::new())
    }

    fn why(result: Result<RebuildPlan, RebuildRefusal>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_replica_gives_by_preference_and_the_primary_if_nobody_else_can() {
        let mut world = world();
        let chosen = plan(&world, &request("b")).unwrap();
        assert_eq!((chosen.donor, chosen.method), (addr("c"), CopyMethod::Backup));
        world.facts("c").channels[0].lag_seconds = Some(61);
        let chosen = plan(&world, &request("b")).unwrap();
        assert_eq!(chosen.donor, addr("a"));
        assert!(chosen.notes[0].contains("the primary"), "{:?}", chosen.notes);
        let asked = RebuildRequest { from: Some(addr("c")), ..request("b") };
        assert!(why(plan(&world, &asked)).contains("61 s behind"));
        let asked = RebuildRequest { max_lag: Millis::from_secs(61), ..asked };
        assert_eq!(plan(&world, &asked).unwrap().donor, addr("c"));
    }

    #[test]
    fn the_primary_and_a_server_that_accepts_writes_are_never_rebuilt() {
        let mut world = world();
        assert!(why(plan(&world, &request("a"))).contains("primacy switchover"));
        world.facts("b").read_only = false;
        assert!(why(plan(&world, &request("b"))).contains("accepts writes"));
        assert!(why(plan(&world, &request("z"))).contains("none of the cluster"));
    }

    #[test]
    fn a_donor_with_transactions_of_its_own_or_of_another_series_is_none() {
        let mut world = world();
        world.facts("c").executed = pos("0-3-500");
        let asked = RebuildRequest { from: Some(addr("c")), ..request("b") };
        assert!(why(plan(&world, &asked)).contains("lacks"));
        let mut world = self::world();
        world.facts("c").version = "11.8.6-MariaDB".parse().unwrap();
        assert_eq!(plan(&world, &request("b")).unwrap().donor, addr("a"));
    }

    #[test]
    fn what_the_old_data_alone_has_is_said_beforehand() {
        let mut world = world();
        world.facts("b").executed = pos("0-2-500");
        let notes = plan(&world, &request("b")).unwrap().notes;
        assert!(notes[0].contains("errant export"), "{notes:?}");
    }

    #[test]
    fn who_is_busy_neither_gives_nor_gets() {
        let world = world();
        let busy = BTreeSet::from([addr("c")]);
        let of = |server| plan_rebuild(&world.snapshot, &request(server), &busy);
        assert_eq!(of("b").unwrap().donor, addr("a"));
        assert!(of("c").unwrap_err().to_string().contains("already"));
    }

    #[test]
    fn the_last_acknowledging_replica_is_not_rebuilt() {
        let world = world().semi_sync(1).failing("c", ContactFailure::Refused, 50, 1);
        let refused = why(plan(&world, &request("b")));
        assert!(refused.contains("only 0 replica(s) would give one"), "{refused}");
    }

    #[test]
    fn without_agents_there_is_no_rebuild() {
        let world = cluster(["a", "b"]);
        assert!(why(plan(&world, &request("b"))).contains("no agent"));
    }

    #[test]
    fn clones_need_one_release_until_the_series_allows_more() {
        let version = |text: &str| text.parse::<ServerVersion>().unwrap();
        let fit = |a: &str, b: &str| fits(CopyMethod::Clone, version(a), version(b));
        assert!(fit("8.0.36", "8.0.36") && !fit("8.0.35", "8.0.36"));
        assert!(fit("8.0.37", "8.0.40") && fit("9.7.1", "9.7.4") && !fit("8.4.1", "9.7.4"));
        let fit = |a: &str, b: &str| fits(CopyMethod::Dump, version(a), version(b));
        assert!(fit("5.6.24", "5.6.51") && !fit("5.6.51", "5.7.44") && !fit("8.0.11", "8.0.36"));
    }

    #[test]
    fn a_dump_is_the_last_resort_and_the_plan_says_why() {
        let version = |text: &str| text.parse::<ServerVersion>().unwrap();
        let asked = |method, lacks: Option<&str>| RebuildRequest {
            method,
            no_physical: lacks.map(str::to_owned),
            ..request("b")
        };
        let of = |text: &str, request| method_for(version(text), &request);
        let auto = asked(MethodChoice::Auto, None);
        assert_eq!(of("8.0.17", auto.clone()).unwrap(), (CopyMethod::Clone, None));
        let (method, why) = of("5.7.44", auto).unwrap();
        assert!(method == CopyMethod::Dump && why.unwrap().contains("slower"));
        let lacking = asked(MethodChoice::Auto, Some("mariadb-backup is not installed"));
        let (method, why) = of("10.11.6-MariaDB", lacking).unwrap();
        assert!(method == CopyMethod::Dump && why.unwrap().contains("is not installed"));
        let strict = asked(MethodChoice::Physical, Some("mariadb-backup is not installed"));
        let refused = of("10.11.6-MariaDB", strict).unwrap_err().to_string();
        assert!(refused.contains("--method dump"), "{refused}");
        assert!(of("5.6.24", asked(MethodChoice::Physical, None)).is_err());
        let wanted = asked(MethodChoice::Dump, None);
        assert_eq!(of("9.7.0", wanted).unwrap().0, CopyMethod::Dump);
        let world = world();
        let plan = plan(&world, &asked(MethodChoice::Dump, None)).unwrap();
        assert!(plan.method == CopyMethod::Dump && plan.notes[0].contains("it was asked for"));
    }
}
