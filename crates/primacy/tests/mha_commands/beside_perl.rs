//! MHA's own manager, of Debian's packages, whose calls of node commands on the hosts are answered by
//! Primacy's. Its version 0.58 does not start with a Perl of today (it gives a format too many numbers,
//! and that is fatal), so two of its functions are replaced while it runs.

use std::fs;
use std::path::Path;
use std::process::Command;

use primacy_testkit::{Net, Sshds, cluster, eventually};

use crate::{LONG, MANAGER, PROGRAM, Ran, Site, contains_all};

/// Where Debian's packages have it.
const MANAGER_OF_MHA: &str = "/usr/bin/masterha_manager";

const NODE: [&str; 4] =
    ["save_binary_logs", "apply_diff_relay_logs", "purge_relay_logs", "filter_mysqlbinlog"];

/// Takes as many numbers of a version as there is room for.
const MEND: &str = "package Mend;\nuse strict;\nuse MHA::NodeUtil;\nno warnings;\n\
    sub numbers { my ( $count, $text ) = @_; my @all = ( $text =~ /([0-9]+)/g, 0, 0, 0 );\n  \
    return join '', map { sprintf '%03d', $_ } @all[ 0 .. $count - 1 ]; }\n\
    *MHA::NodeUtil::parse_mysql_version = sub($) { numbers( 3, $_[0] ) };\n\
    *MHA::NodeUtil::parse_mysql_major_version = sub($) { numbers( 2, $_[0] ) };\n1;\n";

/// One of MHA's own commands, on the manager's host.
fn perl(site: &Site, command: &str, app: &str) -> Ran {
    let script = Path::new(MANAGER_OF_MHA).with_file_name(command);
    let inside = format!("-I{}", site.folder.path().display());
    let path = std::env::var("PATH").unwrap();
    let mut run = Command::new("ip");
    run.args(["netns", "exec", site.namespace.as_ref().unwrap(), "/usr/bin/perl", &inside])
        .arg("-MMend")
        .arg(script)
        .arg(format!("--conf={}", site.at(&format!("{app}.cnf")).display()))
        .env("PATH", format!("{}:{path}", site.at("bin").display()));
    let output = run.output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

#[expect(clippy::print_stdout, reason = "a test that did not run must be seen not to have run")]
async fn mhas_own_manager_is_answered(server: &str) {
    let there = fs::read_to_string(MANAGER_OF_MHA).unwrap_or_default();
    if !there.contains("perl") {
        println!("SKIPPED: {MANAGER_OF_MHA} is not there (apt-get install mha4mysql-manager)");
        return;
    }
    let net = Net::new(4).unwrap();
    let sshds = Sshds::start(&net, MANAGER).unwrap();
    let cluster = cluster(server)
        .without_gtid()
        .option("relay_log_purge = OFF")
        .option("max_relay_log_size = 4096")
        .on(&net)
        .up()
        .await;
    cluster.sql("s1", "CREATE USER 'mha'@'%' IDENTIFIED BY 'mha'").await;
    cluster.sql("s1", "GRANT ALL PRIVILEGES ON *.* TO 'mha'@'%'").await;
    cluster.sql("s1", "CREATE TABLE app.t (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB").await;

    let site = Site::new(Some(&net.host(MANAGER).namespace));
    fs::write(site.at("Mend.pm"), MEND).unwrap();
    let calls = site.at("calls");
    for host in 0..MANAGER {
        for name in NODE {
            let text = format!(
                "#!/bin/sh\necho \"{name} $*\" >> {}\nexec {PROGRAM} mha {name} \"$@\"\n",
                calls.display()
            );
            sshds.install(net.host(host), name, &text);
        }
    }
    // Its copies need no sftp on the hosts: as the manual page of scp says of -O. Hosts copy too.
    let options = crate::ssh_options(&sshds).replace("ssh_options=", "");
    let scp = format!("#!/bin/sh\nexec /usr/bin/scp -O {options} \"$@\"\n");
    let ssh = format!("#!/bin/sh\nexec /usr/bin/ssh {options} \"$@\"\n");
    for (name, text) in [("scp", &scp), ("ssh", &ssh)] {
        super::vip::install(&site.at(&format!("bin/{name}")), text);
        for host in 0..MANAGER {
            sshds.install(net.host(host), name, text);
        }
    }
    site.write("app1", &cluster, "");
    let mut text = fs::read_to_string(site.at("app1.cnf")).unwrap();
    for line in ["user=", "password="] {
        let from = text.find(&format!("\n{line}")).unwrap() + 1;
        let to = from + text[from..].find('\n').unwrap();
        text.replace_range(from..to, &format!("{line}mha"));
    }
    // All hosts have the same disk here.
    for name in ["s1", "s2", "s3"] {
        let host = format!("hostname={}\n", cluster.address(name).host());
        let work = site.at(&format!("work-{name}"));
        fs::create_dir(&work).unwrap();
        let logs = cluster.server(name).datadir.display().to_string();
        let more = format!("{host}remote_workdir={}\nmaster_binlog_dir={logs}\n", work.display());
        text = text.replace(&host, &more);
    }
    fs::write(site.at("app1.cnf"), text).unwrap();
    for replica in ["s2", "s3"] {
        cluster.catches_up(replica, "s1").await;
    }

    let repl = perl(&site, "masterha_check_repl", "app1");
    assert_eq!(repl.code, Some(0), "{}{}", repl.out, repl.err);

    // s2, which is wanted, has received less than s3, and the last rows are on the primary's disk alone.
    let stop = async |replica: &str| {
        cluster.say(replica, "STOP SLAVE IO_THREAD", "STOP REPLICA IO_THREAD").await;
    };
    let insert = async |ids: std::ops::Range<u32>| {
        for id in ids {
            let sql = format!("INSERT INTO app.t VALUES ({id}, REPEAT('x', 500))");
            cluster.sql("s1", &sql).await;
        }
    };
    let rows = async |server: &str, count: u32| {
        eventually(LONG, &format!("{server} has {count} rows"), async || {
            cluster.cell(server, "SELECT COUNT(*) FROM app.t").await == Some(count.to_string())
        })
        .await;
    };
    insert(0..10).await;
    rows("s2", 10).await;
    stop("s2").await;
    insert(10..40).await;
    rows("s3", 40).await;
    stop("s3").await;
    insert(40..45).await;
    cluster.kill("s1").await;
    let ran = perl(&site, "masterha_manager", "app1");
    let told = format!("{}{}\n{}", ran.out, ran.err, site.log("app1"));
    let calls = fs::read_to_string(&calls).unwrap();
    assert_eq!(ran.code, Some(0), "{told}\n{calls}");
    assert_eq!(cluster.writable().await, ["s2"], "{told}");
    for server in ["s2", "s3"] {
        rows(server, 45).await;
    }
    cluster.all_replicate(&["s3"], "s2").await;
    contains_all(
        &calls,
        &[
            "save_binary_logs --command=test ",
            "save_binary_logs --command=save ",
            "apply_diff_relay_logs --command=test ",
            "apply_diff_relay_logs --command=find ",
            "apply_diff_relay_logs --command=generate_and_send ",
            "apply_diff_relay_logs --command=apply ",
        ],
    );
}

primacy_testkit::on_servers!([], [mariadb_10_11 mysql_5_6], mhas_own_manager_is_answered);
