//! Reading `/proc`: who a process is, what it listens on, where it works.
//!
//! Everything here blocks for as long as the kernel takes to answer (microseconds, or a few
//! milliseconds for long tables), and takes nothing for granted: any process may be gone between
//! two reads.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Programs that are database servers.
const SERVERS: &[&str] = &["mysqld", "mariadbd", "mysqld-debug"];

/// A directory, whatever it is called and wherever it is mounted.
///
/// Inode numbers are used again: a directory that is made after this one was removed may have the
/// same, and may be that of another server. So the moment of its creation belongs to it, where the
/// file system tells it (statx(2), STATX_BTIME: ext4, XFS, btrfs; tmpfs from Linux 6.6 on). It is not
/// held open instead, because that would keep its file system from being unmounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DirectoryId {
    device: u64,
    inode: u64,
    created: Option<std::time::SystemTime>,
}

impl DirectoryId {
    /// The directory at a path (links are followed).
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self {
            device: found.dev(),
            inode: found.ino(),
            created: found.created().ok(),
        })
    }
}

/// The parts of `/proc/PID/stat` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `R`, `S`, `D`, `T`, `t`, `Z`, ...
    pub(crate) state: char,
    pub(crate) parent: u32,
    /// Clock ticks since boot; with the pid it names a process for good.
    pub(crate) started: u64,
}

fn of(pid: u32, what: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{what}"))
}

/// All process ids.
pub(crate) fn pids() -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

pub(crate) fn stat(pid: u32) -> io::Result<Stat> {
    let text = fs::read_to_string(of(pid, "stat"))?;
    parse_stat(&text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat reads {text:?}")))
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The program name is in parentheses and may itself hold any character.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    // proc(5): the start time is field 22, the state field 3.
    let started = fields.nth(22 - 5)?.parse().ok()?;
    Some(Stat { state, parent, started })
}

/// The program's short name.
pub(crate) fn program(pid: u32) -> io::Result<String> {
    fs::read_to_string(of(pid, "comm")).map(|name| name.trim_end().to_owned())
}

/// Whether the process is a database server: by its short name, or, when it was started through a
/// dynamic loader (`ld-linux-x86-64.so.2 ... mysqld`), by any argument.
pub(crate) fn is_server(pid: u32) -> bool {
    let Ok(name) = program(pid) else { return false };
    if SERVERS.contains(&name.as_str()) {
        return true;
    }
    if !name.starts_with("ld-") && !name.starts_with("ld.so") {
        return false;
    }
    let Ok(line) = fs::read(of(pid, "cmdline")) else { return false };
    line.split(|byte| *byte == 0).any(|argument| {
        let base = argument.rsplit(|byte| *byte == b'/').next().unwrap_or(argument);
        SERVERS.iter().any(|server| server.as_bytes() == base)
    })
}

/// The directory that the process works in. Servers change to their data directory at start.
pub(crate) fn directory(pid: u32) -> io::Result<DirectoryId> {
    DirectoryId::of(&of(pid, "cwd"))
}

/// A path as the process itself sees it, through its own root directory.
pub(crate) fn seen_by(pid: u32, path: &Path) -> PathBuf {
    of(pid, "root").join(path.strip_prefix("/").unwrap_or(path))
}

/// Whether the process has a file open below a directory (named as the process sees it).
pub(crate) fn has_open_below(pid: u32, dir: &Path) -> io::Result<bool> {
    let links = fs::read_dir(of(pid, "fd"))?.flatten();
    Ok(links
        .into_iter()
        .any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.starts_with(dir))))
}

/// A socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) owner: u32,
    pub(crate) inode: u64,
}

impl Listener {
    /// Whether a connection to the port at one of these addresses reaches it.
    pub(crate) fn answers(&self, port: u16, addresses: &[IpAddr]) -> bool {
        let any = self.address.is_unspecified() && !addresses.is_empty();
        self.port == port && (any || addresses.contains(&self.address))
    }
}

/// The sockets that listen in the network namespace of a process (`None`: in ours).
pub(crate) fn listeners(pid: Option<u32>) -> io::Result<Vec<Listener>> {
    let mut found = Vec::new();
    for table in ["net/tcp", "net/tcp6"] {
        let path = pid.map_or_else(|| Path::new("/proc/self").join(table), |pid| of(pid, table));
        let file = match fs::File::open(path) {
            Ok(file) => file,
            // A kernel without IPv6.
            Err(error) if table == "net/tcp6" && error.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            Err(error) => return Err(error),
        };
        for line in BufReader::new(file).lines().skip(1) {
            // The kernel lists what listens first (tcp_get_idx in net/ipv4/tcp_ipv4.c): the
            // possibly very many connections behind need not be read.
            let Some(listener) = parse_listener(&line?) else { break };
            found.push(listener);
        }
    }
    Ok(found)
}

fn parse_listener(line: &str) -> Option<Listener> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    if *fields.get(3)? != LISTEN {
        return None;
    }
    Some(Listener {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        owner: fields.get(7)?.parse().ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// The kernel prints each 32 bits of an address, which are in network order, as a native number.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let mut octets = [0; 16];
    let groups = hex.len() / 8;
    for group in 0..groups.min(4) {
        let number = u32::from_str_radix(hex.get(group * 8..group * 8 + 8)?, 16).ok()?;
        octets[group * 4..group * 4 + 4].copy_from_slice(&number.to_ne_bytes());
    }
    match groups {
        1 => Some(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into()),
        4 => Some(Ipv6Addr::from(octets).to_canonical()),
        _ => None,
    }
}

/// The inodes of the sockets that a process has open.
pub(crate) fn sockets(pid: u32) -> io::Result<Vec<u64>> {
    let mut inodes = Vec::new();
    for entry in fs::read_dir(of(pid, "fd"))?.flatten() {
        let Ok(to) = fs::read_link(entry.path()) else { continue };
        let inode = to.to_str().and_then(|to| to.strip_prefix("socket:[")?.strip_suffix(']'));
        inodes.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
    }
    Ok(inodes)
}

/// Whether a socket's owner is the user of a process. The owner of the process' folder counts,
/// too: it is root for a server that root started and that changed its user itself.
pub(crate) fn may_own(pid: u32, owner: u32) -> bool {
    let folder = fs::metadata(format!("/proc/{pid}")).map(|found| found.uid());
    let status = fs::read_to_string(of(pid, "status")).unwrap_or_default();
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    folder.is_ok_and(|user| user == owner)
        || users.split_ascii_whitespace().any(|user| user.parse() == Ok(owner))
}

/// Whether a process holds a lock on a file. Everybody may read this, even of processes whose
/// descriptors only root may see.
pub(crate) fn has_locked(pid: u32, file: &Path) -> io::Result<bool> {
    let found = fs::metadata(file)?;
    let (major, minor) = (rustix::fs::major(found.dev()), rustix::fs::minor(found.dev()));
    // proc(5): the kernel's hexadecimal device numbers, then the inode.
    let place = format!("{major:02x}:{minor:02x}:{}", found.ino());
    let locks = fs::read_to_string("/proc/locks")?;
    // `1: POSIX  ADVISORY  WRITE 4711 fd:00:123 0 EOF`
    Ok(locks.lines().any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        fields.get(5) == Some(&place.as_str())
            && fields.get(4).is_some_and(|held| held.parse() == Ok(pid))
    }))
}

/// Whether a process that we do not see holds a lock on a file: fcntl(2), `F_GETLK` sees locks of all
/// process namespaces, and gives 0 for the number of a process of another one.
pub(crate) fn is_locked_by_unseen(file: &Path) -> io::Result<bool> {
    let file = fs::File::open(file)?;
    let wanted = rustix::process::Flock::from(rustix::process::FlockType::WriteLock);
    let held = rustix::process::fcntl_getlk(&file, &wanted)?;
    Ok(held.is_some_and(|lock| lock.pid.is_none()))
}

/// Whether two processes share a namespace (`net`, `uts`); an error if we may not look.
pub(crate) fn in_our_namespace(pid: u32, kind: &str) -> io::Result<bool> {
    let theirs = fs::read_link(of(pid, &format!("ns/{kind}")))?;
    Ok(theirs == fs::read_link(format!("/proc/self/ns/{kind}"))?)
}

/// The addresses of the interfaces in the network namespace of a process.
pub(crate) fn interface_addresses(pid: u32) -> io::Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    // Each leaf is `|-- ADDRESS`, followed by lines such as `/32 host LOCAL`.
    let trie = fs::read_to_string(of(pid, "net/fib_trie"))?;
    let mut leaf = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL" {
            found.extend(leaf.map(IpAddr::from));
        }
    }
    // A kernel without IPv6 has no such file.
    let six = fs::read_to_string(of(pid, "net/if_inet6")).unwrap_or_default();
    found.extend(six.lines().filter_map(|line| {
        let number = u128::from_str_radix(line.split_ascii_whitespace().next()?, 16).ok()?;
        Some(IpAddr::from(Ipv6Addr::from(number)))
    }));
    Ok(found)
}

/// The control groups of a process, as `(controllers, path)`; controllers are empty in version 2.
pub(crate) fn control_groups(pid: u32) -> Vec<(String, String)> {
    let text = fs::read_to_string(of(pid, "cgroup")).unwrap_or_default();
    let parse = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some((controllers.to_owned(), path.to_owned()))
    };
    text.lines().filter_map(parse).collect()
}

/// Whether the control group of a process is frozen (both versions of the interface).
pub(crate) fn is_group_frozen(pid: u32) -> bool {
    control_groups(pid).iter().any(|(controllers, path)| match controllers.as_str() {
        "" => ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].iter().any(|mount| {
            fs::read_to_string(format!("{mount}{path}/cgroup.events"))
                .is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
        }),
        "freezer" => fs::read_to_string(format!("/sys/fs/cgroup/freezer{path}/freezer.state"))
            .is_ok_and(|state| state.trim() == "FROZEN"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_takes_the_inode_of_a_removed_one_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut same_inode = 0;
        for n in 0..200 {
            let path = folder.path().join(n.to_string());
            fs::create_dir(&path).unwrap();
            let before = DirectoryId::of(&path).unwrap();
            fs::remove_dir(&path).unwrap();
            // File systems count creation in ticks of the kernel's clock.
            std::thread::sleep(std::time::Duration::from_millis(11));
            fs::create_dir(&path).unwrap();
            let after = DirectoryId::of(&path).unwrap();
            same_inode += u32::from(before.inode == after.inode);
            assert_ne!(before, after);
            if same_inode > 2 {
                return;
            }
        }
        println!("this file system does not use inode numbers again so soon");
    }

    #[test]
    fn a_program_name_with_parentheses_does_not_shift_the_fields() {
        let tail = "T 7 1 1 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 30 0 424242 1 2 3";
        let stat = parse_stat(&format!("12 (my) (sqld) {tail}")).unwrap();
        assert_eq!(stat, Stat { state: 'T', parent: 7, started: 424_242 });
    }

    #[test]
    fn our_own_start_time_is_read() {
        let me = stat(std::process::id()).unwrap();
        assert!(me.started > 0 && "RS".contains(me.state), "{me:?}");
    }

    #[test]
    fn addresses_are_read_as_the_kernel_prints_them() {
        let four = parse_address("0100007F").unwrap();
        assert_eq!(four, IpAddr::from(Ipv4Addr::LOCALHOST));
        let six = parse_address("00000000000000000000000001000000").unwrap();
        assert_eq!(six, IpAddr::from(Ipv6Addr::LOCALHOST));
        let mapped = parse_address("0000000000000000FFFF00000100007F").unwrap();
        assert_eq!(mapped, IpAddr::from(Ipv4Addr::LOCALHOST));
    }

    #[test]
    fn a_socket_that_listens_is_found_with_its_owner() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut found = listeners(None).unwrap();
        found.retain(|it| it.answers(port, &[Ipv4Addr::LOCALHOST.into()]));
        assert_eq!(found.len(), 1);
        assert!(sockets(std::process::id()).unwrap().contains(&found[0].inode));
        assert!(!found[0].answers(port, &["10.9.8.7".parse().unwrap()]));
    }

    #[test]
    fn our_interfaces_have_the_loopback_address() {
        let found = interface_addresses(std::process::id()).unwrap();
        assert!(found.contains(&IpAddr::from(Ipv4Addr::LOCALHOST)), "{found:?}");
    }
}
