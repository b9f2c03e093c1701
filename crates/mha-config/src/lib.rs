//! MHA's configuration: its files read as they are, turned into Primacy's own, and changed block by
//! block without losing anything else in them.
//!
//! Pure: the caller reads files, runs the script that [`init_script`] names, and writes what is made
//! here. [`KEYS`] says once what each key is, takes and becomes; [`parse`], [`to_native`] and
//! [`reference()`] follow it. [`edit`] is for those that change a file.

pub mod edit;
mod fault;
mod ini;
mod keys;
mod model;
mod native;
mod order;
mod parse;
mod recognise;
mod reference;
mod value;

pub use keys::{KEYS, Key, Kind, Native as Becomes, Scope, key_named};
pub use model::{Block, MhaConfig, Notice, Place};
pub use native::{Native, SecretFile, cluster_name, shell_words, to_native};
pub use parse::{SCRIPT_OUTPUT, Source, Sources, app_of, init_script, parse};
pub use recognise::{decoded, is_mha};
pub use reference::reference;

/// The global file that MHA reads if no other is named.
pub const GLOBAL_FILE: &str = "/etc/masterha_default.cnf";
