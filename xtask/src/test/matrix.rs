//! `docs/matrix.md`: what was tested on which server, with its result.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use primacy_sandbox::CATALOGUE;

use super::cases::{Case, Outcome};

/// The module of tests that only the matrix has; `primacy_testkit::on_servers!` makes it.
const IN_MATRIX: &str = "in_matrix";

/// The page.
pub(super) fn page(cases: &[Case], date: &str) -> String {
    let mut rows: BTreeMap<String, BTreeMap<&str, &Case>> = BTreeMap::new();
    for case in cases {
        if let Some((server, promise)) = split(&case.name) {
            rows.entry(promise).or_default().insert(server, case);
        }
    }
    let servers: Vec<_> = CATALOGUE.iter().map(|entry| entry.name).collect();
    let mut page = format!(
        "# What was tested on which server\n\n\
         Written by `cargo xtask test --matrix` on {date}. One line for each mode and promise; an \
         empty cell is one that the server cannot have (MySQL 5.6 came without semi-sync, for \
         example).\n\n"
    );
    let count = |wanted: fn(&Outcome) -> bool| cases.iter().filter(|c| wanted(&c.result)).count();
    let _ = writeln!(
        page,
        "{} tests passed, {} failed, {} were skipped; those without a server's name in theirs are \
         counted, not listed.\n",
        count(|result| *result == Outcome::Passed),
        count(|result| *result == Outcome::Failed),
        count(|result| matches!(result, Outcome::Skipped(_))),
    );
    let _ = writeln!(page, "| promise | {} |", servers.join(" | "));
    let _ = writeln!(page, "|---|{}", "---|".repeat(servers.len()));
    for (promise, results) in &rows {
        let cells: Vec<_> = servers
            .iter()
            .map(|server| results.get(server).map_or("", |case| cell(case)))
            .collect();
        let _ = writeln!(page, "| {} | {} |", promise.replace('_', " "), cells.join(" | "));
    }
    let skipped: Vec<_> = cases.iter().filter(|case| case.skipped()).collect();
    if !skipped.is_empty() {
        page.push_str("\nSkipped:\n\n");
        for case in skipped {
            let why = case.why().unwrap_or("no reason was given");
            let _ = writeln!(page, "- `{}`: {why}", case.name);
        }
    }
    page
}

fn cell(case: &Case) -> &'static str {
    match case.result {
        Outcome::Passed => "ok",
        Outcome::Failed => "**FAILED**",
        Outcome::Skipped(_) => "skipped",
    }
}

/// The server in a test's path (`mysql_9_7`), and the rest of the path.
fn split(name: &str) -> Option<(&'static str, String)> {
    let parts: Vec<&str> = name.split("::").collect();
    let (at, server) = parts.iter().enumerate().find_map(|(i, part)| {
        let is_it = |server: &str| server.replace(['-', '.'], "_") == *part;
        CATALOGUE.iter().find(|entry| is_it(entry.name)).map(|entry| (i, entry.name))
    })?;
    let mut rest: Vec<&str> = [&parts[..at], &parts[at + 1..]].concat();
    rest.retain(|part| *part != IN_MATRIX);
    (!rest.is_empty()).then(|| (server, rest.join(": ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_a_part_of_the_path() {
        assert_eq!(split("mysql_9_7::a_b"), Some(("mysql-9.7", "a_b".into())));
        assert_eq!(split("gtid::mariadb_10_11::a_b"), Some(("mariadb-10.11", "gtid: a_b".into())));
        let in_matrix = split("gtid::a_b::in_matrix::mysql_5_6");
        assert_eq!(in_matrix, Some(("mysql-5.6", "gtid: a_b".into())));
        assert_eq!(split("mariadb_10_110::a"), None);
        assert_eq!(split("mysql_9_7"), None);
    }

    #[test]
    fn a_promise_is_a_line_and_a_server_is_a_column() {
        let case = |name: &str, result| Case { name: name.into(), result, repeated: 0 };
        let cases = [
            case("mysql_9_7::nothing_is_lost", Outcome::Passed),
            case("mariadb_10_5::nothing_is_lost", Outcome::Failed),
            case("unit::other", Outcome::Passed),
        ];
        let page = page(&cases, "2026-01-02");
        assert!(page.contains("| nothing is lost | **FAILED** |  |  |  | ok |"), "{page}");
        assert!(page.contains("2 tests passed, 1 failed, 0 were skipped"), "{page}");
        assert!(!page.contains("| other"));
    }
}
