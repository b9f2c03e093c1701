//! Empty transactions under a GTID of choice (MySQL): with one, a server counts the GTID as
//! executed and passes it on.

use primacy_types::MySqlGtidSet;

/// The statements of one empty transaction, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyTransaction {
    /// `source:number`.
    pub gtid: String,
}

impl EmptyTransaction {
    /// What a session says afterwards, so that its next transaction gets a number of its own.
    pub const AFTERWARDS: &'static str = "SET GTID_NEXT = 'AUTOMATIC'";

    /// One for each transaction of a set, in the set's order.
    pub fn of(set: &MySqlGtidSet) -> impl Iterator<Item = Self> {
        set.intervals().flat_map(|(source, intervals)| {
            let tag = source.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
            let prefix = format!("{}{tag}", source.uuid);
            intervals.iter().flat_map(move |(first, last)| {
                let prefix = prefix.clone();
                (*first..=*last).map(move |number| Self { gtid: format!("{prefix}:{number}") })
            })
        })
    }

    /// The statements.
    pub fn statements(&self) -> [String; 3] {
        [format!("SET GTID_NEXT = '{}'", self.gtid), "BEGIN".to_owned(), "COMMIT".to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transaction_of_a_set_has_its_own() {
        let uuid = "11111111-1111-1111-1111-111111111111";
        let set: MySqlGtidSet = format!("{uuid}:3-4:9,{uuid}:repair:1").parse().unwrap();
        let all: Vec<String> = EmptyTransaction::of(&set).map(|one| one.gtid).collect();
        let expected = [":3", ":4", ":9", ":repair:1"].map(|rest| format!("{uuid}{rest}"));
        assert_eq!(all, expected);
        let first = EmptyTransaction::of(&set).next().unwrap().statements();
        assert_eq!(first, [&format!("SET GTID_NEXT = '{uuid}:3'"), "BEGIN", "COMMIT"]);
    }
}
