//! A little network: hosts in namespaces of their own, with a switch between them, whose cables
//! can be cut. Packets are lost without a word, as in a network that is broken.

use std::fs::File;
use std::future::Future;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::must;

static NUMBER: AtomicU32 = AtomicU32::new(1);

/// A network of hosts.
#[derive(Debug)]
pub struct Net {
    switch: String,
    hosts: Vec<Host>,
}

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its address.
    pub address: String,
    /// Its network namespace.
    pub namespace: String,
}

impl Net {
    /// So many hosts; `None`, and said so, where making namespaces is not permitted.
    pub fn new(hosts: u8) -> Option<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pt{}n{number}", std::process::id());
        if let Err(why) = ip(&["netns", "add", &format!("{name}s")]) {
            skip(&why);
            return None;
        }
        let switch = format!("{name}s");
        let hosts = (1..=hosts)
            .map(|i| Host { address: format!("10.77.0.{i}"), namespace: format!("{name}h{i}") });
        // From here on it is taken down when it is dropped.
        let net = Self { switch, hosts: hosts.collect() };
        match net.build() {
            Ok(()) => Some(net),
            Err(why) => {
                skip(&why);
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        let inside = |namespace: &str, words: &[&str]| {
            let words: Vec<&str> = ["-n", namespace].iter().chain(words).copied().collect();
            ip(&words)
        };
        inside(&self.switch, &["link", "add", "switch", "type", "bridge"])?;
        inside(&self.switch, &["link", "set", "switch", "up"])?;
        for (i, host) in self.hosts.iter().enumerate() {
            let (port, name) = (port(i), host.namespace.as_str());
            ip(&["netns", "add", name])?;
            let pair =
                ["link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", name];
            inside(&self.switch, &pair)?;
            inside(&self.switch, &["link", "set", &port, "master", "switch"])?;
            inside(&self.switch, &["link", "set", &port, "up"])?;
            inside(name, &["link", "set", "lo", "up"])?;
            inside(name, &["addr", "add", &format!("{}/24", host.address), "dev", "eth0"])?;
            inside(name, &["link", "set", "eth0", "up"])?;
        }
        Ok(())
    }

    /// The host of this number, from 0.
    pub fn host(&self, i: usize) -> &Host {
        &self.hosts[i]
    }

    /// Loses every packet between two hosts, in both directions.
    pub fn cut_between(&self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.cut_one_way(from, to);
        }
    }

    /// Loses every packet from one host to another; the other direction works.
    pub fn cut_one_way(&self, from: usize, to: usize) {
        let (from, to) = (self.host(from), self.host(to));
        // A neighbour that does not exist: what is sent there arrives nowhere.
        let words = ["-n", &from.namespace, "neigh", "replace", &to.address, "lladdr"];
        let more = ["02:00:00:00:00:fe", "dev", "eth0", "nud", "permanent"];
        must_ip(&[&words[..], &more[..]].concat());
    }

    /// Takes back [`cut_one_way`](Self::cut_one_way).
    pub fn mend_one_way(&self, from: usize, to: usize) {
        let (from, to) = (self.host(from), self.host(to));
        must_ip(&["-n", &from.namespace, "neigh", "del", &to.address, "dev", "eth0"]);
    }

    /// Takes back [`cut_between`](Self::cut_between).
    pub fn mend_between(&self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.mend_one_way(from, to);
        }
    }

    /// Whether a host has this address.
    #[expect(clippy::disallowed_methods, reason = "a test may wait for ip, which answers at once")]
    pub fn has_address(&self, i: usize, address: &str) -> bool {
        let shown = Command::new("ip")
            .args(["-n", &self.host(i).namespace, "-o", "address", "show", "dev", "eth0"])
            .output();
        let text = shown.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
        text.unwrap_or_default().contains(&format!(" {address}/"))
    }

    /// Does something on a host: sockets that are made in it are the host's.
    pub async fn inside<T: Send + 'static>(
        &self,
        i: usize,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let path = format!("/run/netns/{}", self.host(i).namespace);
        let inside = move || {
            let namespace = must(File::open(&path), "opening a namespace");
            let network = Some(LinkNameSpaceType::Network);
            let moved = move_into_link_name_space(namespace.as_fd(), network);
            must(moved, "entering a namespace");
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            must(runtime, "making a runtime").block_on(work)
        };
        // A thread of its own, which ends afterwards: it does not come back.
        let (done, result) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || drop(done.send(inside())));
        must(result.await, "working inside a namespace")
    }

    /// Gives a host one more address.
    pub fn add_address(&self, i: usize, address: &str) {
        let namespace = &self.host(i).namespace;
        must_ip(&["-n", namespace, "address", "add", &format!("{address}/24"), "dev", "eth0"]);
    }

    /// Takes that address away again.
    pub fn remove_address(&self, i: usize, address: &str) {
        let namespace = &self.host(i).namespace;
        must_ip(&["-n", namespace, "address", "del", &format!("{address}/24"), "dev", "eth0"]);
    }

    /// Pulls the cable of a host out of the switch.
    pub fn cut_off(&self, i: usize) {
        must_ip(&["-n", &self.switch, "link", "set", &port(i), "nomaster"]);
    }

    /// Brings the network card of a host up that something on it has taken down.
    pub fn plug_in(&self, i: usize) {
        must_ip(&["-n", &self.host(i).namespace, "link", "set", "eth0", "up"]);
    }

    /// Puts the cable of a host back into the switch.
    pub fn mend(&self, i: usize) {
        must_ip(&["-n", &self.switch, "link", "set", &port(i), "master", "switch"]);
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        // The cables go with the namespaces that they lead into.
        for name in self.hosts.iter().map(|host| &host.namespace).chain([&self.switch]) {
            let _not_made = ip(&["netns", "del", name]);
        }
    }
}

fn port(i: usize) -> String {
    format!("port{i}")
}

fn must_ip(words: &[&str]) {
    if let Err(why) = ip(words) {
        panic!("{why}");
    }
}

/// Runs `ip`, and waits: it only talks to the kernel.
#[expect(clippy::disallowed_methods, reason = "blocking is meant, also while a test is dropped")]
fn ip(words: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(words).stdin(Stdio::null()).output();
    let said = format!("ip {}", words.join(" "));
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{said}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{said}: {error}")),
    }
}

#[expect(clippy::print_stdout, reason = "a test that did not run must be seen not to have run")]
fn skip(why: &str) {
    println!("SKIPPED: network namespaces cannot be made here ({why})");
}
