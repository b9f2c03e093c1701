//! A command's help text and its manual page, made from the table.

use crate::COMPATIBLE_WITH;
use crate::command::{Command, Kind, Opt, Unknown};

/// So far to the right what options mean begins.
const COLUMN: usize = 34;

/// So wide is help.
const WIDTH: usize = 100;

/// What `--help` prints.
pub fn help(command: &Command) -> String {
    let mut text = format!("{}: {}\n", command.name, command.about);
    if !command.details.is_empty() {
        text.push_str(&format!("\n{}\n", wrapped(command.details, 0)));
    }
    text.push_str(&format!("\nUsage: {} [OPTIONS]\n\nOptions:\n", command.name));
    for option in command.all_options() {
        let written = format!("  {}", written(option));
        let pad = if written.len() + 2 > COLUMN {
            format!("\n{}", " ".repeat(COLUMN))
        } else {
            " ".repeat(COLUMN - written.len())
        };
        text.push_str(&format!("{written}{pad}{}\n", wrapped(&meaning(option), COLUMN)));
    }
    text.push_str("\nExit codes:\n");
    for (code, meaning) in command.exits {
        text.push_str(&format!("  {code:>3}  {meaning}\n"));
    }
    text.push_str(&format!("\n{}\n", wrapped(&remarks(command), 0)));
    text
}

/// Its manual page, section 1. Nothing is hyphenated (`.nh`): options are copied out of it.
pub fn man_page(command: &Command) -> String {
    let name = command.name;
    let mut text = format!(
        ".TH {name} 1 \"\" \"primacy {}\" \"MHA {COMPATIBLE_WITH} compatible commands\"\n\
         .nh\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n\\fB{}\\fR [OPTIONS]\n.SH DESCRIPTION\n",
        env!("CARGO_PKG_VERSION"),
        roff(name),
        roff(command.about),
        roff(name),
    );
    if !command.details.is_empty() {
        text.push_str(&format!("{}\n.PP\n", roff(command.details)));
    }
    text.push_str(&format!("{}\n.SH OPTIONS\n", roff(&remarks(command))));
    for option in command.all_options() {
        text.push_str(&format!(
            ".TP\n\\fB{}\\fR\n{}\n",
            roff(&written(option)),
            roff(&meaning(option))
        ));
    }
    text.push_str(".SH EXIT STATUS\n");
    for (code, meaning) in command.exits {
        text.push_str(&format!(".TP\n\\fB{code}\\fR\n{}\n", roff(meaning)));
    }
    text.push_str(".SH SEE ALSO\n\\fBprimacy\\fR(1)\n");
    text
}

fn written(option: &Opt) -> String {
    let name = option.name;
    match option.kind {
        Kind::Switch if option.default == Some("1") => format!("--{name}=0|1"),
        Kind::Switch => format!("--{name}"),
        Kind::Number => format!("--{name}=N"),
        Kind::Text | Kind::Secret => format!("--{name}=TEXT"),
        Kind::List => format!("--{name}=TEXT ..."),
    }
}

fn meaning(option: &Opt) -> String {
    let mut text = option.help.to_owned();
    if let Some(default) =
        option.default.filter(|default| *default != "0" || option.kind != Kind::Switch)
    {
        text.push_str(&format!(" [default: {default}]"));
    }
    if !option.aliases.is_empty() {
        let aliases: Vec<_> = option.aliases.iter().map(|alias| format!("--{alias}")).collect();
        text.push_str(&format!(" [also: {}]", aliases.join(", ")));
    }
    if let Some((selector, value)) = option.only {
        text.push_str(&format!(" [with --{selector}={value}]"));
    }
    text
}

fn remarks(command: &Command) -> String {
    let unknown = match command.unknown {
        Unknown::Passed => "Unknown options are named in a notice and passed over.".to_owned(),
        Unknown::Refused => "Unknown options are refused.".to_owned(),
        Unknown::RefusedIf(option, value) => format!(
            "Unknown options are refused with --{option}={value}, else named in a notice and passed \
             over."
        ),
    };
    format!(
        "Options may be written --name=value or --name value, in any case, and as any beginning that \
         is of one option only. {unknown}"
    )
}

/// Lines of words; those after the first are set in.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let width = lines.last().map_or(0, String::len);
        if width > 0 && indent + width + 1 + word.len() > WIDTH {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// Text that means nothing to roff.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    // A point or a quote at the beginning of a line is a command.
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}
