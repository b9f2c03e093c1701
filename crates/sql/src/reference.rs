//! The tables of this crate as a page for people.

use std::fmt::Write;

use crate::class::Route;
use crate::classify::rules::RULES;
use crate::pin::Pin;
use crate::why::Why;
use crate::word::{FUNCTIONS, Function, LEFT_IN_9_6, NEVER, NO_SPACE};

/// A built-in function as the tables have it.
#[derive(Clone, Copy, Debug)]
pub struct BuiltIn {
    /// Its name in capital letters.
    pub name: &'static str,
    /// What calling it means.
    pub function: Function,
    /// The first version of MySQL that has it, 8.0 as 800; `None` if none has.
    pub mysql: Option<u16>,
    /// The first version of MariaDB that has it, 10.11 as 1011; `None` if none has.
    pub mariadb: Option<u16>,
    /// The first version of MySQL that no longer has it.
    pub mysql_until: Option<u16>,
    /// It is a stored function of that name if a space stands before its parenthesis.
    pub tight: bool,
}

/// All built-in functions that are known.
pub fn built_in_functions() -> impl Iterator<Item = BuiltIn> {
    FUNCTIONS.iter().flat_map(|group| {
        let since = |version: u16| (version != NEVER).then_some(version);
        group.names.split_whitespace().map(move |name| BuiltIn {
            name,
            function: group.function,
            mysql: since(group.mysql),
            mariadb: since(group.mariadb),
            mysql_until: (group.flags & LEFT_IN_9_6 != 0).then_some(906),
            tight: group.flags & NO_SPACE != 0,
        })
    })
}

fn route(route: Route) -> &'static str {
    match route {
        Route::Replica => "a replica may",
        Route::Primary => "primary",
        Route::Previous => "where the statement before went",
        Route::Transaction => "the transaction's connection",
        Route::Session => "every connection",
    }
}

/// The tables of `docs/proxy-routing.md`.
pub fn reference() -> String {
    let mut page = String::new();
    // Writing to a String does not fail.
    let _ = reasons(&mut page);
    let _ = statements(&mut page);
    let _ = functions(&mut page);
    let _ = pins(&mut page);
    page
}

fn reasons(page: &mut String) -> std::fmt::Result {
    writeln!(page, "## Reasons\n")?;
    writeln!(
        page,
        "Of several the last one in this table counts. \"Hint\": `/* primacy:replica */` may overrule it.\n"
    )?;
    writeln!(page, "| reason | runs on | hint |\n|---|---|---|")?;
    for why in Why::ALL {
        let hint = if why.yields_to_hint() { "yes" } else { "" };
        writeln!(page, "| {} | {} | {hint} |", why.sentence(), route(why.route()))?;
    }
    writeln!(page)
}

fn statements(page: &mut String) -> std::fmt::Result {
    writeln!(page, "## Statements by their first words\n")?;
    writeln!(
        page,
        "The first row that fits counts. What stands behind the words can move a statement further down in\n\
         the table of reasons, never up, except that `START TRANSACTION READ ONLY` may run on a replica.\n"
    )?;
    writeln!(
        page,
        "| begins with | runs on | because | commits | pins, because |\n|---|---|---|---|---|"
    )?;
    for words in ["SELECT", "WITH", "VALUES", "TABLE"] {
        let why = Why::OnlyReads;
        writeln!(page, "| `{words}` | {} | {} | | |", route(why.route()), why.sentence())?;
    }
    for words in ["INSERT", "UPDATE", "DELETE", "REPLACE"] {
        let why = Why::WritesRows;
        writeln!(page, "| `{words}` | {} | {} | | |", route(why.route()), why.sentence())?;
    }
    for rule in RULES {
        let commits = if rule.commits { "yes" } else { "" };
        let pin = rule.pin.map_or("", Pin::sentence);
        let why = rule.why;
        writeln!(
            page,
            "| `{}` | {} | {} | {commits} | {pin} |",
            rule.words,
            route(why.route()),
            why.sentence()
        )?;
    }
    let why = Why::UnknownStatement;
    writeln!(
        page,
        "| anything else | {} | {} | | {} |\n",
        route(why.route()),
        why.sentence(),
        Pin::Opaque.sentence()
    )
}

fn functions(page: &mut String) -> std::fmt::Result {
    writeln!(page, "## Functions\n")?;
    writeln!(
        page,
        "A function that is not named here is stored or loadable: the primary gets the statement unless the\n\
         function is allowed. \"With a space\": it is a stored function of that name if a space stands before\n\
         the parenthesis.\n"
    )?;
    writeln!(page, "| meaning | MySQL since | MariaDB since | functions |\n|---|---|---|---|")?;
    for group in FUNCTIONS {
        let meaning = match group.function {
            Function::None => "",
            Function::Pure => "no matter where",
            Function::Clock => "no matter where; another result at another time",
            Function::Random | Function::Unique => "no matter where; another result each time",
            Function::Sleeps => "no matter where; waits",
            Function::Local => "each server for itself: primary",
            Function::InsertId => "the last insert's: primary",
            Function::RowCount | Function::FoundRows => "where the statement before went",
            Function::TakesLock => "primary, and pins the session",
            Function::OfLocks => "named locks: primary",
            Function::Sequence => "sequences: primary",
        };
        let since = |version: u16, all: u16| match version {
            NEVER => "never".to_owned(),
            version if version == all => "always".to_owned(),
            version => format!("{}.{}", version / 100, version % 100),
        };
        let tight = if group.flags & NO_SPACE != 0 { " (with a space: stored)" } else { "" };
        let names: Vec<_> = group.names.split_whitespace().collect();
        writeln!(
            page,
            "| {meaning}{tight} | {}{} | {} | {} |",
            since(group.mysql, 506),
            if group.flags & LEFT_IN_9_6 != 0 { ", until 9.5" } else { "" },
            since(group.mariadb, 1005),
            names.join(" ")
        )?;
    }
    writeln!(page)
}

fn pins(page: &mut String) -> std::fmt::Result {
    writeln!(page, "## What binds a session to one connection\n")?;
    writeln!(
        page,
        "\"Tracked\": a server that reports session state in its answers can end it, or show that there is\n\
         nothing to be bound to.\n"
    )?;
    writeln!(page, "| because | until | tracked |\n|---|---|---|")?;
    for pin in Pin::ALL {
        let tracked = if pin.yields_to_tracking() { "yes" } else { "" };
        writeln!(page, "| {} | {} | {tracked} |", pin.sentence(), pin.until())?;
    }
    Ok(())
}
