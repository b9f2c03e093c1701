//! Building a server's data anew from another one: the requests, and what is said of a job.
//!
//! The manager gives a one-time ticket to the donor's agent and to the recipient's; the recipient's
//! agent shows it to the donor's and is given the stream. An agent's certificate alone is good for
//! nothing here.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use primacy_types::{Address, Millis};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A job's id: that of the manager's operation. It becomes part of names of directories, so nothing
/// but a UUID is taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(Uuid);

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// As operations write it: in lower case, with hyphens.
impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A secret that is good for one transfer. Never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket(String);

impl Ticket {
    /// From random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Whether this is that ticket; takes the same time whatever differs.
    pub fn is(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

/// How data travels from one agent to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// The files, by mariadb-backup.
    #[default]
    Backup,
    /// SQL, by the server's own dump client.
    Dump,
}

/// What an agent could copy its server with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopyTools {
    /// Why mariadb-backup cannot be used on this host, if it cannot.
    pub no_backup: Option<String>,
}

/// To the donor's agent: this agent may have the data of this server, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferOrder {
    /// The donor.
    pub server: Address,
    /// The job.
    pub id: JobId,
    /// What has to be shown.
    pub ticket: Ticket,
    /// The name in the certificate of the agent that may show it.
    pub recipient: String,
    /// For how long it may be shown; a transfer that has begun goes on.
    pub valid: Millis,
    /// No more bytes a second than this.
    pub rate: Option<u64>,
    /// The transfer pauses while the donor's replication is further behind than this.
    pub max_lag: Option<Millis>,
    /// As what.
    #[serde(default)]
    pub transfer: Transfer,
}

/// What the donor has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Bytes in its data directory, binary and relay logs left out: about what will be sent.
    pub bytes: u64,
    /// The program that reads it, as it names itself.
    pub tool: String,
}

/// From the recipient's agent to the donor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupOrder {
    /// The donor.
    pub server: Address,
    /// What the manager gave.
    pub ticket: Ticket,
}

/// Where the new data comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub enum DataSource {
    /// A physical backup that the donor's agent streams.
    Backup {
        /// The donor.
        donor: Address,
        /// Its agent.
        agent: Address,
        /// What to show there.
        ticket: Ticket,
    },
    /// SQL that the donor's agent streams; it is loaded into new data by a private server.
    Dump {
        /// The donor.
        donor: Address,
        /// Its agent.
        agent: Address,
        /// What to show there.
        ticket: Ticket,
    },
    /// The recipient's own server writes it; the agent only makes room.
    Clone,
}

/// To the recipient's agent: make new data beside the old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildOrder {
    /// The recipient.
    pub server: Address,
    /// The job.
    pub id: JobId,
    /// From where.
    pub source: DataSource,
    /// So many bytes are expected: refused if the file system has not as many.
    pub bytes: u64,
    /// The transfer fails if nothing comes for so long.
    pub stall: Millis,
}

/// To the recipient's agent, about a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobOrder {
    /// The recipient.
    pub server: Address,
    /// The job.
    pub id: JobId,
    /// What to do.
    pub act: JobAct,
    /// Limit of shutting the server down, and of starting it.
    pub limit: Millis,
}

/// What to do with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobAct {
    /// The server itself has written all of the new data.
    Written,
    /// Shut the server down, put the new data in place of the old, and start it.
    Swap,
    /// Put the old data back, and start the server if it ran.
    PutBack,
    /// End it; the old data is kept, that of earlier rebuilds is removed.
    Keep,
    /// End it; the old data is removed.
    Remove,
    /// End it before the swap: what was made is removed, the old data was never touched.
    Cancel,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobPhase {
    /// New data comes in.
    Receiving,
    /// It is made consistent.
    Preparing,
    /// It is complete; the old data is in place.
    Ready,
    /// The server is being shut down.
    Stopping,
    /// The directories change places.
    Swapping,
    /// The server is being started with the new data.
    Starting,
    /// The server runs with the new data; the old is beside it.
    Swapped,
    /// The server did not shut down within its limit, and nothing else was changed: when it has ended,
    /// it is started with its old data.
    Late,
    /// The old data is being put back.
    PuttingBack,
    /// What is not needed any more is being removed. Only the end follows: the old data may be gone
    /// in part.
    Removing,
    /// It failed or was cancelled, and the old data is in place.
    Failed,
    /// It is over.
    Ended,
}

impl JobPhase {
    /// Nothing more happens by itself.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Ready | Self::Swapped | Self::Failed | Self::Ended)
    }
}

/// What is said of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobState {
    /// The job.
    pub id: JobId,
    /// How far it is.
    pub phase: JobPhase,
    /// Bytes that have come.
    pub bytes: u64,
    /// The donor is behind and the transfer waits for it.
    pub paused: bool,
    /// Where the new data is made.
    pub data: PathBuf,
    /// Where the old data is while it is not in place.
    pub aside: Option<PathBuf>,
    /// What the donor had applied, as GTIDs, where the backup says it.
    pub gtid: Option<String>,
    /// The old data is in its place, and the server was started with it if it ran.
    #[serde(default = "yes")]
    pub old_data_in_place: bool,
    /// Why it failed, or what it waits for.
    pub error: Option<String>,
}

impl JobState {
    /// It lasts as long as its server takes to shut down, or hangs.
    pub const fn waits_for_its_server(&self) -> bool {
        match self.phase {
            JobPhase::Late => true,
            JobPhase::PuttingBack => self.error.is_some(),
            _ => false,
        }
    }
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_a_uuid_and_by_nothing_that_could_be_a_path() {
        let id = "0199f0a0-7c3e-7b1c-8a3e-0123456789ab";
        let read = |text: &str| serde_json::from_value::<JobId>(text.into());
        assert_eq!(read(id).unwrap().to_string(), id);
        assert_eq!(read(&id.to_uppercase()).unwrap().to_string(), id);
        for other in ["", "a", "..", "/", "a/../../../var/lib/mysql", &format!("{id}/..")] {
            assert!(read(other).is_err() && other.parse::<JobId>().is_err(), "{other}");
        }
    }

    #[test]
    fn a_ticket_is_known_and_not_shown() {
        let (a, b) = (Ticket::new([7; 32]), Ticket::new([8; 32]));
        assert!(a.is(&a.clone()) && !a.is(&b) && !a.is(&Ticket(String::new())));
        assert_eq!(format!("{a:?}"), "Ticket(..)");
    }
}
