//! Whether a manager of an application runs on this host, as its status file says.

use crate::application::Application;
use crate::process;
use crate::status::{StatusError, StatusFile};

/// The process of the manager that runs.
///
/// # Errors
/// If the status file cannot be read.
pub(crate) fn manager_of(app: &Application) -> Result<Option<i32>, StatusError> {
    let said = StatusFile::new(&app.workdir, &app.name).read()?;
    let runs = said
        .filter(|said| process::lives(said.pid) && !process::is_younger_than(said.pid, said.age));
    Ok(runs.map(|said| said.pid))
}
