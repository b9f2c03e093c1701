//! Other hosts are asked over real ssh whether they reach the primary.

use std::process::{Command, Stdio};

use primacy_testkit::{Net, Sshds, cluster};

use super::application::{PROGRAM, Ran, answered};

/// The manager's host.
const MANAGER: usize = 3;

async fn check(net: &Net, sshds: &Sshds, hosts: &[&str], more: &[&str]) -> Ran {
    let options = sshds.option();
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &net.host(MANAGER).namespace, PROGRAM, "mha"]);
    command.arg("masterha_secondary_check").args(hosts.iter().flat_map(|host| ["-s", host]));
    command.args(["--user=root", "--timeout=2", "--master_user=mha", "--ping_type=SELECT"]);
    command.args(["--master_password=not to be seen", &format!("--options={options}")]).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(Stdio::piped());
    let ran = answered(command.spawn().unwrap(), String::new()).await;
    assert!(!ran.out.contains("to be seen") && !ran.err.contains("to be seen"), "{ran:#?}");
    ran
}

async fn hosts_say_over_ssh_whether_they_reach_the_primary(server: &str) {
    let Some(net) = Net::new(4) else { return };
    let Some(sshds) = Sshds::start(&net, MANAGER) else { return };
    let cluster = cluster(server).on(&net).up().await;
    let primary = cluster.address("s1");
    let (second, third) = (net.host(1).address.clone(), net.host(2).address.clone());
    let hosts = [&*second, &*third];
    let port = format!("--master_port={}", primary.port());
    // The name means nothing over there, the address does.
    let name = ["--master_host=db1.invalid", &format!("--master_ip={}", primary.host()), &port];
    let only_name = ["--master_host=db1.invalid", &port];

    check(&net, &sshds, &hosts, &name).await.is(3, "is reached from there");
    check(&net, &sshds, &hosts, &only_name).await.is(2, "--master_ip");
    // It is frozen: a connection is all that is asked for, as with MHA.
    cluster.freeze("s1").await;
    check(&net, &sshds, &hosts, &name).await.is(3, "is reached from there");
    cluster.thaw("s1").await;
    // Its process is dead.
    cluster.kill("s1").await;
    check(&net, &sshds, &hosts, &name).await.is(0, "Connection refused");
    // Its host is lost with it.
    net.cut_off(0);
    check(&net, &sshds, &hosts, &name).await.is(0, "not reached from there");
    // A host that should say so is lost too, and one that reaches it outweighs that.
    net.cut_off(1);
    check(&net, &sshds, &hosts, &name).await.is(2, "could not be asked");
    net.mend(0);
    cluster.start("s1").await;
    check(&net, &sshds, &hosts, &name).await.is(3, "could not be asked");
}

primacy_testkit::on_servers!(
    [mariadb_10_11],
    [],
    hosts_say_over_ssh_whether_they_reach_the_primary
);
