//! From the texts of an MHA configuration to an [`MhaConfig`], or to everything that is wrong with
//! them: which blocks there are, which value holds where, in which order the servers stand.

use std::collections::BTreeMap;

use primacy_config::ConfigErrors;

use crate::fault::Faults;
use crate::ini::{self, Holds, Line, Pair, unquoted};
use crate::keys::{KEYS, Key, key_named};
use crate::model::{Block, MhaConfig, Notice, Place, Setting};
use crate::order;
use crate::value::{self, Read};

/// Longer texts are refused unread.
const MAX_BYTES: usize = 1 << 20;

/// The block that holds for all servers.
pub(crate) const DEFAULT: &str = "server default";

/// What the lines of a script are called in messages.
pub const SCRIPT_OUTPUT: &str = "the output of init_conf_load_script";

/// A text and what it is called in messages.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The file as the caller names it.
    pub file: &'a str,
    /// What stands in it.
    pub text: &'a str,
}

/// The texts of a configuration. A later one counts more: what MHA presumes, the global file's
/// `[server default]`, that of the application, what the script printed, the block itself.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The global file (`/etc/masterha_default.cnf`), if there is one.
    pub global: Option<Source<'a>>,
    /// The application's file.
    pub app: Source<'a>,
    /// What [`init_script`] printed, if there is such a script.
    pub script: Option<&'a str>,
}

/// Blocks by name: where each begins first, and what is set in it.
type Blocks = BTreeMap<String, (Place, BTreeMap<&'static str, Setting>)>;

/// Which text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Global,
    App,
}

/// Reads a configuration of MHA.
///
/// # Errors
/// Everything that is wrong, each with file, line and the way out.
pub fn parse(sources: &Sources<'_>) -> Result<MhaConfig, ConfigErrors> {
    let mut reader = Reader::default();
    let global = sources.global.map(|source| reader.blocks(source, Part::Global));
    let mut blocks = reader.blocks(sources.app, Part::App);
    let mut defaults = BTreeMap::new();
    if let Some((_, settings)) = global.and_then(|mut global| global.remove(DEFAULT)) {
        let holds = |name: &str| key_named(name).is_some_and(|key| key.scope.global);
        defaults.extend(settings.into_iter().filter(|(name, _)| holds(name)));
    }
    let default = blocks.remove(DEFAULT);
    let place = default.as_ref().map(|(place, _)| place.clone());
    defaults.extend(default.map(|(_, settings)| settings).unwrap_or_default());
    if let Some(output) = sources.script {
        defaults.extend(reader.script(output));
    }
    let defaults = Block { name: DEFAULT.to_owned(), place, settings: defaults };
    let (servers, binlogs) = split(blocks, &defaults);
    let app = app_of(sources.app.file);
    let file = sources.app.file.to_owned();
    reader.check(sources.app, &servers, &binlogs);
    reader.faults.into_errors()?;
    let mut notices = reader.notices;
    notices.sort();
    notices.dedup();
    Ok(MhaConfig { app, file, defaults, servers, binlogs, notices })
}

/// The line for a shell whose output belongs to the configuration, if there is one: it is run before
/// [`parse`], without arguments.
///
/// # Errors
/// As [`parse`], for what can be known without the script.
pub fn init_script(
    app: Source<'_>,
    global: Option<Source<'_>>,
) -> Result<Option<String>, ConfigErrors> {
    let mut reader = Reader::default();
    let global = global.map(|source| reader.blocks(source, Part::Global)).unwrap_or_default();
    let app = reader.blocks(app, Part::App);
    reader.faults.into_errors()?;
    let line = |blocks: &Blocks| {
        let (_, settings) = blocks.get(DEFAULT)?;
        settings.get("init_conf_load_script").map(|setting| setting.value.shown())
    };
    Ok(line(&app).or_else(|| line(&global)).filter(|line| !line.trim().is_empty()))
}

/// The application's name: the file's own without its last extension.
pub fn app_of(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => name.to_owned(),
    }
}

/// Servers and binary log servers in MHA's order, each with what holds for it.
fn split(blocks: Blocks, defaults: &Block) -> (Vec<Block>, Vec<Block>) {
    let whole = |(name, (place, own)): (String, (Place, BTreeMap<&'static str, Setting>))| {
        let inherited = defaults.settings.iter().filter(|(name, _)| is_inherited(name));
        let mut settings: BTreeMap<_, _> =
            inherited.map(|(name, setting)| (*name, setting.clone())).collect();
        settings.extend(own);
        Block { name, place: Some(place), settings }
    };
    let (servers, binlogs): (Vec<_>, Vec<_>) =
        blocks.into_iter().map(whole).partition(|block| block.name.starts_with("server"));
    (order::sorted(servers), order::sorted(binlogs))
}

fn is_inherited(name: &str) -> bool {
    key_named(name).is_some_and(|key| key.scope.app || key.scope.global)
}

#[derive(Default)]
struct Reader {
    faults: Faults,
    notices: Vec<Notice>,
}

impl Reader {
    fn notice(&mut self, place: &Place, text: String) {
        self.notices.push(Notice { place: Some(place.clone()), text });
    }

    fn blocks(&mut self, source: Source<'_>, part: Part) -> Blocks {
        let mut blocks = Blocks::new();
        if source.text.len() > MAX_BYTES {
            let reason = format!("the file has {} bytes", source.text.len());
            let help = format!("a configuration has at most {MAX_BYTES}; is this another file?");
            self.faults.block(&Place { file: source.file.to_owned(), line: 1 }, "", reason, help);
            return blocks;
        }
        let mut block: Option<String> = None;
        let mut refused = false;
        for line in ini::lines(source.text) {
            let place = Place { file: source.file.to_owned(), line: line.number };
            match line.holds {
                Holds::Blank | Holds::Comment => {}
                Holds::Section(name) => {
                    refused = !self.takes_section(source.file, &line, name);
                    block = (!refused).then(|| name.to_owned());
                    if refused {
                        continue;
                    }
                    if part == Part::Global && name != DEFAULT {
                        let said =
                            format!("[{name}] of the global file is not read: only [{DEFAULT}] is");
                        self.notice(&place, said);
                    }
                    if let Some((first, _)) = blocks.get(name) {
                        let said =
                            format!("[{name}] began in line {} already; both count", first.line);
                        self.notice(&place, said);
                    }
                    blocks.entry(name.to_owned()).or_insert((place, BTreeMap::new()));
                }
                // A block that is refused is one fault, whatever stands in it.
                Holds::Pair(_) if refused => {}
                Holds::Pair(pair) => match &block {
                    Some(name) => {
                        let set = self.setting(source.file, &line, pair, name, part);
                        let known = blocks.get_mut(name).map(|(_, settings)| settings);
                        if let (Some((key, setting)), Some(settings)) = (set, known)
                            && let Some(former) = settings.insert(key, setting)
                        {
                            let text = format!(
                                "`{key}` was set in line {} already; this one counts",
                                former.place.line
                            );
                            self.notice(&place, text);
                        }
                    }
                    None => self.faults.line(
                        source.file,
                        &line,
                        "a key stands before the first section",
                        format!("write [{DEFAULT}] above it"),
                    ),
                },
                Holds::Strange => self.faults.line(
                    source.file,
                    &line,
                    "this line is no comment, no [section] and no key=value",
                    "put # before it, or mend it",
                ),
            }
        }
        blocks
    }

    /// Whether a section of this name may stand in a file.
    fn takes_section(&mut self, file: &str, line: &Line<'_>, name: &str) -> bool {
        let numbered = ["server", "binlog"].iter().any(|kind| {
            name.strip_prefix(kind)
                .is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace))
        });
        if numbered || name == DEFAULT {
            return true;
        }
        let known = [DEFAULT, "server1", "binlog1"];
        let help = match name {
            "mysqld" | "client" | "mysql" | "mariadb" => {
                "this looks like an option file of a database server: name the file of MHA"
                    .to_owned()
            }
            "server" | "binlog" => format!("write [{name}1]: a number or a word follows"),
            _ => match primacy_config::nearest(name, known) {
                Some(near) => format!("did you mean [{near}]?"),
                None => format!("sections are [{DEFAULT}], [serverN] and [binlogN]"),
            },
        };
        self.faults.line(file, line, format!("MHA knows no section [{}]", short(name)), help);
        false
    }

    fn setting(
        &mut self,
        file: &str,
        line: &Line<'_>,
        pair: Pair<'_>,
        block: &str,
        part: Part,
    ) -> Option<(&'static str, Setting)> {
        let place = Place { file: file.to_owned(), line: line.number };
        let Some(key) = key_named(pair.key) else {
            let names = KEYS.iter().map(|key| key.name);
            let help = match primacy_config::nearest(pair.key, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it, or put # before it; docs/mha.md lists the keys".to_owned(),
            };
            self.faults.line(file, line, format!("unknown key `{}`", short(pair.key)), help);
            return None;
        };
        if pair.doubtful_comment {
            let said = "what follows ` ;` is read as a comment";
            self.notice(&place, format!("`{}`: {said}", key.name));
        }
        if let Some(said) = without_effect(key, block, part) {
            self.notice(&place, format!("`{}` {said}", key.name));
        }
        let (text, paired) = unquoted(pair.value);
        if !paired {
            let said = "begins or ends with a quote that has no partner; it is left out";
            self.notice(&place, format!("`{}` {said}", key.name));
        }
        let value = match value::read(key, text) {
            Read::Fits(value) => value,
            Read::Doubtful(value, said) => {
                self.notice(&place, said);
                value
            }
            Read::Wrong(reason, help) => {
                self.faults.line(file, line, reason, help);
                return None;
            }
        };
        Some((key.name, Setting { value, place }))
    }

    /// What the script printed: lines of `[server default]`.
    fn script(&mut self, output: &str) -> BTreeMap<&'static str, Setting> {
        let mut settings = BTreeMap::new();
        if output.len() > MAX_BYTES {
            let place = Place { file: SCRIPT_OUTPUT.to_owned(), line: 1 };
            let reason = format!("it has {} bytes", output.len());
            self.faults.block(&place, "", reason, "let it print key=value lines only");
            return settings;
        }
        for line in ini::lines(output) {
            // Comments are no part of this format: a value may hold ` ;`.
            let Some((name, value)) = line.text.split_once('=') else {
                if !line.text.trim().is_empty() {
                    let place = Place { file: SCRIPT_OUTPUT.to_owned(), line: line.number };
                    self.notice(&place, "this line is no key=value and is not read".to_owned());
                }
                continue;
            };
            let pair = Pair { key: name.trim(), value: value.trim(), doubtful_comment: false };
            if value.contains('=') {
                let place = Place { file: SCRIPT_OUTPUT.to_owned(), line: line.number };
                let said = "holds `=`: all of it counts, where MHA ends it there";
                self.notice(&place, format!("`{}` {said}", short(pair.key)));
            }
            let set = self.setting(SCRIPT_OUTPUT, &line, pair, DEFAULT, Part::App);
            settings.extend(set);
        }
        settings
    }

    /// What must hold between blocks.
    fn check(&mut self, app: Source<'_>, servers: &[Block], binlogs: &[Block]) {
        for block in servers.iter().chain(binlogs) {
            if let (None, Some(place)) = (block.filled("hostname"), &block.place) {
                self.faults.block(
                    place,
                    &block.name,
                    format!("[{}] has no hostname", block.name),
                    "write hostname=db1 (a name or an address)",
                );
            }
        }
        let mut seen: BTreeMap<(String, u16), &Block> = BTreeMap::new();
        for block in servers.iter().filter(|block| block.filled("hostname").is_some()) {
            let at = (block.host().to_ascii_lowercase(), block.port());
            if let (Some(first), Some(place)) = (seen.get(&at), &block.place) {
                let line = first.place.as_ref().map_or(0, |place| place.line);
                self.faults.block(
                    place,
                    &block.name,
                    format!("{}:{} is [{}] already (line {line})", at.0, at.1, first.name),
                    "remove one of the two blocks, or give one another port",
                );
                continue;
            }
            seen.insert(at, block);
        }
        if servers.is_empty() {
            self.faults.block(
                &Place { file: app.file.to_owned(), line: 1 },
                "server1",
                "the file has no server",
                "write a block for each: [server1] with hostname=db1",
            );
        }
    }
}

/// Why a key does nothing where it stands.
fn without_effect(key: &Key, block: &str, part: Part) -> Option<&'static str> {
    let scope = key.scope;
    match (block == DEFAULT, part) {
        (true, _) if !scope.app && !scope.global => {
            Some("has no effect here: write it in [serverN]")
        }
        (true, Part::Global) if !scope.global => {
            Some("has no effect in the global file: write it in the application's")
        }
        (false, _) if !scope.server => Some("has no effect here: write it in [server default]"),
        _ => None,
    }
}

fn short(name: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    name.chars().take(40).map(clean).collect()
}
