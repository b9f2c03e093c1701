//! Why a command did not do what it was asked: the text for the person, the code for the script.

use std::fmt;

use primacy_api::{ApiError, ErrorKind};
use primacy_manager::ManagerError;

use crate::exit::Exit;

/// An error of a command, ready to be printed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code to end with.
    pub(crate) exit: Exit,
    /// What went wrong; empty if there is nothing to say (a closed pipe).
    pub(crate) message: String,
    /// Each reason with its way out.
    pub(crate) reasons: Vec<(String, String)>,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The answer of the manager, for `--json`.
    pub(crate) answer: Option<Box<ApiError>>,
}

/// What every verb returns.
pub(crate) type Outcome = Result<Exit, Failure>;

impl Failure {
    /// An error with its code.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        let message = message.to_string();
        Self { exit, message, reasons: Vec::new(), hint: None, answer: None }
    }

    /// The command has to be written differently.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The reader of the output went away: that is nobody's error.
    pub(crate) fn reader_gone() -> Self {
        Self::new(Exit::Done, "")
    }

    /// The same with advice.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

/// Which code a manager's refusal ends with.
const fn exit_of(kind: ErrorKind) -> Exit {
    match kind {
        ErrorKind::NotFound | ErrorKind::BadRequest => Exit::Usage,
        ErrorKind::Refused | ErrorKind::Failed | ErrorKind::Busy | ErrorKind::Internal => {
            Exit::Refused
        }
        ErrorKind::Unreachable => Exit::Unreachable,
        ErrorKind::BackedOut => Exit::PutBack,
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let reasons = error.reasons.iter().map(|r| (r.why.clone(), r.remedy.clone())).collect();
        let exit = exit_of(error.kind);
        let message = error.message.clone();
        Self { exit, message, reasons, hint: None, answer: Some(Box::new(error)) }
    }
}

impl From<ManagerError> for Failure {
    fn from(error: ManagerError) -> Self {
        let exit = match &error {
            ManagerError::Unreadable { .. }
            | ManagerError::Config(_)
            | ManagerError::Secret { .. }
            | ManagerError::NoSuchCluster { .. } => Exit::Usage,
            _ => Exit::Refused,
        };
        Self::new(exit, error)
    }
}

impl From<primacy_sandbox::Error> for Failure {
    fn from(error: primacy_sandbox::Error) -> Self {
        use primacy_sandbox::Error;
        let exit = match &error {
            Error::UnknownServer { .. }
            | Error::NoSuchServer { .. }
            | Error::NotASandbox { .. } => Exit::Usage,
            _ => Exit::Refused,
        };
        Self::new(exit, error)
    }
}
