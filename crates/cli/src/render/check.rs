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
        let server = finding.server.as_ref().map(|s| format!("{s}: ")).unwrap_or_default();
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
    let of = |severity| report.findings.iter().filter(|f| f.severity == severity).count();
    let mut parts = Vec::new();
    let unseen = report.incomplete.len();
    for (n, one, many) in [
        (of(Severity::Blocks), "blocks", "block"),
        (of(Severity::Risk), "risk", "risks"),
        (of(Severity::Advice), "piece of advice", "pieces of advice"),
        (unseen, "thing could not be looked at", "things could not be looked at"),
    ] {
        if n > 0 {
            parts.push(count(n, one, many));
        }
    }
    let verdict = match exit(report) {
        Exit::Done => paint::good("ready for a failover or switchover"),
        _ => paint::bad("not ready for every failover or switchover"),
    };
    let number = match report.findings.len() {
        0 => "nothing found".to_owned(),
        n => count(n, "finding", "findings"),
    };
    if parts.is_empty() {
        format!("{verdict}: {number}")
    } else {
        format!("{verdict}: {number} ({})", parts.join(", "))
    }
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
        assert_snapshot!(stripped(&render(&report)), @"");
    }

    #[test]
    fn advice_alone_is_no_reason_to_fail() {
        let report = report(vec![finding("sync-binlog", Severity::Advice, Some("a"))]);
        assert_eq!(exit(&report), Exit::Done);
        assert_snapshot!(stripped(&render(&report)), @"");
    }

    #[test]
    fn nothing_found() {
        assert_snapshot!(stripped(&render(&report(Vec::new()))), @"");
    }
}
