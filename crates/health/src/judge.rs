//! The rules: what was seen of a server, and the answer that follows.

use primacy_types::{Address, Epoch, Millis};

use crate::{Answer, Role, Subject};

/// What a server is in its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// It is the primary.
    Primary,
    /// It is not.
    Other,
    /// Nobody has said, and leases are not in force for it.
    Untold,
}

/// What is known of its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseSeen {
    /// Leases are not in force here.
    NotInForce,
    /// It holds one that lets it accept writes.
    Good {
        /// For how long, if it is not renewed.
        left: Option<Millis>,
    },
    /// It may not accept writes, for this reason.
    Missing(String),
}

/// Its replication, all of its channels together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// It is connected and receives.
    pub receives: bool,
    /// What was received is applied.
    pub applies: bool,
    /// Seconds behind, as the server counts; `None` if it does not say.
    pub lag_seconds: Option<u64>,
}

/// What was seen of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub server: Address,
    /// Its cluster, if that is known.
    pub cluster: Option<String>,
    /// The highest reign that is known.
    pub epoch: Option<Epoch>,
    /// Why it cannot be asked now; `None` if it has just answered.
    pub silent: Option<String>,
    /// It was killed on purpose, and is kept down.
    pub kept_down: bool,
    /// It accepts writes of applications.
    pub writable: bool,
    /// What it is.
    pub part: Part,
    /// Its lease.
    pub lease: LeaseSeen,
    /// Its replication; `None` if it has no channel.
    pub replication: Option<Replication>,
}

/// Answers a question about a server.
///
/// `Ready` and `Live` are not about a server, and answered by whoever was asked.
pub fn judge(subject: &Subject, seen: &Seen) -> Answer {
    let said = match subject {
        Subject::Primary => is_primary(seen),
        Subject::Writable => is_writable(seen),
        Subject::Replica { max_lag } => is_replica(seen, *max_lag),
        Subject::Galera => Err(format!("{} is not a Galera node", seen.server)),
        Subject::Ready | Subject::Live => Ok("it answers".to_owned()),
    };
    let replication = seen.replication.as_ref();
    let role = match (&seen.part, replication) {
        _ if seen.silent.is_some() => Role::Unknown,
        (Part::Primary, _) => Role::Primary,
        (_, Some(_)) => Role::Replica,
        (Part::Untold, None) if seen.writable => Role::Primary,
        _ => Role::Unknown,
    };
    Answer {
        ok: said.is_ok(),
        reason: said.unwrap_or_else(|reason| reason),
        server: Some(seen.server.clone()),
        cluster: seen.cluster.clone(),
        role: Some(role),
        epoch: seen.epoch,
        lag_seconds: replication.and_then(|r| r.lag_seconds).filter(|_| seen.silent.is_none()),
        lease_ms: match seen.lease {
            LeaseSeen::Good { left } => left,
            _ => None,
        },
    }
}

type Said = Result<String, String>;

/// What must hold whatever is asked.
fn answers(seen: &Seen) -> Result<(), String> {
    if seen.kept_down {
        return Err(format!("{} is fenced and kept down", seen.server));
    }
    match &seen.silent {
        Some(reason) => Err(format!("{} does not answer: {reason}", seen.server)),
        None => Ok(()),
    }
}

fn may_be_written_to(seen: &Seen) -> Result<(), String> {
    let server = &seen.server;
    answers(seen)?;
    if let LeaseSeen::Missing(reason) = &seen.lease {
        return Err(format!("{server} may not be written to: {reason}"));
    }
    if seen.part == Part::Other {
        return Err(format!("{server} is not the primary"));
    }
    if !seen.writable {
        return Err(format!("{server} is read-only"));
    }
    Ok(())
}

fn is_primary(seen: &Seen) -> Said {
    let server = &seen.server;
    may_be_written_to(seen)?;
    match (&seen.part, &seen.replication) {
        (Part::Untold, Some(_)) => Err(format!(
            "{server} accepts writes and replicates from another server, and no manager has said \
             that it is the primary"
        )),
        (Part::Untold, None) => {
            Ok(format!("{server} accepts writes; leases are not in force for it"))
        }
        _ => Ok(format!("{server} is the primary and accepts writes")),
    }
}

fn is_writable(seen: &Seen) -> Said {
    may_be_written_to(seen)?;
    Ok(format!("{} accepts writes", seen.server))
}

fn is_replica(seen: &Seen, max_lag: Option<Millis>) -> Said {
    let server = &seen.server;
    answers(seen)?;
    if seen.part == Part::Primary {
        return Err(format!("{server} is the primary"));
    }
    let Some(replication) = &seen.replication else {
        return Err(format!("{server} does not replicate"));
    };
    match (replication.receives, replication.applies) {
        (true, true) => {}
        (false, true) => return Err(format!("{server} does not receive from its source")),
        (true, false) => return Err(format!("{server} does not apply what it receives")),
        (false, false) => return Err(format!("replication of {server} does not run")),
    }
    let Some(lag) = replication.lag_seconds else {
        return Err(format!("{server} does not say how far it is behind"));
    };
    match max_lag {
        Some(limit) if Millis::from_secs(lag) > limit => {
            Err(format!("{server} is {lag} s behind, and {limit} are allowed"))
        }
        _ => Ok(format!("{server} replicates and is {lag} s behind")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn primary() -> Seen {
        Seen {
            server: Address::new("db1", 3306),
            cluster: Some("shop".to_owned()),
            epoch: Some(Epoch(3)),
            silent: None,
            kept_down: false,
            writable: true,
            part: Part::Primary,
            lease: LeaseSeen::Good { left: Some(Millis(1500)) },
            replication: None,
        }
    }

    fn replica(lag_seconds: Option<u64>) -> Seen {
        let running = Replication { receives: true, applies: true, lag_seconds };
        Seen {
            writable: false,
            part: Part::Other,
            lease: LeaseSeen::Missing("it holds no lease".to_owned()),
            replication: Some(running),
            ..primary()
        }
    }

    const REPLICA: Subject = Subject::Replica { max_lag: Some(Millis(5000)) };

    #[test]
    fn a_primary_with_its_lease_is_told_from_a_replica() {
        let said = judge(&Subject::Primary, &primary());
        assert!(said.ok, "{said:?}");
        assert_eq!((said.role, said.lease_ms), (Some(Role::Primary), Some(Millis(1500))));
        assert!(!judge(&REPLICA, &primary()).ok);
        assert!(!judge(&Subject::Primary, &replica(Some(0))).ok);
        let said = judge(&REPLICA, &replica(Some(5)));
        assert!(said.ok, "{said:?}");
        assert_eq!((said.role, said.lag_seconds), (Some(Role::Replica), Some(5)));
    }

    #[test]
    fn a_replica_whose_lag_is_too_large_or_unknown_is_none() {
        assert_eq!(
            judge(&REPLICA, &replica(Some(6))).reason,
            "db1:3306 is 6 s behind, and 5 s are allowed"
        );
        assert!(!judge(&REPLICA, &replica(None)).ok);
        assert!(!judge(&Subject::Replica { max_lag: None }, &replica(None)).ok);
        assert!(judge(&Subject::Replica { max_lag: None }, &replica(Some(86_400))).ok);
    }

    #[test]
    fn where_no_manager_has_said_what_it_is_a_server_that_replicates_is_no_primary() {
        let untold = Seen { part: Part::Untold, lease: LeaseSeen::NotInForce, ..primary() };
        assert!(judge(&Subject::Primary, &untold).ok);
        let replicates = Seen { replication: replica(Some(0)).replication, ..untold };
        assert!(!judge(&Subject::Primary, &replicates).ok);
        assert!(judge(&Subject::Writable, &replicates).ok);
    }

    fn any_seen() -> impl Strategy<Value = Seen> {
        let lease = prop_oneof![
            Just(LeaseSeen::NotInForce),
            Just(LeaseSeen::Good { left: None }),
            Just(LeaseSeen::Missing("gone".to_owned())),
        ];
        let part = prop_oneof![Just(Part::Primary), Just(Part::Other), Just(Part::Untold)];
        let running = (any::<bool>(), any::<bool>(), proptest::option::of(0..9_u64));
        let running = proptest::option::of(running.prop_map(|(receives, applies, lag_seconds)| {
            Replication { receives, applies, lag_seconds }
        }));
        let flags = (any::<bool>(), any::<bool>(), any::<bool>());
        (lease, part, running, flags).prop_map(|(lease, part, replication, flags)| Seen {
            lease,
            part,
            replication,
            silent: flags.0.then(|| "no answer in time".to_owned()),
            kept_down: flags.1,
            writable: flags.2,
            ..primary()
        })
    }

    proptest! {
        /// One writer: a yes to writes needs everything that makes it safe, whatever else is true.
        #[test]
        fn a_yes_to_writes_needs_an_open_server_that_answers_and_no_missing_lease(seen in any_seen()) {
            for subject in [Subject::Primary, Subject::Writable] {
                if judge(&subject, &seen).ok {
                    prop_assert!(seen.silent.is_none() && !seen.kept_down && seen.writable);
                    prop_assert!(!matches!(seen.lease, LeaseSeen::Missing(_)));
                    prop_assert!(seen.part != Part::Other);
                }
            }
            prop_assert!(!(judge(&Subject::Primary, &seen).ok && judge(&REPLICA, &seen).ok)
                || seen.part == Part::Untold && seen.replication.is_none());
        }
    }
}
