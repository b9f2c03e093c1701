//! The words of the file that stand for one choice among a few, beside the types they build.

use primacy_types::{
    BrokenReplicas, HostAccessKind, OnErrant, PingType, Promotion, RefuseOrProceed, Rejoin,
    WithoutAcker,
};

use crate::model::{ClusterKind, OnFailure};

/// A type whose values are words of the file.
pub(crate) trait Words: Copy + PartialEq + 'static {
    /// Each word and what it stands for.
    const WORDS: &'static [(&'static str, Self)];

    /// The value of a word.
    fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(w, _)| *w == word).map(|(_, value)| *value)
    }

    /// The word for this value.
    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

/// All words of a type, in the order in which they are documented.
pub(crate) fn words_of<T: Words>() -> Vec<&'static str> {
    T::WORDS.iter().map(|(word, _)| *word).collect()
}

impl Words for ClusterKind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("replication", Self::Replication), ("galera", Self::Galera)];
}

impl Words for Promotion {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("prefer", Self::Prefer),
        ("neutral", Self::Neutral),
        ("last", Self::Last),
        ("never", Self::Never),
    ];
}

impl Words for HostAccessKind {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", Self::Auto),
        ("local", Self::Local),
        ("agent", Self::Agent),
        ("ssh", Self::Ssh),
        ("none", Self::None),
    ];
}

impl Words for RefuseOrProceed {
    const WORDS: &'static [(&'static str, Self)] =
        &[("refuse", Self::Refuse), ("proceed", Self::Proceed)];
}

impl Words for OnFailure {
    const WORDS: &'static [(&'static str, Self)] =
        &[("go-on", Self::GoOn), ("refuse", Self::Refuse)];
}

/// `on_possible_loss`, where leaving the choice to Primacy has a word too.
impl Words for Option<RefuseOrProceed> {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auto", None),
        ("refuse", Some(RefuseOrProceed::Refuse)),
        ("proceed", Some(RefuseOrProceed::Proceed)),
    ];
}

impl Words for WithoutAcker {
    const WORDS: &'static [(&'static str, Self)] =
        &[("block", Self::Block), ("degrade", Self::Degrade), ("refuse", Self::Refuse)];
}

impl Words for PingType {
    const WORDS: &'static [(&'static str, Self)] =
        &[("select", Self::Select), ("connect", Self::Connect), ("insert", Self::Insert)];
}

impl Words for BrokenReplicas {
    const WORDS: &'static [(&'static str, Self)] =
        &[("go-on", Self::GoOn), ("refuse", Self::Refuse)];
}

impl Words for Rejoin {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("ask", Self::Ask), ("never", Self::Never)];
}

impl Words for OnErrant {
    const WORDS: &'static [(&'static str, Self)] =
        &[("quarantine", Self::Quarantine), ("rewind", Self::Rewind), ("rebuild", Self::Rebuild)];
}

/// How connections to servers are protected; the settings behind it are in `TlsConfig`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TlsMode {
    Off,
    Required,
    VerifyCa,
    Full,
    Pinned,
}

impl Words for TlsMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("off", Self::Off),
        ("required", Self::Required),
        ("verify-ca", Self::VerifyCa),
        ("full", Self::Full),
        ("pinned", Self::Pinned),
    ];
}
