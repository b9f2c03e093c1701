//! Real processes that stand in for servers: this test program, started again under the name
//! `mariadbd` (through a link) so that it listens on a port.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use primacy_types::{Address, ProcessState};
use rustix::process::{Pid, Signal, kill_process};

use super::unit::Systemd;
use super::*;
use primacy_types::FenceRung;

use crate::{Fence, Guarantee, HostFence, StartProgram};

const LIMIT: Duration = Duration::from_secs(5);
const PORT: &str = "STAND_IN_PORT";

/// Not a test: what the stand-in runs. It ends by itself in case that nobody kills it.
#[test]
fn stand_in() {
    let Ok(port) = std::env::var(PORT) else { return };
    let _held = TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    std::thread::sleep(Duration::from_secs(30));
}

#[tokio::test]
async fn a_file_is_copied_in_pieces_from_an_offset_to_its_end() {
    let mut place = Place::new();
    place.start("mariadbd");
    let content: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let file = place.folder.path().join("binlog.000001");
    fs::write(&file, &content).unwrap();
    let host = place.host().await;
    for offset in [0, 3, 4 << 20, content.len() as u64, content.len() as u64 + 9] {
        let mut copy = Vec::new();
        let copied = host.fetch(&file, offset, &mut copy, LIMIT).await.unwrap();
        let from = usize::try_from(offset).unwrap().min(content.len());
        assert!(copy == content[from..] && copied == copy.len() as u64, "{offset}");
    }
}

/// A folder that serves as data directory, and what was started in it.
struct Place {
    folder: tempfile::TempDir,
    port: u16,
    children: Vec<Child>,
}

impl Place {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        Self { folder, port, children: Vec::new() }
    }

    fn link(&self, name: &str) -> PathBuf {
        let link = self.folder.path().join(name);
        if !link.exists() {
            symlink(std::env::current_exe().unwrap(), &link).unwrap();
        }
        link
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env(PORT, self.port.to_string())
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Starts a stand-in and waits until it listens.
    fn start(&mut self, name: &str) -> u32 {
        let mut command = self.command(&self.link(name));
        let child =
            command.args(["--exact", "local::tests::stand_in", "--nocapture"]).spawn().unwrap();
        let pid = child.id();
        self.children.push(child);
        self.wait_until_served();
        pid
    }

    /// A supervisor as people write it: starts the server again whenever it ends.
    fn supervise(&mut self) {
        let server = self.link("mariadbd").display().to_string();
        let arguments = "--exact local::tests::stand_in --nocapture";
        let script = format!("while true; do {server} {arguments}; sleep 0.02; done");
        let child = self.command(Path::new("/bin/sh")).args(["-c", &script]).spawn().unwrap();
        self.children.push(child);
        self.wait_until_served();
    }

    fn is_served(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    fn wait_until_served(&self) {
        let begun = Instant::now();
        while !self.is_served() {
            assert!(begun.elapsed() < LIMIT, "the stand-in does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn server(&self) -> ServerIdentity {
        let mut server = ServerIdentity::new(Address::new("127.0.0.1", self.port));
        server.data_dir = Some(self.folder.path().to_owned());
        server
    }

    async fn host(&self) -> LocalHost {
        LocalHost::find(&self.server(), LIMIT).await.unwrap().expect("the stand-in was not found")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Supervisors first: the last one started is the outermost.
        for child in self.children.iter_mut().rev() {
            drop(child.kill());
            drop(child.wait());
        }
        for pid in proc::pids().unwrap_or_default() {
            let ours = DirectoryOf(self.folder.path()).is_of(pid) && proc::is_server(pid);
            if let (true, Ok(process)) = (ours, Process::open(pid)) {
                drop(process.kill());
            }
        }
    }
}

struct DirectoryOf<'a>(&'a Path);

impl DirectoryOf<'_> {
    fn is_of(&self, pid: u32) -> bool {
        proc::DirectoryId::of(self.0).is_ok_and(|it| proc::directory(pid).ok() == Some(it))
    }
}

/// A signal takes a moment to be seen by the process' threads.
async fn becomes(host: &LocalHost, state: ProcessState) {
    let begun = Instant::now();
    loop {
        let seen = host.process(LIMIT).await.unwrap();
        if seen == state {
            return;
        }
        assert!(begun.elapsed() < LIMIT, "{seen:?} is not {state:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), signal).unwrap();
}

#[tokio::test]
async fn a_server_is_found_by_its_port_and_directory() {
    let mut place = Place::new();
    let pid = place.start("mariadbd");
    let host = place.host().await;
    assert_eq!(host.process(LIMIT).await.unwrap(), ProcessState::Running { pid });
    let capability = host.capability(LIMIT).await.unwrap();
    assert_eq!((capability.kill, capability.read_files), (Ability::Yes, Ability::Yes));

    let mut by_port = place.server();
    by_port.data_dir = None;
    assert!(LocalHost::find(&by_port, LIMIT).await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_that_does_not_run_here_is_not_found() {
    let mut place = Place::new();
    assert!(LocalHost::find(&place.server(), LIMIT).await.unwrap().is_none());
    // The same port and data directory, but the address of another machine (TEST-NET-1).
    place.start("mariadbd");
    let mut elsewhere = place.server();
    elsewhere.address = Address::new("192.0.2.1", place.port);
    assert!(LocalHost::find(&elsewhere, LIMIT).await.unwrap().is_none());
    // Another loopback address: the stand-in does not listen there.
    let mut beside = place.server();
    beside.address = Address::new("127.0.0.2", place.port);
    beside.data_dir = None;
    assert!(LocalHost::find(&beside, LIMIT).await.unwrap().is_none());
}

#[tokio::test]
async fn what_holds_the_port_and_is_not_the_server_is_refused() {
    let mut place = Place::new();
    let pid = place.start("haproxy");
    let refused = LocalHost::find(&place.server(), LIMIT).await.unwrap_err();
    assert!(
        matches!(&refused, HostError::NotADatabase { pid: held, program, .. }
            if *held == pid && program == "haproxy"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_in_another_directory_or_of_another_host_name_is_refused() {
    let mut place = Place::new();
    place.start("mariadbd");
    let other = tempfile::tempdir().unwrap();
    let mut elsewhere = place.server();
    elsewhere.data_dir = Some(other.path().to_owned());
    let mut renamed = place.server();
    renamed.host_name = Some("no-such-host-name".to_owned());
    for server in [elsewhere, renamed] {
        let refused = LocalHost::find(&server, LIMIT).await.unwrap_err();
        assert!(matches!(refused, HostError::NotTheServer { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_server_whose_data_directory_was_replaced_is_found_again() {
    let mut place = Place::new();
    let pid = place.start("mariadbd");
    let host = place.host().await;
    signal(pid, Signal::KILL);
    timeout(LIMIT, host.exited()).await.unwrap();
    let beside = tempfile::tempdir().unwrap();
    std::fs::rename(place.folder.path(), beside.path().join("old")).unwrap();
    std::fs::create_dir(place.folder.path()).unwrap();
    let pid = place.start("mariadbd");
    assert_eq!(host.process(LIMIT).await.unwrap(), ProcessState::Running { pid });
    // And kept down, whoever starts it.
    host.kill_and_keep_down(LIMIT).await.unwrap();
    let mut again = place.command(&place.link("mariadbd"));
    let arguments = ["--exact", "local::tests::stand_in", "--nocapture"];
    let mut last = again.args(arguments).spawn().unwrap();
    assert!(!last.wait().unwrap().success());
    host.release().await.unwrap();
}

#[tokio::test]
async fn a_server_on_another_port_is_not_taken_for_one_that_starts() {
    let mut place = Place::new();
    place.start("mariadbd");
    let mut server = place.server();
    server.address = Address::new("127.0.0.1", place.port.wrapping_add(1).max(1024));
    let refused = LocalHost::find(&server, LIMIT).await.unwrap_err();
    assert!(matches!(refused, HostError::NotTheServer { .. }), "{refused}");
}

#[tokio::test]
async fn an_exit_wakes_who_waits_and_is_told_once() {
    let mut place = Place::new();
    let pid = place.start("mariadbd");
    let host = Arc::new(place.host().await);
    // Dropping a wait loses nothing.
    assert!(timeout(Duration::from_millis(20), host.exited()).await.is_err());
    let waiting = tokio::spawn({
        let host = host.clone();
        async move { (host.exited().await, Instant::now()) }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let killed = Instant::now();
    signal(pid, Signal::KILL);
    let (state, woken) = timeout(LIMIT, waiting).await.unwrap().unwrap();
    assert_eq!(state, ProcessState::Exited { clean: None });
    // Two busy cores: the kernel's part is far below a millisecond.
    assert!(woken - killed < Duration::from_millis(200), "{:?}", woken - killed);
    assert_eq!(host.process(LIMIT).await.unwrap(), ProcessState::Exited { clean: None });
    assert!(timeout(Duration::from_millis(50), host.exited()).await.is_err());

    let restarted = place.start("mariadbd");
    assert_eq!(host.process(LIMIT).await.unwrap(), ProcessState::Running { pid: restarted });
    signal(restarted, Signal::KILL);
    timeout(LIMIT, host.exited()).await.unwrap();
}

#[tokio::test]
async fn a_stopped_process_is_frozen_and_can_be_killed() {
    let mut place = Place::new();
    let pid = place.start("mariadbd");
    let host = place.host().await;
    signal(pid, Signal::STOP);
    becomes(&host, ProcessState::Frozen { pid }).await;
    signal(pid, Signal::CONT);
    becomes(&host, ProcessState::Running { pid }).await;
    signal(pid, Signal::STOP);
    becomes(&host, ProcessState::Frozen { pid }).await;
    let killed = host.kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!((killed.pid, killed.was), (Some(pid), ProcessState::Frozen { pid }));
    host.release().await.unwrap();
}

#[tokio::test]
async fn a_fenced_server_is_not_brought_back_by_its_supervisor() {
    let mut place = Place::new();
    place.supervise();
    let host: Arc<dyn HostAccess> = Arc::new(place.host().await);
    let fence = HostFence::new(host, LIMIT).await.unwrap();
    assert_eq!(fence.rung(), FenceRung::Local);
    assert_eq!(fence.guarantees(), Guarantee::ProcessGone { disk_readable: true });

    let report = fence.fence(LIMIT).await.unwrap();
    assert!(report.pid.is_some());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(report.restarts_prevented.count() >= 2, "{:?}", report.restarts_prevented);
    // Fencing what is fenced already is no error.
    let again = fence.fence(LIMIT).await.unwrap();
    assert!(again.restarts_prevented.count() >= report.restarts_prevented.count() - 1);

    fence.release().await.unwrap();
    let count = report.restarts_prevented.count();
    place.wait_until_served();
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert!(place.is_served());
    assert_eq!(report.restarts_prevented.count(), count);
}

#[tokio::test]
async fn a_server_of_another_directory_lives_beside_one_that_is_kept_down() {
    let (mut down, mut other) = (Place::new(), Place::new());
    down.start("mariadbd");
    let pid = other.start("mariadbd");
    let host = down.host().await;
    host.kill_and_keep_down(LIMIT).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let bystander = other.host().await;
    assert_eq!(bystander.process(LIMIT).await.unwrap(), ProcessState::Running { pid });
    host.release().await.unwrap();
}

#[tokio::test]
async fn files_are_read_in_ranges_below_the_data_directory() {
    let place = Place::new();
    let host = LocalHost::expected(&place.server(), LIMIT).await.unwrap();
    fs::write(place.folder.path().join("binlog.000001"), b"0123456789").unwrap();
    fs::create_dir(place.folder.path().join("mysql")).unwrap();
    let file = Path::new("binlog.000001");
    assert_eq!(host.read_range(file, 3, 4, LIMIT).await.unwrap(), b"3456");
    assert_eq!(host.read_range(file, 8, 100, LIMIT).await.unwrap(), b"89");
    assert_eq!(host.read_range(file, 99, 4, LIMIT).await.unwrap(), b"");
    assert_eq!(host.file_len(file, LIMIT).await.unwrap(), 10);
    let listed = host.list(place.folder.path(), LIMIT).await.unwrap();
    assert_eq!(listed, [FileEntry { name: "binlog.000001".to_owned(), len: 10 }]);
    let missing = host.file_len(Path::new("binlog.000009"), LIMIT).await.unwrap_err();
    assert!(missing.to_string().contains("binlog.000009"), "{missing}");
}

/// A `systemctl` that says what it was called with, and does this; masks are links in `masks`.
fn systemctl(place: &Place, does: &str) -> Systemd {
    let folder = place.folder.path();
    let (program, masks) = (folder.join("systemctl"), folder.join("masks"));
    let text = format!("#!/bin/sh\ncd '{}'\necho \"$@\" >> said\n{does}\n", folder.display());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir_all(&masks).unwrap();
    Systemd::with(program, masks)
}

/// Masks and unmasks, as root may.
const MASKS: &str =
    "case $1 in mask) ln -sf /dev/null \"masks/$3\";; unmask) rm -f \"masks/$3\";; esac";

/// What polkit has it say to others.
const REFUSES: &str = "echo Access denied >&2; exit 1";

#[tokio::test]
async fn the_unit_is_masked_while_down_and_unmasked_after() {
    let mut place = Place::new();
    place.start("mariadbd");
    let mut server = place.server();
    server.unit = Some("mariadb.service".to_owned());
    let systemd = systemctl(&place, MASKS);
    let host = LocalHost::new(&server, LIMIT, Some(systemd.clone())).await.unwrap();

    let killed = host.kill_and_keep_down(LIMIT).await.unwrap();
    assert_eq!(killed.unit.unwrap().unit, "mariadb.service");
    host.release().await.unwrap();
    let lines = fs::read_to_string(place.folder.path().join("said")).unwrap();
    assert_eq!(lines, "mask --runtime mariadb.service\nunmask --runtime mariadb.service\n");
    assert!(!systemd.is_masked("mariadb.service"));

    host.kill_and_keep_down(LIMIT).await.unwrap();
    let masked = async {
        while !systemd.is_masked("mariadb.service") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, masked).await.unwrap();
    systemctl(&place, REFUSES);
    let refused = host.release().await.unwrap_err().to_string();
    assert!(refused.contains("Access denied") && refused.contains("systemctl unmask --runtime"));
    assert!(!host.keeps_down(), "whoever wants it down all the same has to say so again");
}

/// An agent that is not root: the guard alone has kept it down.
#[tokio::test]
async fn a_unit_that_could_not_be_masked_needs_no_unmasking() {
    let mut place = Place::new();
    place.start("mariadbd");
    let mut server = place.server();
    server.unit = Some("mariadb.service".to_owned());
    let systemd = systemctl(&place, REFUSES);
    let host = LocalHost::new(&server, LIMIT, Some(systemd.clone())).await.unwrap();
    host.kill_and_keep_down(LIMIT).await.unwrap();
    assert!(host.keeps_down());
    host.release().await.unwrap();
    assert!(!host.keeps_down());
    // Nor by one that does not know who has kept it down.
    let next = LocalHost::new(&server, LIMIT, Some(systemd)).await.unwrap();
    next.release().await.unwrap();
}

#[tokio::test]
async fn a_server_is_shut_down_and_started_by_its_program() {
    let mut place = Place::new();
    let first = place.start("mariadbd");
    let mut server = place.server();
    let none = LocalHost::find(&server, LIMIT).await.unwrap().unwrap();
    let line = format!(
        "cd '{}' && {PORT}={} exec ./mariadbd --exact local::tests::stand_in --nocapture",
        place.folder.path().display(),
        place.port
    );
    let output = place.folder.path().join("output");
    let words = ["/bin/sh", "-c", &line].map(str::to_owned).to_vec();
    server.start = Some(StartProgram { words, output: Some(output.clone()) });
    let host = LocalHost::find(&server, LIMIT).await.unwrap().unwrap();
    // It runs: nothing is started.
    assert_eq!(host.start(LIMIT).await.unwrap(), ProcessState::Running { pid: first });
    assert!(matches!(host.stop(LIMIT).await.unwrap(), ProcessState::Exited { .. }));
    assert!(!place.is_served());
    assert!(matches!(host.stop(LIMIT).await.unwrap(), ProcessState::Exited { .. }));
    let unknown = none.start(LIMIT).await.unwrap_err();
    assert!(unknown.to_string().contains("[[agent.server]]"), "{unknown}");

    let started = host.start(LIMIT).await.unwrap();
    assert!(matches!(started, ProcessState::Running { pid } if pid != first), "{started:?}");
    place.wait_until_served();
    assert_eq!(host.start(LIMIT).await.unwrap(), started);
    let said = fs::read_to_string(output).unwrap();
    assert!(said.contains("running 1 test"), "{said}");

    // A fence is not undone by a start.
    host.kill_and_keep_down(LIMIT).await.unwrap();
    let refused = host.start(LIMIT).await.unwrap_err();
    assert!(matches!(refused, HostError::KeptDown { .. }), "{refused}");
    host.release().await.unwrap();
    host.start(LIMIT).await.unwrap();
    place.wait_until_served();

    // Another directory stands under its name while it is down.
    host.stop(LIMIT).await.unwrap();
    let (folder, aside) = (place.folder.path(), place.folder.path().with_extension("before"));
    fs::rename(folder, &aside).unwrap();
    fs::create_dir(folder).unwrap();
    place.link("mariadbd");
    host.start(LIMIT).await.unwrap();
    place.wait_until_served();
    host.stop(LIMIT).await.unwrap();
    fs::remove_dir_all(aside).unwrap();
}

#[tokio::test]
async fn a_program_that_fails_is_named_with_its_end() {
    let place = Place::new();
    let mut server = place.server();
    let words = ["/bin/sh", "-c", "exit 3"].map(str::to_owned).to_vec();
    server.start = Some(StartProgram { words, output: None });
    let host = LocalHost::expected(&server, LIMIT).await.unwrap();
    let failed = host.start(LIMIT).await.unwrap_err().to_string();
    assert!(failed.contains("/bin/sh -c exit 3") && failed.contains("exit status: 3"), "{failed}");
}

#[tokio::test]
async fn a_unit_is_stopped_and_started_by_systemd() {
    let mut place = Place::new();
    let pid = place.start("mariadbd");
    let folder = place.folder.path().display().to_string();
    let program = place.folder.path().join("systemctl");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> '{folder}/said'\ncd '{folder}'\ncase $1 in\n\
         stop) kill $(cat pid);;\nstart) {PORT}={} setsid ./mariadbd --exact \
         local::tests::stand_in --nocapture >/dev/null 2>&1 &\necho $! >pid;;\n\
         show) echo active;;\nesac\n",
        place.port
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(place.folder.path().join("pid"), pid.to_string()).unwrap();
    let mut server = place.server();
    server.unit = Some("mariadb.service".to_owned());
    let systemd = Systemd::with(program.clone(), PathBuf::from(&folder));
    let host = LocalHost::new(&server, LIMIT, Some(systemd)).await.unwrap();
    host.look(LIMIT).await.unwrap();
    assert!(matches!(host.stop(LIMIT).await.unwrap(), ProcessState::Exited { .. }));
    host.start(LIMIT).await.unwrap();
    place.wait_until_served();
    let said = fs::read_to_string(place.folder.path().join("said")).unwrap();
    let stop = "stop --no-block --no-ask-password mariadb.service\n";
    assert!(said.starts_with(&format!("{stop}start --no-block")), "{said}");

    // Where systemctl may not be asked, the process is.
    fs::write(&program, "#!/bin/sh\necho no rights >&2; exit 1\n").unwrap();
    assert!(matches!(host.stop(LIMIT).await.unwrap(), ProcessState::Exited { .. }));
    let failed = host.start(LIMIT).await.unwrap_err().to_string();
    assert!(failed.contains("mariadb.service") && failed.contains("no rights"), "{failed}");
}
