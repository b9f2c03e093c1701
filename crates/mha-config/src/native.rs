//! An MHA configuration as a native one: as text, with what has no meaning there as comments, and as
//! the value that a manager runs with. Both say the same: the value is read from the text, and only
//! where passwords are found differs.

mod accounts;
mod hosts;
mod scripts;
mod writer;

use std::path::PathBuf;

use primacy_config::{Config, ConfigErrors, GivenSecret, SecretSource, parse};
use secrecy::SecretString;

use crate::fault::Faults;
use crate::keys::{Native as Becomes, key_named};
use crate::model::{Block, MhaConfig, Notice};
use writer::Writer;

pub use hosts::shell_words;

/// The longest `ping_interval` of a native file, in seconds.
const LONGEST_PING: u32 = 60;

/// MHA counts so many unanswered looks.
const MHA_PING_FAILURES: u32 = 4;

/// Where state is kept if `manager_workdir` is not written; a folder of the application below it.
const STATE_DIR: &str = "/var/lib/primacy";

/// A native configuration.
#[derive(Clone, Debug)]
pub struct Native {
    /// The file.
    pub text: String,
    /// What it says, with the passwords where MHA's file has them.
    pub config: Config,
    /// The passwords' files that `text` names.
    pub secrets: Vec<SecretFile>,
    /// What deserves to be said of the MHA file.
    pub notices: Vec<Notice>,
}

/// A file that holds a password and nothing else; its mode is 0600.
#[derive(Clone, Debug)]
pub struct SecretFile {
    /// Its path from the folder of the native file.
    pub path: PathBuf,
    /// The password.
    pub secret: SecretString,
}

/// Turns an MHA configuration into a native one.
///
/// # Errors
/// If it says what one native cluster cannot be: servers with different accounts, a host name or an
/// ssh option that cannot be one. Each error names the line of the MHA file.
pub fn to_native(mha: &MhaConfig) -> Result<Native, ConfigErrors> {
    let mut made = Making {
        mha,
        cluster: cluster_name(&mha.app),
        out: Writer::default(),
        faults: Faults::default(),
        notices: mha.notices.clone(),
    };
    let secrets = made.all();
    made.faults.into_errors()?;
    let mut config = match parse(&made.out.text, "native") {
        Ok(config) => config,
        Err(errors) => return Err(made.out.in_terms_of(mha, &errors)),
    };
    for cluster in config.clusters.values_mut() {
        let accounts = &mut cluster.accounts;
        let given = |secret: &SecretString| {
            SecretSource::Given(GivenSecret::new(secret.clone(), &mha.file))
        };
        accounts.manager.password = given(&secrets.manager.secret);
        accounts.replication.password = given(&secrets.replication.secret);
    }
    let mut notices = made.notices;
    notices.sort();
    notices.dedup();
    config.notices = notices.iter().map(ToString::to_string).collect();
    let mut files = vec![secrets.manager];
    if files[0].path != secrets.replication.path {
        files.push(secrets.replication);
    }
    Ok(Native { text: made.out.text, config, secrets: files, notices })
}

/// The name of the cluster that an application becomes: its own, without what such a name cannot have.
pub fn cluster_name(app: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let name: String = app.chars().map(|c| if allowed(c) { c } else { '_' }).take(48).collect();
    if name.is_empty() { "mha".to_owned() } else { name }
}

/// Keys of MHA that are a flag of a native policy.
const FLAGS: [(&str, &str); 5] = [
    ("check_repl_delay", "check_lag"),
    ("check_repl_filter", "check_filters"),
    ("latest_priority", "prefer_latest"),
    ("multi_tier_slave", "multi_tier"),
    ("skip_reset_slave", "keep_replication_settings"),
];

struct Making<'m> {
    mha: &'m MhaConfig,
    cluster: String,
    out: Writer,
    faults: Faults,
    notices: Vec<Notice>,
}

impl Making<'_> {
    fn all(&mut self) -> accounts::Secrets {
        let mha = self.mha;
        if self.cluster != mha.app {
            let text = format!(
                "the cluster is called `{}`: a name has letters, digits, `_` and `-`",
                self.cluster
            );
            self.notices.push(Notice { place: None, text });
        }
        self.out.comment(&format!("Made from {} by `primacy config import`.", mha.file));
        self.manager();
        self.hosts();
        self.scripts();
        for block in &mha.servers {
            self.server(block);
        }
        for block in &mha.binlogs {
            self.binlog_copies(block);
        }
        let secrets = self.accounts();
        self.timing();
        self.policy();
        self.without_meaning();
        secrets
    }

    fn manager(&mut self) {
        let defaults = &self.mha.defaults;
        let workdir = defaults.written("manager_workdir").and(defaults.filled("manager_workdir"));
        let app = &self.cluster;
        let (path, place) = match workdir {
            // One manager for each application may share a folder with others of MHA.
            Some(folder) => {
                let folder = folder.trim_end_matches('/').to_owned();
                let own = folder.rsplit('/').next() == Some(app);
                let path = if own { folder } else { format!("{folder}/{app}") };
                (path, self.mha.defaults.written("manager_workdir").cloned())
            }
            None => {
                let path = format!("{STATE_DIR}/{app}");
                let text = format!(
                    "`manager_workdir` is not written: state is kept in {path}, not in /var/tmp, \
                     where everybody may write"
                );
                self.notices.push(Notice { place: None, text });
                (path, None)
            }
        };
        self.out.table("manager");
        self.out.text_key("state_dir", &path, place.as_ref());
        self.out.table(&format!("cluster.{app}"));
    }

    fn timing(&mut self) {
        let Some(place) = self.mha.defaults.written("ping_interval").cloned() else { return };
        let written = self.mha.defaults.number("ping_interval").unwrap_or(1);
        let seconds = written.min(LONGEST_PING);
        if seconds < written {
            let text = format!("`ping_interval` is at most {LONGEST_PING} seconds: that counts");
            self.notices.push(Notice { place: Some(place.clone()), text });
        }
        self.out.table(&format!("cluster.{}.timing", self.cluster));
        self.out.comment("MHA's pace. Without these two lines a dead primary is seen much sooner.");
        self.out.text_key("ping_interval", &format!("{seconds}s"), Some(&place));
        self.out.key("ping_failures", &MHA_PING_FAILURES.to_string(), Some(&place));
    }

    fn policy(&mut self) {
        self.out.table(&format!("cluster.{}.policy", self.cluster));
        if self.mha.defaults.filled("shutdown_script").is_none() {
            self.out.comment(
                "Without shutdown_script MHA does not fence: two servers may accept writes.",
            );
            self.out.key("unfenced", "\"proceed\"", None);
            let text = "no `shutdown_script` is written, so unfenced = \"proceed\", as with MHA: a \
                        primary that cannot be fenced is replaced all the same, and may go on \
                        accepting writes";
            self.notices.push(Notice { place: None, text: text.to_owned() });
        }
        self.out.comment("MHA goes on without the binary logs of a host that ssh does not reach.");
        self.out.key("on_possible_loss", "\"proceed\"", None);
        let text = "on_possible_loss = \"proceed\", as with MHA: where ssh does not reach the host of a \
                    dead primary, a failover goes on without what nobody had received, and says so";
        self.notices.push(Notice { place: None, text: text.to_owned() });
        self.out.comment("MHA refuses where a slave without ignore_fail is dead or broken.");
        self.out.key("broken_replicas", "\"refuse\"", None);
        if let Some(place) = self.mha.defaults.written("ping_type").cloned() {
            let word = self.mha.defaults.text("ping_type").unwrap_or_default();
            self.out.text_key("ping_type", &word.to_ascii_lowercase(), Some(&place));
        }
        for (mha, native) in FLAGS {
            self.flag(mha, native);
        }
    }

    /// A flag that is one for the whole cluster here: where servers differ, what somebody wanted
    /// other than MHA presumes it counts for all.
    fn flag(&mut self, mha: &'static str, native: &str) {
        let defaults = &self.mha.defaults;
        let Some(key) = key_named(mha) else { return };
        let preset = key.preset == Some("1");
        let own = self.mha.servers.iter().filter(|_| key.scope.server);
        let blocks: Vec<&Block> = own.chain(std::iter::once(defaults)).collect();
        let wanted = blocks.iter().find(|block| block.flag(mha) != preset);
        if let Some(block) = wanted
            && let Some(place) = block.written(mha)
            && self.mha.servers.iter().any(|other| key.scope.server && other.flag(mha) == preset)
        {
            let value = u8::from(!preset);
            let text = format!("`{mha}={value}` of [{}] counts for all servers", block.name);
            self.notices.push(Notice { place: Some(place.clone()), text });
        }
        if let Some(place) = wanted.unwrap_or(&defaults).written(mha) {
            self.out.key(native, &(wanted.is_some() != preset).to_string(), Some(place));
        }
    }

    /// What the MHA file says and a native one does not, as comments; a notice for each key that has
    /// lost its meaning.
    fn without_meaning(&mut self) {
        let mut lines = Vec::new();
        let mut seen = Vec::new();
        for block in self.mha.blocks() {
            let of_copies = self.mha.binlogs.iter().any(|copies| copies.name == block.name);
            for (name, setting) in &block.settings {
                let place = &setting.place;
                // There it says where copies are.
                if of_copies && *name == "master_binlog_dir" {
                    continue;
                }
                let Some(key) = key_named(name) else { continue };
                if seen.contains(place) {
                    continue;
                }
                seen.push(place.clone());
                match key.native {
                    Becomes::Becomes(_) => {}
                    Becomes::Obeyed(by) => lines.push((place, name, by)),
                    Becomes::Nothing(why) => {
                        lines.push((place, name, why));
                        let text = format!("`{name}` has no meaning any more: {why}");
                        self.notices.push(Notice { place: Some(place.clone()), text });
                    }
                }
            }
        }
        lines.sort();
        if lines.is_empty() {
            return;
        }
        self.out.blank();
        self.out.comment("What this file has no key for:");
        for (place, name, why) in lines {
            self.out.comment(&format!("  {name} ({place}): {why}"));
        }
    }
}
