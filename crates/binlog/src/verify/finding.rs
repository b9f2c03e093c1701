//! What can be said against a file, and what is only worth knowing.

use crate::error::Torn;

/// What no server would have written so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Disorder {
    /// Only its server can read it.
    #[error("it is encrypted by its server, so it cannot be verified here")]
    Encrypted,
    /// It is something else.
    #[error("it is no binary log")]
    NotABinlog,
    /// Bytes are not those that were written.
    #[error("damaged at {at}: {why}; what is behind was not read")]
    Damaged {
        /// Where the event begins.
        at: u64,
        /// What is wrong.
        why: String,
    },
    /// Events of a transaction whose beginning is not there.
    #[error("{events} events belong to no transaction: its beginning is not here")]
    Headless {
        /// How many.
        events: u64,
    },
    /// The server went on in another file in the middle of a transaction.
    #[error("the file is closed in the middle of the transaction that begins at {at}")]
    ClosedInside {
        /// Where it begins.
        at: u64,
    },
    /// A transaction is there twice.
    #[error("{gtid} at {at} was there before")]
    Twice {
        /// Its name.
        gtid: String,
        /// Where it begins the second time.
        at: u64,
    },
    /// The numbers of one source go back.
    #[error(
        "{gtid} at {at} comes after number {after} of the same source (a replica that applies in \
         parallel and does not preserve the order of commits writes so)"
    )]
    GoesBack {
        /// Its name.
        gtid: String,
        /// Where it begins.
        at: u64,
        /// The number before it.
        after: u64,
    },
    /// An event says that it stood where another one stands.
    #[error(
        "the event at {at} says that it ended at {says}, which is not behind the one before it"
    )]
    Overlap {
        /// Where it is.
        at: u64,
        /// Where it says that it ended (the low 32 bits).
        says: u32,
    },
    /// Bytes are missing inside a transaction.
    #[error("{bytes} bytes are missing before {at}, in the middle of a transaction")]
    Hole {
        /// Where.
        at: u64,
        /// How many.
        bytes: u64,
    },
    /// Files between this one and the one before it are not there.
    #[error("files between {after} and this one are not here")]
    FilesMissing {
        /// The file before.
        after: String,
    },
    /// The file before leads to another one.
    #[error("{before} goes on in {said}, not here")]
    LeadsElsewhere {
        /// The file before.
        before: String,
        /// Where it says that it goes on.
        said: String,
    },
    /// The list of earlier GTIDs lacks some that the file before holds.
    #[error("its list of earlier GTIDs lacks what is in {before}: {gtids}")]
    ListLacks {
        /// The file before.
        before: String,
        /// Which.
        gtids: String,
    },
    /// The list of earlier GTIDs has some that the file before does not account for.
    #[error("its list of earlier GTIDs has what {before} and its own list do not have: {gtids}")]
    ListHasMore {
        /// The file before.
        before: String,
        /// Which.
        gtids: String,
    },
}

/// What is worth knowing, and not wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Note {
    /// There is nothing in it yet.
    #[error("there is nothing in it yet")]
    Empty,
    /// It is a relay log: GTIDs may come again there, and places are those of the source.
    #[error("it is a relay log: the order of GTIDs and places is not judged")]
    RelayLog,
    /// Its server is writing it, or died.
    #[error("it is marked as in use: its server is writing it, or died while it did")]
    InUse,
    /// It ends in the middle of an event.
    #[error("torn tail: {} bytes at {} are the beginning of an event{}", .0.have, .0.offset,
        of_needed(.0))]
    Torn(Torn),
    /// It ends in the middle of a transaction.
    #[error("unfinished: the transaction{} that begins at {at} is not complete ({bytes} bytes)",
        named(.gtid.as_deref()))]
    Unfinished {
        /// Where it begins.
        at: u64,
        /// How many bytes of it are there.
        bytes: u64,
        /// Its name.
        gtid: Option<String>,
    },
    /// Events have no checksums.
    #[error("it has no checksums: damage inside an event cannot be seen")]
    NoChecksums,
    /// It is a part of a longer file.
    #[error("it was cut out of a longer file: {bytes} bytes in {places} places are left out")]
    Part {
        /// How many bytes.
        bytes: u64,
        /// In how many places, all between transactions.
        places: u64,
    },
    /// Several files follow each other in one.
    #[error("{0} further files follow in it, as `primacy binlog cut --out -` writes them")]
    Several(u64),
    /// The server lost events.
    #[error("the server says at {at} that it lost events: replicas stop here")]
    Incident {
        /// Where.
        at: u64,
    },
    /// The file before ends without leading to this one.
    #[error("{before} ends without a word about what follows: its server died")]
    AfterCrash {
        /// The file before.
        before: String,
    },
}

fn of_needed(torn: &Torn) -> String {
    torn.needed.map_or_else(String::new, |needed| format!(" of {needed}"))
}

fn named(gtid: Option<&str>) -> String {
    gtid.map_or_else(String::new, |gtid| format!(" {gtid}"))
}

impl Disorder {
    /// A word for scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::NotABinlog => "not_a_binlog",
            Self::Damaged { .. } => "damaged",
            Self::Headless { .. } => "headless",
            Self::ClosedInside { .. } => "closed_inside_transaction",
            Self::Twice { .. } => "gtid_twice",
            Self::GoesBack { .. } => "gtid_goes_back",
            Self::Overlap { .. } => "overlap",
            Self::Hole { .. } => "hole",
            Self::FilesMissing { .. } => "files_missing",
            Self::LeadsElsewhere { .. } => "leads_elsewhere",
            Self::ListLacks { .. } => "previous_gtids_lack",
            Self::ListHasMore { .. } => "previous_gtids_have_more",
        }
    }
}

impl Note {
    /// A word for scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::RelayLog => "relay_log",
            Self::InUse => "in_use",
            Self::Torn(_) => "torn_tail",
            Self::Unfinished { .. } => "unfinished_transaction",
            Self::NoChecksums => "no_checksums",
            Self::Part { .. } => "part",
            Self::Several(_) => "several",
            Self::Incident { .. } => "incident",
            Self::AfterCrash { .. } => "after_crash",
        }
    }
}
