//! The table of commands.

mod manager;
mod node;
mod shared;

use crate::command::Command;

/// All of MHA's commands, in the order of its documentation: first the manager's.
pub const COMMANDS: [&Command; 13] = [
    &manager::MANAGER,
    &manager::MASTER_SWITCH,
    &manager::CHECK_SSH,
    &manager::CHECK_REPL,
    &manager::CHECK_STATUS,
    &manager::STOP,
    &manager::CONF_HOST,
    &manager::MASTER_MONITOR,
    &manager::SECONDARY_CHECK,
    &node::SAVE_BINARY_LOGS,
    &node::APPLY_DIFF_RELAY_LOGS,
    &node::PURGE_RELAY_LOGS,
    &node::FILTER_MYSQLBINLOG,
];

/// The command of that name.
pub fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.into_iter().find(|command| command.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command::{Kind, Unknown};

    #[test]
    fn no_name_is_there_twice() {
        let names: BTreeSet<_> = COMMANDS.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
        for command in COMMANDS {
            let mut names = BTreeSet::new();
            for name in command.all_options().flat_map(|option| option.names()) {
                assert!(names.insert(name), "{} --{name}", command.name);
            }
        }
    }

    #[test]
    fn defaults_and_conditions_are_of_their_kind() {
        for command in COMMANDS {
            for option in command.all_options() {
                let named = format!("{} --{}", command.name, option.name);
                match (option.kind, option.default) {
                    (Kind::Number, Some(text)) => assert!(text.parse::<i64>().is_ok(), "{named}"),
                    (Kind::Switch, Some(text)) => assert!(text == "0" || text == "1", "{named}"),
                    _ => {}
                }
                if let Some((selector, _)) = option.only {
                    assert!(command.option(selector).is_some(), "{named}");
                }
            }
            if let Unknown::RefusedIf(selector, _) = command.unknown {
                assert!(command.option(selector).is_some(), "{}", command.name);
            }
            assert!(command.exits.iter().any(|(code, _)| *code == 1), "{}", command.name);
        }
    }
}
