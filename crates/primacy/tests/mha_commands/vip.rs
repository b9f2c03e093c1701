//! Scripts of the kind that was always written for MHA, as they stand in the documents' examples: an
//! alias of net-tools' `ifconfig`, and keepalived that is stopped and started. They log in as MHA's do,
//! without being told options of ssh, and run unchanged but for the address.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use primacy_testkit::{Cluster, Neighbour, Net, Sshds, cluster, eventually};

use crate::{LONG, MANAGER, Site, contains_all, ssh_options};

/// The address of applications.
const VIP: &str = "10.77.0.100";

/// The address in the examples, which an administrator changes.
const EXAMPLE: &str = "'10.0.0.100/24'";

const IFCONFIG: &str = "/sbin/ifconfig";
const KEEPALIVED: &str = "/usr/sbin/keepalived";

/// Three hosts with a server and an sshd each, and the manager's with the scripts of this kind.
struct Stage {
    net: Net,
    sshds: Sshds,
    cluster: Cluster,
    site: Site,
}

impl Stage {
    async fn set(kind: &str, server: &str) -> Option<Self> {
        let net = Net::new(4)?;
        let sshds = Sshds::start(&net, MANAGER)?;
        let cluster = cluster(server).on(&net).up().await;
        let site = Site::new(Some(&net.host(MANAGER).namespace));
        // What ~/.ssh/config is on a manager's host.
        let options = ssh_options(&sshds).replace("ssh_options=", "");
        install(&site.at("bin/ssh"), &format!("#!/bin/sh\nexec /usr/bin/ssh {options} \"$@\"\n"));
        let mut lines = String::new();
        for script in ["master_ip_failover", "master_ip_online_change"] {
            let file = format!("../../docs/examples/mha/{script}.{kind}");
            let text = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
            let text = fs::read_to_string(text).unwrap();
            install(&site.at(script), &text.replace(EXAMPLE, &format!("'{VIP}/24'")));
            lines.push_str(&format!("{script}_script={}\n", site.at(script).display()));
        }
        site.write("app1", &cluster, &lines);
        // The last block is that of s3, where nobody takes the address.
        let conf = site.at("app1.cnf");
        let text = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, format!("{text}no_master=1\n")).unwrap();
        Some(Self { net, sshds, cluster, site })
    }

    /// The hosts that have the address.
    fn holders(&self) -> Vec<usize> {
        (0..MANAGER).filter(|i| self.net.has_address(*i, VIP)).collect()
    }

    /// The role goes to `s2` while both live, and back when `s2` is dead: the address is where it is,
    /// and nowhere else.
    async fn the_address_follows_the_role(&self) {
        let Self { cluster, site, .. } = self;
        self.comes_to(0).await;
        let repl = site.on("masterha_check_repl", "app1", &[]);
        assert_eq!(repl.code, Some(0), "{}", repl.err);

        let new = format!("--new_master_host={}", cluster.address("s2").host());
        let words = ["--master_state=alive", "--interactive=0", "--orig_master_is_new_slave", &new];
        let switched = site.on("masterha_master_switch", "app1", &words);
        assert_eq!(switched.code, Some(0), "{}", switched.err);
        assert_eq!(cluster.writable().await, ["s2"]);
        self.comes_to(1).await;

        let mut manager = site.manager("app1", &[]);
        site.is_running("app1").await;
        cluster.kill("s2").await;
        assert_eq!(manager.ends(|| site.log("app1")).await, 0, "{}", site.log("app1"));
        assert_eq!(cluster.writable().await, ["s1"]);
        self.comes_to(0).await;
        cluster.all_replicate(&["s3"], "s1").await;
        contains_all(&site.log("app1"), &["Master failover to "]);
        site.shows_no_password("app1", cluster, &[&repl, &switched]);
    }

    async fn comes_to(&self, host: usize) {
        let comes = eventually(LONG, "", async || self.holders() == [host]);
        if tokio::time::timeout(LONG / 2, comes).await.is_err() {
            panic!("not only host {host} has it: {:?}\n{}", self.holders(), self.site.log("app1"));
        }
    }
}

/// A program at this path.
pub(super) fn install(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Runs a program on a host, as its administrator would.
fn on_host(net: &Net, host: usize, words: &[&str]) {
    let namespace = &net.host(host).namespace;
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).args(words).stdin(Stdio::null());
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

async fn an_alias_of_ifconfig_follows_the_primary(server: &str) {
    if !Neighbour::is_installed(IFCONFIG, "net-tools") {
        return;
    }
    let Some(stage) = Stage::set("ifconfig", server).await else { return };
    on_host(&stage.net, 0, &[IFCONFIG, "eth0:1", &format!("{VIP}/24"), "up"]);
    stage.the_address_follows_the_role().await;
    let told = stage.site.log("app1");
    contains_all(&told, &[&format!("Taking {VIP}/24 from "), &format!("Giving {VIP}/24 to ")]);
}

/// The keepalived of a host, started and stopped there by `service`; ended when dropped.
struct Keepalived {
    folder: tempfile::TempDir,
    namespace: String,
}

impl Keepalived {
    /// Installs it on `host`, beside that of `other`; it does not run yet.
    fn install(stage: &Stage, host: usize, other: usize) -> Self {
        let folder = tempfile::Builder::new().prefix("ptka").tempdir_in("/tmp").unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let (own, peer) = (stage.net.host(host), stage.net.host(other));
        let conf = format!(
            "vrrp_instance writer {{\n  state BACKUP\n  nopreempt\n  interface eth0\n  \
             virtual_router_id 51\n  priority 100\n  advert_int 1\n  unicast_src_ip {}\n  \
             unicast_peer {{\n    {}\n  }}\n  virtual_ipaddress {{\n    {VIP}/24 dev eth0\n  }}\n}}\n",
            own.address, peer.address
        );
        fs::write(at("keepalived.conf"), conf).unwrap();
        // What an init system does of it: a daemon with a file of its number, one at a time, and an end
        // that is waited for.
        let service = format!(
            "#!/bin/sh\npid={pid}\nruns() {{ [ -s $pid ] && kill -0 \"$(cat $pid)\" 2>/dev/null; }}\n\
             case \"$1 $2\" in\n\
             'keepalived start') runs || {KEEPALIVED} -P -D -f {conf} -p $pid -r {vrrp} ;;\n\
             'keepalived stop') if runs; then kill \"$(cat $pid)\"; \
             while runs; do sleep 0.05; done; fi ;;\n\
             *) exit 1 ;;\nesac\n",
            pid = at("pid"),
            vrrp = at("vrrp.pid"),
            conf = at("keepalived.conf"),
        );
        stage.sshds.install(own, "service", &service);
        install(&folder.path().join("service"), &service);
        Self { folder, namespace: own.namespace.clone() }
    }

    fn service(&self, verb: &str) -> bool {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(self.folder.path().join("service"));
        command.args(["keepalived", verb]).stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        self.service("stop");
    }
}

async fn the_address_of_a_keepalived_that_is_stopped_and_started_follows_the_primary(server: &str) {
    if !Neighbour::is_installed(KEEPALIVED, "keepalived") {
        return;
    }
    let Some(stage) = Stage::set("keepalived", server).await else { return };
    let [first, second] = [(0, 1), (1, 0)].map(|(a, b)| Keepalived::install(&stage, a, b));
    assert!(first.service("start"));
    stage.comes_to(0).await;
    assert!(second.service("start"));
    stage.the_address_follows_the_role().await;
}

primacy_testkit::on_servers!(
    [mariadb_10_11],
    [],
    an_alias_of_ifconfig_follows_the_primary,
    the_address_of_a_keepalived_that_is_stopped_and_started_follows_the_primary
);
