//! A primary that does not commit the manager's own write; the limit is 10 s.

use primacy_plan::testing::{NOW, World};
use primacy_types::ContactFailure::{Refused, Silent, TooManyConnections};
use primacy_types::{Millis, ReceiverState, WriteTrouble, WriteWord};

use crate::{Case, three, with};

/// The state in which servers show a commit that hangs on a full disk.
const COMMIT: &str = "waiting for handler commit";

fn trouble(word: WriteWord, lasts: u64) -> World {
    with(three().local("a").readable("a"), |w| {
        w.snapshot.policy.write_probe = Some(Millis::from_secs(10));
        w.server("a").writes = Some(WriteTrouble { since: NOW - Millis(lasts), at: NOW, word });
    })
}

fn waits(state: &str, others: &[&str]) -> WriteWord {
    let others = others.iter().map(|other| (*other).to_owned()).collect();
    WriteWord::Waits { state: state.to_owned(), others }
}

fn hangs(state: &str) -> World {
    trouble(waits(state, &[]), 11_000)
}

fn refused(code: u16, message: &str) -> World {
    trouble(WriteWord::Refused { code, message: message.to_owned() }, 11_000)
}

const CANNOT: &str = "primary-cannot-write";

pub(crate) fn replaced() -> Vec<Case> {
    let mariadb = waits("Commit", &["Waiting for someone to free space", "Commit"]);
    vec![
        ("a commit hangs", hangs(COMMIT), CANNOT, "fail over"),
        (
            "a commit hangs as long as allowed",
            trouble(waits(COMMIT, &[]), 10_000),
            CANNOT,
            "fail over",
        ),
        ("a disk is full, as MariaDB shows it", trouble(mariadb, 11_000), CANNOT, "fail over"),
        (
            "a disk is full: the error of the server",
            refused(1021, "Disk full"),
            CANNOT,
            "fail over",
        ),
        ("a table is full", refused(1114, "The table 'probe' is full"), CANNOT, "fail over"),
        ("writing failed", refused(1026, "Error writing file"), CANNOT, "fail over"),
        ("writing failed in the file layer", refused(3, "Error writing file"), CANNOT, "fail over"),
        (
            "no space, as the storage engine says it",
            refused(1030, "Got error 28 \"No space left on device\" from storage engine InnoDB"),
            CANNOT,
            "fail over",
        ),
        (
            "a commit hangs, and what asks for the log is not answered",
            hangs(COMMIT).failing("a", Silent, 8000, 14),
            CANNOT,
            "fail over",
        ),
        (
            "a commit hangs, and clients have taken all connections",
            hangs(COMMIT).failing("a", TooManyConnections, 8000, 14),
            CANNOT,
            "fail over",
        ),
    ]
}

pub(crate) fn held_up() -> Vec<Case> {
    let acknowledged = "Waiting for semi-sync ACK from replica";
    let degraded = |name, world| (name, world, "degraded", "alarm");
    vec![
        ("a commit takes its time", trouble(waits(COMMIT, &[]), 9000), "healthy", "nothing"),
        (
            "a commit hung, long ago",
            with(hangs(COMMIT), |w| {
                if let Some(trouble) = &mut w.server("a").writes {
                    trouble.at = NOW - Millis(3500);
                }
            }),
            "healthy",
            "nothing",
        ),
        (
            "the probe was turned off",
            with(hangs(COMMIT), |w| w.snapshot.policy.write_probe = None),
            "healthy",
            "nothing",
        ),
        degraded("a global read lock", hangs("Waiting for global read lock")),
        degraded("a backup lock", hangs("Waiting for backup lock")),
        degraded("a metadata lock", hangs("Waiting for table metadata lock")),
        degraded("a flush", hangs("Waiting for table flush")),
        degraded("a lock, by its error", refused(1205, "Lock wait timeout exceeded")),
        degraded("no replica acknowledges", hangs(acknowledged)),
        degraded(
            "no replica acknowledges, on MariaDB",
            hangs("Waiting for semi-sync ACK from slave"),
        ),
        degraded(
            "no replica acknowledges the commit before it",
            trouble(waits(COMMIT, &[acknowledged]), 11_000),
        ),
        degraded("read-only", refused(1290, "running with the --read-only option")),
        degraded("a missing privilege", refused(1142, "INSERT command denied")),
        degraded("its table is broken", refused(1194, "Table 'probe' is marked as crashed")),
        degraded("an engine's other error", refused(1030, "Got error 168 from storage engine")),
        (
            "a commit hangs, cluster paused",
            with(hangs(COMMIT), |w| w.snapshot.paused = true),
            CANNOT,
            "alarm",
        ),
        (
            "a commit hangs, automatic failover off",
            with(hangs(COMMIT), |w| w.snapshot.policy.automatic_failover = false),
            CANNOT,
            "alarm",
        ),
        (
            "a commit hangs soon after a failover",
            with(hangs(COMMIT), |w| {
                w.snapshot.last_failover = Some(NOW - Millis::from_secs(60));
            }),
            CANNOT,
            "alarm",
        ),
        (
            "a commit hangs, and the primary cannot be fenced",
            with(hangs(COMMIT), |w| {
                w.server("a").fences.clear();
                w.snapshot.policy.unfenced = primacy_types::RefuseOrProceed::Proceed;
            }),
            CANNOT,
            "alarm",
        ),
        (
            "a commit hangs, and no replica answers",
            hangs(COMMIT).failing("b", Silent, 9000, 18).failing("c", Refused, 9000, 99),
            CANNOT,
            "alarm",
        ),
        (
            "a commit hangs, and nobody may be promoted",
            with(hangs(COMMIT), |w| {
                for name in ["b", "c"] {
                    w.facts(name).log_bin = false;
                    w.channel(name).receiver = ReceiverState::Stopped;
                }
            }),
            CANNOT,
            "alarm",
        ),
        (
            "a commit hangs, and the process has ended since",
            hangs(COMMIT).primary_killed(),
            "primary-dead",
            "fail over",
        ),
    ]
}
