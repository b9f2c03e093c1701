//! `save_binary_logs`

use std::path::Path;

use primacy_mha_node::relay_log_of;
use primacy_mha_node::save::{SaveAs, SaveFrom, Saved, save, test};

use super::{DONE, Stop, needed, offset, outcome};
use crate::command::Streams;
use crate::given::Given;

/// There is nothing after the place.
const NOTHING: u8 = 10;

pub(crate) fn run(given: &Given, streams: &mut Streams<'_>) -> u8 {
    outcome(given, streams, |say| match needed(given, "command")? {
        "test" => {
            let file = given.text("start_file");
            let prefix = match (given.text("binlog_prefix"), file) {
                (Some(prefix), _) => prefix,
                (None, Some(file)) => file.rsplit_once('.').map_or(file, |(prefix, _)| prefix),
                (None, None) => {
                    let why = "--binlog_prefix or --start_file has to be given";
                    return Err(Stop::Usage(why.to_owned()));
                }
            };
            let output = Path::new(needed(given, "output_file")?);
            let newest = test(&folders(given)?, prefix, file, output)?;
            let folder = newest.parent().unwrap_or(Path::new(".")).display().to_string();
            let name = newest.file_name().unwrap_or_default().to_string_lossy().into_owned();
            say(&format!("  Output can be written beside {} .. ok.", output.display()));
            say(&format!("  Binlog found at {folder}, up to {name}"));
            Ok(DONE)
        }
        "save" => {
            let from = SaveFrom {
                file: needed(given, "start_file")?.to_owned(),
                offset: offset(given, "start_pos")?,
            };
            let output = Path::new(needed(given, "output_file")?);
            let how = match given.is_on("handle_raw_binlog") {
                true => SaveAs::Events,
                false => SaveAs::Statements,
            };
            match save(&folders(given)?, &from, output, how, say)? {
                Saved::Written { events, bytes } => {
                    let output = output.display();
                    say(&format!(
                        "{events} events from {}:{} on were saved in {output} ({bytes} bytes)",
                        from.file, from.offset
                    ));
                    Ok(DONE)
                }
                Saved::Nothing => {
                    say(&format!("there are no events after {}:{}", from.file, from.offset));
                    Ok(NOTHING)
                }
            }
        }
        other => Err(Stop::Usage(format!("--command is test or save, not {other:?}"))),
    })
}

/// Where the logs are; relay logs where the file says that names the current one.
fn folders(given: &Given) -> Result<String, Stop> {
    match given.text("relay_log_info").filter(|file| !file.is_empty()) {
        Some(file) => {
            let log = relay_log_of(Path::new(file), given.text("datadir").map(Path::new))?;
            Ok(log.parent().unwrap_or(Path::new(".")).display().to_string())
        }
        None => Ok(given.text("binlog_dir").unwrap_or_default().to_owned()),
    }
}
