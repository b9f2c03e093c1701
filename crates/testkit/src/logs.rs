//! Logs of what a test ran, for the person who reads why it failed.

use std::fs;
use std::path::Path;

/// Lines of a server's log that are shown.
const OF_A_SERVER: usize = 15;
/// Lines of any other log that are shown.
pub(crate) const OF_OTHERS: usize = 120;

/// Prints the end of each log in the folders of a folder, if a test fails just now: for `Drop`.
pub fn show_logs_of_failure(dir: &Path) {
    if !std::thread::panicking() {
        return;
    }
    for folder in fs::read_dir(dir).into_iter().flatten().flatten() {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let path = file.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let lines = if path.ends_with("error.log") { OF_A_SERVER } else { OF_OTHERS };
                show(&path, lines);
            }
        }
    }
}

/// Prints the last lines of a log.
#[expect(clippy::print_stderr, reason = "shown with the output of the test that failed")]
pub(crate) fn show(log: &Path, lines: usize) {
    let Ok(text) = fs::read(log) else { return };
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    let last = &all[all.len().saturating_sub(lines)..];
    eprintln!("--- the end of {}:\n{}", log.display(), last.join("\n"));
}
