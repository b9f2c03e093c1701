//! The configuration file: from its text to checked values, and from those to text again.
//!
//! Pure: the caller reads the file, resolves relative paths with [`Config::resolved`], and fetches
//! secrets from where a [`SecretSource`] says. What a key is, takes and means stands once, in
//! `catalogue`; reading, error messages, [`show`] and [`reference()`] follow it.
//!
//! `tree` reads values key by key, `assemble` and `security` check what must hold between them,
//! `error` words it for people.

mod agent;
mod assemble;
mod catalogue;
mod duration;
mod error;
#[cfg(test)]
mod every_key;
mod fields;
mod given;
mod hooks;
mod model;
mod nearest;
mod reference;
mod schema;
mod security;
mod show;
mod syntax;
mod tree;
mod url;
mod value;
mod warnings;
mod words;

pub use duration::parse as parse_duration;
pub use error::{ConfigError, ConfigErrors};
pub use given::GivenSecret;
pub use model::{
    Account, Accounts, AgentConfig, AgentServer, BinlogCopyConfig, CertificateFiles, ClusterConfig,
    ClusterKind, ClusterName, ClusterNameError, Config, Fingerprint, FingerprintError, HookConfig,
    HookRun, ManagerConfig, OnFailure, ProgramConfig, ScriptsConfig, SecretSource, TlsConfig,
    WebhookConfig,
};
pub use nearest::nearest;
pub use reference::reference;
pub use show::show;
pub use url::Url;
pub use value::quote as toml_text;

/// Longer texts are refused unread; hundreds of clusters need a fifth of it.
const MAX_BYTES: usize = 1 << 20;

/// Reads a configuration, or names everything that is wrong with it.
///
/// `file_name` is only used in messages.
pub fn parse(text: &str, file_name: &str) -> Result<Config, ConfigErrors> {
    let mut problems = error::Problems::new(text, file_name);
    let config = read(text, &mut problems);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(problems.into_errors()),
    }
}

fn read(text: &str, problems: &mut error::Problems<'_>) -> Option<Config> {
    if text.len() > MAX_BYTES {
        problems.add(
            &(0..0),
            format!("the file has {} bytes", text.len()),
            format!("a configuration has at most {MAX_BYTES} bytes; is this another file?"),
        );
        return None;
    }
    let root = syntax::read(text, problems)?;
    let tree = tree::Tree::read(&root, problems);
    assemble::assemble(&tree, problems)
}
