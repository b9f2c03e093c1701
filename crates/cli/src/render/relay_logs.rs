//! `primacy purge-relay-logs`: what became of each server's relay logs.

use primacy_api::PurgeReport;

/// One line for each server.
pub(crate) fn render(report: &PurgeReport) -> String {
    let mut text = String::new();
    for server in &report.servers {
        let word = match (server.purged, report.dry_run) {
            (true, true) => "would purge",
            (true, false) => "purged",
            (false, _) => "kept",
        };
        let bytes = match (server.before, server.after) {
            (Some(before), Some(after)) => format!(" ({before} bytes before, {after} after)"),
            (Some(before), None) => format!(" ({before} bytes now)"),
            _ => String::new(),
        };
        text.push_str(&format!("{}  {word}: {}{bytes}\n", server.server, server.sentence));
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use primacy_exec::PurgedLogs;
    use primacy_plan::testing::addr;

    use super::*;

    #[test]
    fn each_server_has_a_line() {
        let server = |name, purged, after, sentence: &str| PurgedLogs {
            server: addr(name),
            purged,
            before: Some(4096),
            after,
            sentence: sentence.into(),
        };
        let report = PurgeReport {
            cluster: "c1".into(),
            dry_run: false,
            servers: vec![
                server("b", true, Some(512), "what b:3306 had applied was removed"),
                server("c", false, None, "the applier of c:3306 does not run"),
            ],
        };
        assert_snapshot!(render(&report), @r"
        b:3306  purged: what b:3306 had applied was removed (4096 bytes before, 512 after)
        c:3306  kept: the applier of c:3306 does not run (4096 bytes now)
        ");
    }
}
