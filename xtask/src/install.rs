//! Installing what is missing, a database server or a compiler: Debian's packages, said before it
//! is done.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, bail};
use primacy_sandbox::{Installation, find_installation, provision};

use crate::report;

/// Server and client programs, without the service that Debian's other packages would start.
const PACKAGES: [&str; 2] = ["mariadb-server-core", "mariadb-client-core"];

/// We may not install anything here.
#[derive(Debug, thiserror::Error)]
#[error("{what} is missing and was not installed. To do it:\n\n    {command}\n")]
pub(crate) struct NeedsAPerson {
    what: &'static str,
    command: String,
}

/// Those that were named, or else the usual ones; got or installed if they are missing.
pub(crate) fn servers(named: &[String], usual: &[&str]) -> anyhow::Result<Vec<Installation>> {
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let names = if named.is_empty() { usual } else { &named };
    names.iter().map(|name| server(Some(name))).collect()
}

/// The server of this name, or the system's own; got or installed if it is missing.
pub(crate) fn server(name: Option<&str>) -> anyhow::Result<Installation> {
    let missing = match find_installation(name) {
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    match (name, missing) {
        (Some(name), primacy_sandbox::Error::NotProvisioned { .. }) => {
            report(&format!("{name} is missing: getting it (cargo xtask servers {name})"));
            provision(name, &mut |line| report(&format!("  {line}")))?;
        }
        (None, primacy_sandbox::Error::NoServer) => packages()?,
        (_, error) => return Err(error.into()),
    }
    Ok(find_installation(name)?)
}

/// Installs Debian's MariaDB where the system has no server of its own: what copies servers comes from
/// the same packages. Where that is not possible, one that was got for tests serves as well.
pub(crate) fn system_server() -> anyhow::Result<()> {
    let found = find_installation(None);
    if found.as_ref().is_ok_and(Installation::is_system) {
        return Ok(());
    }
    match (packages(), found) {
        (Err(error), Ok(_)) => report(&format!("Going on without: {error:#}")),
        (installed, _) => installed?,
    }
    Ok(())
}

/// Installs Debian's MariaDB.
fn packages() -> anyhow::Result<()> {
    if !has_apt() {
        bail!(
            "there is no MySQL or MariaDB server and no apt-get: install a server, or get one \
             with: cargo xtask servers mysql-9.7"
        );
    }
    install("a database server", &PACKAGES)
}

/// What tests put beside Primacy or log in to, and the packages that they are in.
const NEIGHBOURS: [(&str, &str); 6] = [
    ("/usr/sbin/keepalived", "keepalived"),
    ("/usr/sbin/haproxy", "haproxy"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("/usr/bin/busybox", "busybox"),
    ("/usr/sbin/ifconfig", "net-tools"),
    ("/usr/bin/groff", "groff-base"),
];

/// Installs what tests put beside Primacy. Without it those tests say that they were skipped.
pub(crate) fn neighbours() -> anyhow::Result<()> {
    let missing = NEIGHBOURS.iter().filter(|(program, _)| !Path::new(program).exists());
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() || !has_apt() {
        return Ok(());
    }
    install("what some tests balance, move addresses and log in with", &missing)
}

/// MHA itself and what it runs, and the packages that these are in.
const MHA: [(&str, &str); 5] = [
    ("/usr/bin/masterha_manager", "mha4mysql-manager"),
    ("/usr/bin/apply_diff_relay_logs", "mha4mysql-node"),
    ("/usr/bin/mariadb-binlog", "mariadb-client"),
    ("/usr/bin/ssh", "openssh-client"),
    ("/usr/sbin/sshd", "openssh-server"),
];

/// Installs MHA, for tests and the measurement beside it.
pub(crate) fn mha() -> anyhow::Result<()> {
    let missing = MHA.iter().filter(|(program, _)| !Path::new(program).exists());
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !has_apt() {
        bail!("MHA 0.58 is not installed, and there is no apt-get: install its manager and node");
    }
    install("what is tested and measured beside Primacy", &missing)
}

/// Installs Debian's C++ compiler, if there is none.
pub(crate) fn cpp_compiler() -> anyhow::Result<()> {
    if quiet(&["c++", "--version"]) || std::env::var_os("CXX").is_some() {
        return Ok(());
    }
    if !has_apt() {
        bail!("there is no C++ compiler (c++) and no apt-get: install a compiler");
    }
    install("a C++ compiler", &["g++"])
}

/// Installs what copies and dumps the system's MariaDB server, if that is there and these are not.
pub(crate) fn backup_program() -> anyhow::Result<()> {
    let missing =
        ["mariadb-backup", "mariadb-dump"].iter().any(|name| !quiet(&[name, "--version"]));
    if missing && quiet(&["mariadbd", "--version"]) && has_apt() {
        let packages = &["mariadb-backup", "mariadb-client"];
        install("what copies and dumps a server, for the tests of rebuilds,", packages)?;
    }
    Ok(())
}

fn has_apt() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

/// Installs those of the packages that are missing.
fn install(what: &'static str, packages: &[&str]) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        packages.iter().copied().filter(|package| !is_installed(package)).collect();
    let command = command_line(&missing);
    let by_hand = || NeedsAPerson { what, command: command.clone() };
    let prefix: &[&str] = if rustix::process::geteuid().is_root() {
        &[]
    } else if quiet(&["sudo", "-n", "true"]) {
        &["sudo", "-n"]
    } else {
        return Err(by_hand().into());
    };
    report(&format!("{what} is missing. Installing {}:", missing.join(" and ")));
    report(&format!("  {command}"));
    let apt = |words: &[&str]| {
        let mut all = prefix.to_vec();
        all.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
        all.extend(words);
        run(&all)
    };
    if missing.iter().any(|package| !quiet(&["apt-cache", "show", package]))
        && !apt(&["update"])?.success()
    {
        report("apt-get update failed; trying with what is known");
    }
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(&missing);
    if apt(&install)?.success() {
        return Ok(());
    }
    report("apt-get install failed; trying again with new package lists");
    if apt(&["update"])?.success() && apt(&install)?.success() {
        return Ok(());
    }
    Err(by_hand()).context("apt-get failed")
}

fn command_line(packages: &[&str]) -> String {
    let packages = packages.join(" ");
    format!("sudo apt-get update && sudo apt-get install --yes --no-install-recommends {packages}")
}

fn is_installed(package: &str) -> bool {
    let words = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package];
    let mut query = Command::new(words[0]);
    query.args(&words[1..]).stdin(Stdio::null()).stderr(Stdio::null());
    #[expect(clippy::disallowed_methods, reason = "dpkg-query reads one file and ends")]
    query.output().is_ok_and(|output| output.stdout == b"installed")
}

fn quiet(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn run(words: &[&str]) -> anyhow::Result<ExitStatus> {
    let mut command = Command::new(words[0]);
    let status = command.args(&words[1..]).stdin(Stdio::null()).status();
    status.with_context(|| format!("{} was not started", words[0]))
}
