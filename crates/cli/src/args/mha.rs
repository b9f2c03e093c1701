//! `primacy mha`, `primacy install-mha-links`

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

/// `primacy mha`
#[derive(Debug, Args)]
pub(crate) struct MhaArgs {
    /// The command and its options [default: list the commands]
    #[arg(value_name = "NAME", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<OsString>,
}

/// `primacy install-mha-links`
#[derive(Debug, Args)]
pub(crate) struct InstallMhaLinks {
    /// The folder, such as /usr/local/bin
    pub(crate) dir: PathBuf,
    /// Also where other files have these names; they are kept as NAME.before-primacy
    #[arg(long)]
    pub(crate) force: bool,
}
