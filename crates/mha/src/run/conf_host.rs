//! `masterha_conf_host`: adds a server to a configuration, or removes it.

use std::path::Path;

use primacy_mha_config::decoded;
use primacy_mha_config::edit::{add_block, block_name, parameters, remove_block};

use super::say;
use crate::command::Streams;
use crate::given::Given;
use crate::places::option;

/// The exit code of everything that MHA's program dies of.
const REFUSED: u8 = 255;

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    match change(given) {
        Ok(said) => {
            say(streams.out, &said);
            0
        }
        Err(error) => {
            say(streams.err, &format!("masterha_conf_host: {error}"));
            REFUSED
        }
    }
}

/// Does it; what was done.
fn change(given: &Given) -> Result<String, String> {
    let needed = |name: &str| option(given, name).ok_or(format!("--{name} must be given"));
    let command = needed("command")?;
    let conf = needed("conf")?;
    let host = option(given, "hostname");
    let named = option(given, "block");
    let bytes = std::fs::read(conf).map_err(|error| format!("{conf} cannot be read: {error}"))?;
    let text = decoded(conf, &bytes).map_err(|errors| errors.to_string())?;
    let (changed, said) = match command {
        "add" => {
            let host = needed("hostname")?;
            let block = block_name(named, host);
            let given = option(given, "params").unwrap_or("");
            let given = parameters(given).map_err(|error| error.to_string())?;
            let changed = add_block(text, &block, host, &given).map_err(|e| e.to_string())?;
            (changed, format!("Wrote [{block}] to {conf}."))
        }
        "delete" | "remove" => {
            if host.is_none() && named.is_none() {
                return Err("--hostname or --block must be given".to_owned());
            }
            let block = block_name(named, host.unwrap_or_default());
            match remove_block(text, &block).map_err(|error| error.to_string())? {
                Some(changed) => (changed, format!("Deleted [{block}] from {conf}.")),
                None => return Ok(format!("There is no [{block}] in {conf}: nothing was done.")),
            }
        }
        other => return Err(format!("--command={other:?}: it is add, delete or remove")),
    };
    primacy_manager::rewrite(Path::new(conf), &changed)
        .map_err(|error| format!("{conf} cannot be written: {error}; it is as it was"))?;
    Ok(said)
}
