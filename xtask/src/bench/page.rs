//! What pages of measurements say of the command that made them.

use std::fmt::Write as _;

/// The command that measures the same again, for the page: the servers that were asked for and the numbers
/// (option, given, usual), as far as they are not the usual ones.
pub(super) fn command(
    name: &str,
    asked: &[String],
    usual: &[&str],
    numbers: &[(&str, u64, u64)],
) -> String {
    let mut text = format!("cargo xtask bench {name}");
    let asked = if asked == usual { &[] } else { asked };
    for server in asked {
        let _infallible = write!(text, " --server {server}");
    }
    for (option, given, _) in numbers.iter().filter(|(_, given, usual)| given != usual) {
        let _infallible = write!(text, " --{option} {given}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_command_has_what_differs_from_the_usual() {
        let usual = ["mariadb-10.11", "mysql-9.7"];
        let asked = |servers: &[&str], seconds, megabytes| {
            let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
            let numbers = [("seconds", seconds, 60), ("megabytes", megabytes, 512)];
            command("agent", &servers, &usual, &numbers)
        };
        assert_eq!(asked(&[], 60, 512), "cargo xtask bench agent");
        assert_eq!(asked(&usual, 60, 512), "cargo xtask bench agent");
        assert_eq!(asked(&[], 20, 64), "cargo xtask bench agent --seconds 20 --megabytes 64");
        assert_eq!(
            asked(&["mysql-9.7"], 60, 64),
            "cargo xtask bench agent --server mysql-9.7 --megabytes 64"
        );
    }
}
