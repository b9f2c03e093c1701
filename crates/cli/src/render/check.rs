//! `primacy check`: what stands against a failover or switchover, and what mends it.

use primacy_api::CheckReport;
use primacy_plan::Severity;

use crate::exit::Exit;
use crate::look::count;
use crate::paint;

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
    text
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
    use primacy_plan::Finding;
    use primacy_plan::testing::addr;

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
        CheckReport { cluster: "c1".into(), findings, incomplete: Vec::new() }
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
    fn nothing_found() {
        assert_snapshot!(stripped(&render(&report(Vec::new()))), @"c1  ready for a failover or switchover: nothing found");
    }
}
