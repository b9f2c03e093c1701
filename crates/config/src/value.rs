//! One value of the file: read according to the kind of its key, and written back.

use std::ops::Range;
use std::path::PathBuf;

use primacy_types::{
    Address, Arguments, HookEvent, Millis, OnCleanShutdown, SshOption, SshSettingError, SshUser,
    VirtualAddress,
};
use toml::Spanned;
use toml::de::DeValue;

use crate::duration;
use crate::error::Problems;
use crate::model::Fingerprint;
use crate::nearest::nearest;
use crate::schema::{Key, Kind, Preset};
use crate::url::Url;

/// A value that fits its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Path(PathBuf),
    Bool(bool),
    Integer(u64),
    Duration(Millis),
    Word(&'static str),
    CleanShutdown(OnCleanShutdown),
    OffOrDuration(Option<Millis>),
    Address(Address),
    Addresses(Vec<(Address, Range<usize>)>),
    Fingerprint(Fingerprint),
    SshUser(SshUser),
    SshOptions(Vec<SshOption>),
    Arguments(Vec<String>),
    Call(Vec<String>),
    Moments(Vec<HookEvent>),
    Url(Url),
    VirtualAddresses(Vec<VirtualAddress>),
}

/// Why a value does not fit, and what would.
pub(crate) struct Misfit {
    reason: String,
    help: String,
}

fn misfit<T>(reason: impl Into<String>, help: impl Into<String>) -> Result<T, Misfit> {
    Err(Misfit { reason: reason.into(), help: help.into() })
}

impl Value {
    /// Reads what stands in the file; a misfit is noted and gives nothing.
    pub(crate) fn read(
        key: &Key,
        value: &Spanned<DeValue<'_>>,
        problems: &mut Problems<'_>,
    ) -> Option<Self> {
        let read = match (key.kind, value.get_ref()) {
            (Kind::Addresses, DeValue::Array(items)) => {
                return read_addresses(items.iter(), problems);
            }
            (Kind::SshOptions, DeValue::Array(items)) => {
                return read_ssh_options(items.iter(), problems);
            }
            (Kind::Arguments, DeValue::Array(items)) => {
                return read_arguments(items.iter(), problems);
            }
            (Kind::Call, DeValue::Array(items)) => {
                return read_call(items.iter(), &value.span(), problems);
            }
            (Kind::Moments, DeValue::Array(items)) => {
                return read_moments(items.iter(), &value.span(), problems);
            }
            (Kind::VirtualAddresses, DeValue::Array(items)) => {
                return read_virtual_addresses(items.iter(), problems);
            }
            (Kind::Bool, DeValue::Boolean(flag)) => Ok(Self::Bool(*flag)),
            (Kind::Integer { min, max }, DeValue::Integer(number)) => {
                integer(&number.to_string(), parse_integer(number), min, max)
            }
            (
                Kind::Bool
                | Kind::Integer { .. }
                | Kind::Addresses
                | Kind::SshOptions
                | Kind::Arguments
                | Kind::Call
                | Kind::Moments
                | Kind::VirtualAddresses,
                other,
            )
            | (_, other @ (DeValue::Boolean(_) | DeValue::Integer(_) | DeValue::Float(_)))
            | (_, other @ (DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_))) => {
                let found = match key.kind {
                    // Somebody may have put the password itself here.
                    Kind::EnvName | Kind::CredentialName | Kind::Url => {
                        "what stands here".to_owned()
                    }
                    _ => found(other),
                };
                misfit(
                    format!("`{}` takes {}, not {found}", key.name, takes(key.kind)),
                    format!("write {} = {}", key.name, sample(key)),
                )
            }
            (kind, DeValue::String(text)) => Self::from_text(kind, text),
        };
        read.map_err(|misfit| problems.add(&value.span(), misfit.reason, misfit.help)).ok()
    }

    /// The value that holds if the key is not written.
    pub(crate) fn preset(key: &Key) -> Option<Self> {
        match (&key.preset, key.kind) {
            (Preset::Required | Preset::Unset(_), _) => None,
            (Preset::Is(text), Kind::Bool) => text.parse().ok().map(Self::Bool),
            (Preset::Is(text), Kind::Integer { .. }) => text.parse().ok().map(Self::Integer),
            (Preset::Is(text), kind) => Self::from_text(kind, text).ok(),
        }
    }

    fn from_text(kind: Kind, text: &str) -> Result<Self, Misfit> {
        if text.chars().any(char::is_control) {
            return misfit(
                "the text holds a line break or another control character",
                "write it on one line, without such characters",
            );
        }
        match kind {
            Kind::Text { min, max } => bounded(text, min, max).map(Self::Text),
            Kind::Path => bounded(text, 1, 4096).map(|path| Self::Path(path.into())),
            Kind::Duration { min, max, whole_seconds } => {
                read_duration(text, min, max, whole_seconds).map(Self::Duration)
            }
            Kind::Word(words) => {
                let words = words();
                match words.iter().find(|word| **word == text) {
                    Some(word) => Ok(Self::Word(word)),
                    None => misfit(
                        format!("{} is not one of {}", quote(&shorten(text)), list(&words, "and")),
                        wanted(nearest(text, words.iter().copied()), &words),
                    ),
                }
            }
            Kind::CleanShutdown => read_clean_shutdown(text).map(Self::CleanShutdown),
            Kind::OffOrDuration { .. } if text == "off" => Ok(Self::OffOrDuration(None)),
            Kind::OffOrDuration { min, max } => {
                read_duration(text, min, max, false).map(|length| Self::OffOrDuration(Some(length)))
            }
            Kind::Address => text.parse().map(Self::Address).or_else(|error| {
                misfit(format!("{error}"), "write \"host\", \"host:3306\" or \"[::1]:3306\"")
            }),
            Kind::Fingerprint => text
                .parse()
                .map(Self::Fingerprint)
                .or_else(|error| misfit(format!("{error}"), "copy the whole fingerprint")),
            Kind::EnvName => env_name(text).map(Self::Text),
            Kind::CredentialName => credential_name(text).map(Self::Text),
            Kind::SshUser => text.parse().map(Self::SshUser).or_else(|error: SshSettingError| {
                misfit(error.to_string(), "write the plain name of a user")
            }),
            Kind::Program => absolute(text, HOOK_HELP).map(|path| Self::Path(path.into())),
            Kind::Folder => absolute(text, FOLDER_HELP).map(|path| Self::Path(path.into())),
            Kind::Url => Url::parse(text)
                .map(Self::Url)
                .or_else(|error| misfit(error.to_string(), "write https://host/path")),
            // Not written as texts; `read` does not come here with them.
            Kind::Bool
            | Kind::Integer { .. }
            | Kind::Addresses
            | Kind::SshOptions
            | Kind::Arguments
            | Kind::Call
            | Kind::Moments
            | Kind::VirtualAddresses => misfit("this is not a text", "write it without quotes"),
        }
    }

    /// As it is written in the file.
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Self::Text(text) => quote(text),
            Self::Path(path) => quote(&path.to_string_lossy()),
            Self::Bool(flag) => flag.to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Duration(length) => quote(&duration::format(*length)),
            Self::Word(word) => quote(word),
            Self::CleanShutdown(OnCleanShutdown::Wait(length)) => {
                quote(&format!("wait {}", duration::format(*length)))
            }
            Self::CleanShutdown(OnCleanShutdown::Failover) => quote("failover"),
            Self::CleanShutdown(OnCleanShutdown::Ignore) => quote("ignore"),
            Self::OffOrDuration(None) => quote("off"),
            Self::OffOrDuration(Some(length)) => quote(&duration::format(*length)),
            Self::Address(address) => quote(&address.to_string()),
            Self::Addresses(addresses) => {
                let texts: Vec<String> =
                    addresses.iter().map(|(a, _)| quote(&a.to_string())).collect();
                format!("[{}]", texts.join(", "))
            }
            Self::Fingerprint(fingerprint) => quote(&fingerprint.to_string()),
            Self::SshUser(user) => quote(user.as_str()),
            Self::SshOptions(options) => {
                let texts: Vec<String> = options.iter().map(|o| quote(o.as_str())).collect();
                format!("[{}]", texts.join(", "))
            }
            Self::Arguments(arguments) | Self::Call(arguments) => {
                let texts: Vec<String> = arguments.iter().map(|text| quote(text)).collect();
                format!("[{}]", texts.join(", "))
            }
            Self::Moments(moments) => {
                let words: Vec<String> = moments.iter().map(|at| quote(at.word())).collect();
                format!("[{}]", words.join(", "))
            }
            Self::Url(url) => quote(url.as_str()),
            Self::VirtualAddresses(addresses) => {
                let texts: Vec<String> = addresses.iter().map(|a| quote(&a.to_string())).collect();
                format!("[{}]", texts.join(", "))
            }
        }
    }
}

fn read_addresses<'v, 'i: 'v>(
    items: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
    problems: &mut Problems<'_>,
) -> Option<Value> {
    let mut addresses = Some(Vec::new());
    for item in items {
        let read = match item.get_ref() {
            DeValue::String(text) => Value::from_text(Kind::Address, text),
            other => misfit(
                format!("a server is written as a text, not as {}", found(other)),
                "write \"host:3306\"; a server with settings of its own goes under \
                 [[cluster.NAME.server]]",
            ),
        };
        match read {
            Ok(Value::Address(address)) => {
                addresses = addresses.map(|mut known| {
                    known.push((address, item.span()));
                    known
                });
            }
            Ok(_) => {}
            Err(misfit) => {
                problems.add(&item.span(), misfit.reason, misfit.help);
                addresses = None;
            }
        }
    }
    addresses.map(Value::Addresses)
}

fn read_ssh_options<'v, 'i: 'v>(
    items: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
    problems: &mut Problems<'_>,
) -> Option<Value> {
    let help = "write \"-oName=value\"; see ssh_config(5)";
    let read = |text: &str, span: &Range<usize>, problems: &mut Problems<'_>| {
        let option = text.parse::<SshOption>();
        option.map_err(|error| problems.add(span, error.to_string(), help)).ok()
    };
    read_texts(items, "an option", help, problems, read).map(Value::SshOptions)
}

/// The arguments of a program; a wrong placeholder is shown where it stands.
fn read_arguments<'v, 'i: 'v>(
    items: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
    problems: &mut Problems<'_>,
) -> Option<Value> {
    let help = "write each argument as a text: [\"--to={new_primary}\", \"-v\"]";
    let read = |text: &str, span: &Range<usize>, problems: &mut Problems<'_>| {
        if text.contains('\0') {
            problems.add(span, "an argument ends at a NUL character", "write it without");
            return None;
        }
        let Err(error) = Arguments::parse(&[text]) else { return Some(text.to_owned()) };
        let place = problems.source.character(span, text, error.column);
        let reason = format!("character {} of this argument: {}", error.column, error.mistake);
        problems.add(&place, reason, help);
        None
    };
    read_texts(items, "an argument", help, problems, read).map(Value::Arguments)
}

/// A program and its arguments.
fn read_call<'v, 'i: 'v>(
    items: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
    all: &Range<usize>,
    problems: &mut Problems<'_>,
) -> Option<Value> {
    let help = "write the program's path and each argument as a text of its own";
    let mut first = true;
    let read = |text: &str, span: &Range<usize>, problems: &mut Problems<'_>| {
        let program = std::mem::take(&mut first);
        if text.contains('\0') || (program && !text.starts_with('/')) {
            let reason = match program {
                true => "the program must be an absolute path, without a NUL character",
                false => "an argument ends at a NUL character",
            };
            problems.add(span, reason, help);
            return None;
        }
        Some(text.to_owned())
    };
    let words = read_texts(items, "an argument", help, problems, read)?;
    if words.is_empty() {
        problems.add(all, "this starts nothing", help);
        return None;
    }
    Some(Value::Call(words))
}

fn read_moments<'v, 'i: 'v>(
    items: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
    all: &Range<usize>,
    problems: &mut Problems<'_>,
) -> Option<Value> {
    let words: Vec<&str> = HookEvent::all().map(HookEvent::word).collect();
    let read = |text: &str, span: &Range<usize>, problems: &mut Problems<'_>| {
        let moment = text.parse::<HookEvent>();
        let help = || wanted(nearest(text, words.iter().copied()), &words);
        let reason = || format!("{} is no moment", quote(&shorten(text)));
        moment.map_err(|_| problems.add(span, reason(), help())).ok()
    };
    let moments = read_texts(items, "a moment", "write \"after_failover\"", problems, read)?;
    if moments.is_empty() {
        let help = "name a moment, or remove the key: then it is called at all of them";
        problems.add(all, "at no moment this would ever be called", help);
        return None;
    }
    Some(Value::Moments(moments))
}

/// A list of texts, each read by `read`, which notes what is wrong; nothing, if any is.
fn read_texts<'v, 'i: 'v, 'p, T>(
    items: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
    one: &str,
    help: &str,
    problems: &mut Problems<'p>,
    mut read: impl FnMut(&str, &Range<usize>, &mut Problems<'p>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut all = Some(Vec::new());
    for item in items {
        let value = match item.get_ref() {
            DeValue::String(text) => read(text, &item.span(), problems),
            other => {
                let reason = format!("{one} is written as a text, not as {}", found(other));
                problems.add(&item.span(), reason, help);
                None
            }
        };
        all = all.zip(value).map(|(mut all, value)| {
            all.push(value);
            all
        });
    }
    all
}

fn read_virtual_addresses<'v, 'i: 'v>(
    items: impl Iterator<Item = &'v Spanned<DeValue<'i>>>,
    problems: &mut Problems<'_>,
) -> Option<Value> {
    let help = "write \"10.0.0.100\" or \"10.0.0.100/24@eth0\"";
    let read = |text: &str, span: &Range<usize>, problems: &mut Problems<'_>| {
        let address = text.parse::<VirtualAddress>();
        address.map_err(|error| problems.add(span, error.to_string(), help)).ok()
    };
    read_texts(items, "an address", help, problems, read).map(Value::VirtualAddresses)
}

fn parse_integer(number: &toml::de::DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn integer(text: &str, number: Option<u64>, min: u64, max: u64) -> Result<Value, Misfit> {
    match number {
        Some(n) if (min..=max).contains(&n) => Ok(Value::Integer(n)),
        _ => misfit(
            format!("{} is out of range", shorten(text)),
            format!("write a number from {min} to {max}"),
        ),
    }
}

fn bounded(text: &str, min: usize, max: usize) -> Result<String, Misfit> {
    match text.chars().count() {
        0 if min > 0 => misfit("the text is empty", "write something, or remove the key"),
        n if n > max => misfit(
            format!("the text has {n} characters"),
            format!("write at most {max} characters"),
        ),
        _ => Ok(text.to_owned()),
    }
}

const HOOK_HELP: &str =
    "write it from the root, such as \"/etc/primacy/hook\"; a line for a shell goes into `command`";
const FOLDER_HELP: &str = "write it from the root, such as \"/var/lib/binlogs\"";

fn absolute(text: &str, help: &'static str) -> Result<String, Misfit> {
    let path = bounded(text, 1, 4096)?;
    if path.starts_with('/') {
        return Ok(path);
    }
    misfit(format!("{} is not an absolute path", quote(&shorten(text))), help)
}

fn read_duration(
    text: &str,
    min: Millis,
    max: Millis,
    whole_seconds: bool,
) -> Result<Millis, Misfit> {
    let Some(length) = duration::parse(text) else {
        return misfit(
            format!("{} is not a duration", quote(&shorten(text))),
            "write whole numbers with units (d, h, m, s, ms), the larger first: \"500ms\", \
             \"3s\", \"1m 30s\"",
        );
    };
    if length < min || length > max {
        return misfit(
            format!("{} is out of range", quote(text)),
            format!(
                "write a duration from \"{}\" to \"{}\"",
                duration::format(min),
                duration::format(max)
            ),
        );
    }
    if whole_seconds && length.0 % 1000 != 0 {
        return misfit(
            format!("{} is not a whole number of seconds", quote(text)),
            format!("write \"{}s\"", length.0.div_ceil(1000)),
        );
    }
    Ok(length)
}

fn read_clean_shutdown(text: &str) -> Result<OnCleanShutdown, Misfit> {
    match text.split_once(' ') {
        None if text == "failover" => Ok(OnCleanShutdown::Failover),
        None if text == "ignore" => Ok(OnCleanShutdown::Ignore),
        Some(("wait", length)) => {
            let day = Millis::from_secs(86_400);
            read_duration(length, Millis::ZERO, day, false).map(OnCleanShutdown::Wait)
        }
        _ => misfit(
            format!("{} is not a reaction to a clean shutdown", quote(&shorten(text))),
            "write \"wait 30s\" (or another time), \"failover\" or \"ignore\"",
        ),
    }
}

/// The reasons do not repeat the text: somebody may have put the password itself here.
fn env_name(text: &str) -> Result<String, Misfit> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !text.is_empty() && text.chars().all(allowed) && !text.starts_with(|c: char| c.is_numeric())
    {
        return Ok(text.to_owned());
    }
    misfit(
        "this is not the name of an environment variable",
        "write the variable's name (letters, digits, `_`), not the password",
    )
}

fn credential_name(text: &str) -> Result<String, Misfit> {
    let allowed = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    if (1..=255).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('.') {
        return Ok(text.to_owned());
    }
    misfit(
        "this is not the name of a systemd credential",
        "write the name that stands in LoadCredential=, without a path",
    )
}

/// What a kind takes, for an error and for the reference.
pub(crate) fn takes(kind: Kind) -> String {
    match kind {
        Kind::Text { .. } => "a text".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Integer { min, max } => format!("a number from {min} to {max}"),
        Kind::Duration { min, max, whole_seconds } => format!(
            "a duration from `{}` to `{}`{}",
            duration::format(min),
            duration::format(max),
            if whole_seconds { " in whole seconds" } else { "" }
        ),
        Kind::Word(words) => list(&words(), "or"),
        Kind::CleanShutdown => "`wait DURATION`, `failover` or `ignore`".to_owned(),
        Kind::OffOrDuration { min, max } => format!(
            "`off` or a duration from `{}` to `{}`",
            duration::format(min),
            duration::format(max)
        ),
        Kind::Address => "the address of a server".to_owned(),
        Kind::Addresses => "a list of server addresses".to_owned(),
        Kind::Fingerprint => "a SHA-256 fingerprint".to_owned(),
        Kind::EnvName => "the name of an environment variable".to_owned(),
        Kind::CredentialName => "the name of a systemd credential".to_owned(),
        Kind::SshUser => "the name of a user".to_owned(),
        Kind::SshOptions => "a list of options of ssh".to_owned(),
        Kind::Program | Kind::Folder => "an absolute path".to_owned(),
        Kind::Arguments => "a list of texts".to_owned(),
        Kind::Call => "a program and its arguments as a list of texts".to_owned(),
        Kind::Moments => "a list of moments".to_owned(),
        Kind::Url => "a URL".to_owned(),
        Kind::VirtualAddresses => {
            "a list of virtual addresses, `IP[/PREFIX][@INTERFACE]`".to_owned()
        }
    }
}

/// A value that the key would take.
pub(crate) fn sample(key: &Key) -> String {
    if let (Some(value), true) = (Value::preset(key), !matches!(key.preset, Preset::Is(""))) {
        return value.to_toml();
    }
    match key.kind {
        Kind::Address => "\"db1:3306\"".to_owned(),
        Kind::Addresses => "[\"db1:3306\", \"db2:3306\"]".to_owned(),
        Kind::Path => "\"path/of/the/file\"".to_owned(),
        Kind::Fingerprint => format!("\"{}\"", Fingerprint([0xAB; 32])),
        Kind::EnvName => "\"PRIMACY_PASSWORD\"".to_owned(),
        Kind::SshUser => "\"primacy\"".to_owned(),
        Kind::SshOptions => "[\"-oProxyJump=bastion\"]".to_owned(),
        Kind::VirtualAddresses => "[\"10.0.0.100/32\"]".to_owned(),
        Kind::Integer { min, .. } => min.to_string(),
        Kind::Program | Kind::Folder => "\"/etc/primacy/hook\"".to_owned(),
        Kind::Arguments => "[\"--to={new_primary}\"]".to_owned(),
        Kind::Call => "[\"/usr/sbin/mariadbd\", \"--defaults-file=/etc/mysql/db1.cnf\"]".to_owned(),
        Kind::Moments => "[\"after_failover\"]".to_owned(),
        Kind::Url => "\"https://example.com/primacy\"".to_owned(),
        _ => format!("\"{}\"", key.name),
    }
}

/// What stands in the file, in words.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text {}", quote(&shorten(text))),
        DeValue::Integer(number) => format!("the number {}", shorten(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", shorten(number.as_str())),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

fn wanted(near: Option<&str>, words: &[&str]) -> String {
    match near {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => format!("write {}", list(words, "or")),
    }
}

/// `a`, `b` or `c`, each in backquotes.
pub(crate) fn list(words: &[&str], last: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, others)) => format!("{} {last} {end}", others.join(", ")),
        None => String::new(),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 40 {
        return text.to_owned();
    }
    text.chars().take(39).chain(['…']).collect()
}

/// A TOML text in quotes, on one line.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
