//! Hosts in network namespaces, with a switch between them, and threads that live in them.

use std::fs::File;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use primacy_vip::{Mac, VirtualAddress};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::runtime::{Builder, Runtime};

/// No test takes nearly as long; it only ends one that would never end.
pub(crate) const LONG: Duration = Duration::from_secs(30);

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// Three hosts, `a`, `b` and `peer`, and the switch.
pub(crate) struct Net {
    switch: Host,
    pub(crate) a: Host,
    pub(crate) b: Host,
    pub(crate) peer: Host,
}

/// A host: a network namespace with `eth0`, and `10.77.0.N/24` and `fd77::N/64` on it.
pub(crate) struct Host {
    namespace: String,
    number: u8,
}

impl Net {
    /// `None`, and said so, where namespaces cannot be made.
    pub(crate) fn new() -> Option<Self> {
        let name = format!("pv{}n{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let host = |number: u8| Host { namespace: format!("{name}h{number}"), number };
        if let Err(why) = run(&["netns", "add", &host(0).namespace]) {
            skip(&why);
            return None;
        }
        // From here on it is taken down when it is dropped, also by a panic.
        let net = Self { switch: host(0), a: host(1), b: host(2), peer: host(3) };
        net.switch.ip("link add switch type bridge");
        net.switch.ip("link set switch up");
        for host in net.hosts() {
            run(&["netns", "add", &host.namespace]).expect("the first one could be made");
            net.plug(host, "eth0");
            host.ip("link set lo up");
            host.ip(&format!("addr add 10.77.0.{}/24 dev eth0", host.number));
            host.ip(&format!("addr add fd77::{}/64 dev eth0 nodad", host.number));
        }
        for host in net.hosts() {
            until(|| host.ip("-o link show eth0").contains("LOWER_UP"));
        }
        Some(net)
    }

    /// Gives a host an interface, connected to the switch.
    pub(crate) fn plug(&self, host: &Host, name: &str) {
        let (port, namespace) = (format!("{name}p{}", host.number), &host.namespace);
        self.switch.ip(&format!("link add {port} type veth peer name {name} netns {namespace}"));
        self.switch.ip(&format!("link set {port} master switch"));
        self.switch.ip(&format!("link set {port} up"));
        host.ip(&format!("link set {name} up"));
    }

    /// Pulls the cable of `eth0`.
    pub(crate) fn unplug(&self, host: &Host) {
        self.switch.ip(&format!("link set eth0p{} down", host.number));
        until(|| host.ip("-o link show eth0").contains("NO-CARRIER"));
    }

    fn hosts(&self) -> [&Host; 3] {
        [&self.a, &self.b, &self.peer]
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in self.hosts().into_iter().chain([&self.switch]) {
            let _not_made = run(&["netns", "del", &host.namespace]);
        }
    }
}

impl Host {
    /// Does something in a thread that lives in this host.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            let namespace = File::open(format!("/run/netns/{}", self.namespace)).expect("made");
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), kind).expect("whoever makes may enter");
        };
        let job = move || {
            enter();
            work()
        };
        thread::scope(|scope| scope.spawn(job).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// The same with a runtime, whose threads live in this host, too.
    pub(crate) fn with_runtime<T: Send>(&self, work: impl FnOnce(&Runtime) -> T + Send) -> T {
        self.inside(|| {
            let mut builder = Builder::new_multi_thread();
            let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
            work(&runtime)
        })
    }

    /// Runs `ip` in this host.
    pub(crate) fn ip(&self, words: &str) -> String {
        let words: Vec<&str> =
            ["-n", &self.namespace].into_iter().chain(words.split(' ')).collect();
        run(&words).expect("ip did it")
    }

    /// The Ethernet address of `eth0`.
    pub(crate) fn mac(&self) -> Mac {
        let said = self.ip("-o link show eth0");
        let text = said.split("link/ether ").nth(1).and_then(|rest| rest.split(' ').next());
        let octet = |digits| u8::from_str_radix(digits, 16).expect("hexadecimal");
        let octets: Vec<u8> = text.expect("it is Ethernet").split(':').map(octet).collect();
        Mac(octets.try_into().expect("six"))
    }

    /// What this host believes to be the Ethernet address of another.
    pub(crate) fn believes(&self, address: &VirtualAddress) -> String {
        self.ip(&format!("neigh show {}", address.ip()))
    }
}

/// Waits for a condition.
pub(crate) fn until(mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < LONG, "not within {LONG:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[expect(clippy::disallowed_methods, reason = "blocking is meant, also while a test is dropped")]
fn run(words: &[&str]) -> Result<String, String> {
    let output = Command::new("ip").args(words).stdin(Stdio::null()).output();
    let said = format!("ip {}", words.join(" "));
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) => Err(format!("{said}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{said}: {error}")),
    }
}

#[expect(clippy::print_stdout, reason = "a test that did not run must be seen not to have run")]
fn skip(why: &str) {
    println!("SKIPPED: network namespaces cannot be made here ({why})");
}
