//! `manager` and `run`.

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Outcome;
use crate::session::config_file;

/// Runs until it is asked to end. The manager is the only role so far.
pub(super) async fn serve(global: &Global) -> Outcome {
    primacy_manager::serve(&config_file(global)).await?;
    Ok(Exit::Done)
}
