//! `primacy check`: what stands against a failover or switchover, and what mends it.

use primacy_api::{CheckReport, HostReport};
use primacy_plan::{Can, Severity};
use primacy_types::HostAccessKind;

use crate::exit::Exit;
use crate::look::count;
use crate::paint;
use crate::render::table;

/// One cluster's findings, the weightiest first.
pub(crate) fn render(report: &CheckReport) -> String {
    let mut text = format!("{}  {}\n", paint::strong(&report.cluster), summary(report));
    let mut findings: Vec<_> = report.findings.iter().collect();
    findings.sort_by_key(|finding| finding.severity);
    for finding in findings {
        // Most sentences name their server.
        let server = match &finding.server {
            Some(server) if !finding.sentence.contains(&server.to_string()) => {
                format!("{server}: ")
            }
            _ => String::new(),
        };
        text.push_str(&format!(
            "\n{}  {server}{} {}\n",
            paint::severity(finding.severity),
            finding.sentence,
            paint::faint(format!("[{}]", finding.code))
        ));
        text.push_str(&mend(&finding.mend));
    }
    for part in &report.incomplete {
        text.push_str(&format!("\nunseen  {}: {}\n", part.server, part.sentence));
        text.push_str(&mend(part.mend.as_deref().unwrap_or_default()));
    }
    text.push_str(&hosts(&report.hosts));
    text
}

/// What may be done on the hosts, and what follows for a failover.
fn hosts(hosts: &[HostReport]) -> String {
    if hosts.is_empty() {
        return String::new();
    }
    let header = ["HOST OF", "BY", "WATCH", "KILL", "FILES", "LEASE", "ADDRESSES", "UNIT"];
    let rows = hosts.iter().map(|report| {
        let host = &report.host;
        let can = |can: &Can| match &host.unreached {
            Some(_) => "?".to_owned(),
            None => can.word().to_owned(),
        };
        let unit = match (&host.unit, &host.mask_unit) {
            (None, _) => "-".to_owned(),
            (Some(unit), Can::No(_)) => format!("{unit} (not masked)"),
            (Some(unit), _) => unit.clone(),
        };
        [
            host.server.to_string(),
            way(host.way).to_owned(),
            can(&host.watch),
            can(&host.kill),
            can(&host.read_files),
            can(&host.lease),
            can(&host.addresses),
            unit,
        ]
    });
    let mut text = format!("\n{}\n", table::plain(header, rows.collect()));
    for report in hosts {
        text.push_str(&format!("  {} as primary\n", report.host.server));
        for promise in &report.promises {
            text.push_str(&format!("    {promise}\n"));
        }
    }
    text
}

const fn way(way: HostAccessKind) -> &'static str {
    match way {
        HostAccessKind::Local => "local",
        HostAccessKind::Ssh => "ssh",
        HostAccessKind::Agent => "agent",
        HostAccessKind::Auto | HostAccessKind::None => "none",
    }
}

/// A statement may take several lines; all stand under its first character.
fn mend(statement: &str) -> String {
    if statement.is_empty() {
        return String::new();
    }
    let lines: Vec<_> = statement.lines().collect();
    format!("        mend: {}\n", lines.join("\n              "))
}

fn summary(report: &CheckReport) -> String {
    let verdict = match exit(report) {
        Exit::Done => paint::good("ready for a failover or switchover"),
        _ => paint::bad("not ready for every failover or switchover"),
    };
    let of = |severity| report.findings.iter().filter(|f| f.severity == severity).count();
    let kinds =
        [(Severity::Blocks, "blocking"), (Severity::Risk, "risk"), (Severity::Advice, "advice")];
    let counted: Vec<_> = kinds
        .iter()
        .map(|(severity, word)| (of(*severity), word))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    let mut text = match counted.as_slice() {
        [] => format!("{verdict}: nothing found"),
        kinds => {
            let number = count(report.findings.len(), "finding", "findings");
            format!("{verdict}: {number} ({})", kinds.join(", "))
        }
    };
    if !report.incomplete.is_empty() {
        let unseen = report.incomplete.len();
        text.push_str(&format!("; {} could not be looked at", count(unseen, "thing", "things")));
    }
    text
}

/// Whether anything blocks or risks a failover or switchover.
pub(crate) fn exit(report: &CheckReport) -> Exit {
    let weighs = |severity| matches!(severity, Severity::Blocks | Severity::Risk);
    if report.findings.iter().any(|f| weighs(f.severity)) { Exit::Refused } else { Exit::Done }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_api::Incomplete;
    use primacy_plan::testing::addr;
    use primacy_plan::{Finding, HostSeen, promises};

    use super::*;
    use crate::render::testing::stripped;

    fn finding(code: &'static str, severity: Severity, server: Option<&str>) -> Finding {
        Finding {
            code: code.into(),
            severity,
            server: server.map(addr),
            sentence: format!("something is wrong with {code}, and this follows from it"),
            mend: "SET GLOBAL read_only = ON;\nSET PERSIST read_only = ON;".into(),
        }
    }

    fn report(findings: Vec<Finding>) -> CheckReport {
        let (incomplete, hosts) = (Vec::new(), Vec::new());
        CheckReport { cluster: "c1".into(), findings, incomplete, hosts }
    }

    #[test]
    fn the_weightiest_comes_first_and_each_is_mended() {
        let mut report = report(vec![
            finding("sync-binlog", Severity::Advice, Some("a")),
            finding("heartbeat", Severity::Risk, Some("b")),
            finding("no-candidate", Severity::Blocks, None),
            finding("log-replica-updates", Severity::Blocks, Some("b")),
        ]);
        report.incomplete.push(Incomplete {
            server: addr("c"),
            sentence: "prepared XA transactions: the account lacks a privilege".into(),
            mend: Some("GRANT XA_RECOVER_ADMIN ON *.* TO 'primacy'@'%'".into()),
        });
        assert_eq!(exit(&report), Exit::Refused);
        assert_snapshot!(stripped(&render(&report)), @"
        c1  not ready for every failover or switchover: 4 findings (2 blocking, 1 risk, 1 advice); 1 thing could not be looked at

        blocks  something is wrong with no-candidate, and this follows from it [no-candidate]
                mend: SET GLOBAL read_only = ON;
                      SET PERSIST read_only = ON;

        blocks  b:3306: something is wrong with log-replica-updates, and this follows from it [log-replica-updates]
                mend: SET GLOBAL read_only = ON;
                      SET PERSIST read_only = ON;

        risk    b:3306: something is wrong with heartbeat, and this follows from it [heartbeat]
                mend: SET GLOBAL read_only = ON;
                      SET PERSIST read_only = ON;

        advice  a:3306: something is wrong with sync-binlog, and this follows from it [sync-binlog]
                mend: SET GLOBAL read_only = ON;
                      SET PERSIST read_only = ON;

        unseen  c:3306: prepared XA transactions: the account lacks a privilege
                mend: GRANT XA_RECOVER_ADMIN ON *.* TO 'primacy'@'%'
        ");
    }

    #[test]
    fn advice_alone_is_no_reason_to_fail() {
        let report = report(vec![finding("sync-binlog", Severity::Advice, Some("a"))]);
        assert_eq!(exit(&report), Exit::Done);
        assert_snapshot!(stripped(&render(&report)), @"
        c1  ready for a failover or switchover: 1 finding (1 advice)

        advice  a:3306: something is wrong with sync-binlog, and this follows from it [sync-binlog]
                mend: SET GLOBAL read_only = ON;
                      SET PERSIST read_only = ON;
        ");
    }

    #[test]
    fn what_may_be_done_on_hosts_is_a_table_with_what_follows() {
        let world = primacy_plan::testing::cluster(["a", "b"]);
        let mut report = report(Vec::new());
        let mut a = HostSeen::new(addr("a"), HostAccessKind::Agent);
        (a.watch, a.kill, a.read_files, a.lease) = (Can::Yes, Can::Yes, Can::Yes, Can::Yes);
        (a.unit, a.mask_unit) = (Some("mariadb.service".into()), Can::No("not root".into()));
        let mut b = HostSeen::new(addr("b"), HostAccessKind::Ssh);
        b.unreached = Some("connection refused".into());
        report.hosts = [a, b]
            .into_iter()
            .map(|host| HostReport { promises: promises(&world.snapshot, &host).to_vec(), host })
            .collect();
        assert_snapshot!(stripped(&hosts(&report.hosts)), @r"

        HOST OF  BY     WATCH  KILL  FILES  LEASE  ADDRESSES  UNIT
        a:3306   agent  yes    yes   yes    yes    -          mariadb.service (not masked)
        b:3306   ssh    ?      ?     ?      ?      ?          -

        a:3306 as primary
          dies or hangs: its agent fences it, and what nobody received is read from its disk
          host lost: its lease has run out, before which its agent made it read-only or killed it; what nobody received stays on its disk
        b:3306 as primary
          dies: it is replaced, and what nobody received stays on its disk; one that only falls silent is not replaced
          host lost: it is not replaced before a person says that it is off
        ");
    }

    #[test]
    fn nothing_found() {
        assert_snapshot!(stripped(&render(&report(Vec::new()))), @"c1  ready for a failover or switchover: nothing found");
    }
}
