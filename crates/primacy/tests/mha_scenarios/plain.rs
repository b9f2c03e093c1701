//! A crash and nothing else, and configurations and servers that are not fit to be watched.

use super::site::{ALL, M, PROGRAM, S1, S2, S3, S4, SLAVES, Site};

/// The secondary check says "reached" while the primary lives and "not reached" once it is dead; then
/// the candidate takes over.
async fn t_normal_crash(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    let (port, options) = (format!("--port={}", site.ssh_port()), site.ssh_options());
    let address = site.cluster.address(M);
    let check = async || {
        let host = format!("--master_host={}", address.host());
        let master_port = format!("--master_port={}", address.port());
        let options = format!("--options={options}");
        let words = [
            "-s",
            "127.0.0.1",
            "--timeout=60",
            "--user=root",
            &port,
            &options,
            &host,
            &master_port,
        ];
        site.run("masterha_secondary_check", &words).await.code
    };
    assert_eq!(check().await, Some(3));
    let words = format!("\"$@\" {port} --timeout=60 --options='{options}'");
    let line = format!("exec {PROGRAM} mha masterha_secondary_check {words}");
    let script = site.script("secondary", &line);
    site.configure("app1.cnf", &ALL, &format!("secondary_check_script={script} -s 127.0.0.1"));
    site.check_repl("app1.cnf", &[]).await.succeeds();
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    let manager = site.watching(&[]).await;
    site.cluster.kill(M).await;
    assert_eq!(check().await, Some(0));
    site.ended(manager).await.succeeds();
    site.serves(S1, &[S2, S3, S4], 2).await;
    assert_eq!(site.source_of(S1).await, None, "no old setting is left");
    site.insert(S1, 3).await;
    site.have(3, &SLAVES).await;
}

/// Configurations without the primary, and with the primary alone, are refused.
async fn t_conf(server: &str) {
    let site = Site::up(server).await;
    site.configure("err1.cnf", &SLAVES, "");
    site.configure("err2.cnf", &[M], "");
    for conf in ["err1.cnf", "err2.cnf"] {
        site.check_repl(conf, &[]).await.ends(1, "NOT OK");
        site.manager(conf, &[]).await.is_refused("Error happened on monitoring servers");
    }
    site.check_repl("app1.cnf", &[]).await.ends(0, "is OK");
    site.is_untouched().await;
}

/// A second manager on the same primary ends while the first one runs.
async fn t_advisory_select(server: &str) {
    let site = Site::up(server).await;
    let first = site.watching(&[]).await;
    site.manager("app1.cnf", &[]).await.is_refused("is running already");
    site.configure("app2.cnf", &ALL, &format!("manager_workdir={}", site.at("2").display()));
    site.manager("app2.cnf", &[]).await.is_refused("another manager watches this master");
    site.online("app2.cnf", &[]).await.is_refused("stop it first");
    site.cluster.kill(M).await;
    site.ended(first).await.succeeds();
    site.serves(S1, &[S2, S3, S4], 1).await;
}

/// A manager does not start while a replica is down; when it is back all is well.
async fn t_slave_stop(server: &str) {
    let site = Site::up(server).await;
    site.cluster.kill(S1).await;
    site.manager("app1.cnf", &[]).await.is_refused("is dead, but must be alive");
    site.check_repl("app1.cnf", &[]).await.is_refused("is dead, but must be alive");
    site.cluster.start(S1).await;
    site.cluster.all_replicate(&[S1], M).await;
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.succeeds();
    site.serves(S1, &[S2, S3, S4], 2).await;
}

/// A server that replicates from nobody beside the primary is refused, before and after it dies.
async fn t_slave_incorrect(server: &str) {
    let site = Site::up(server).await;
    site.forget_source(S3).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("replicate from nobody");
    site.manager("app1.cnf", &[]).await.is_refused("replicate from nobody");
    site.cluster.kill(M).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("NOT OK");
    site.manager("app1.cnf", &[]).await.is_refused("replicates from nobody");
    site.fail_over("app1.cnf", M, &[]).await.is_refused("replicates from nobody");
    site.are_on(&[S1, S2, S4], M).await;
}

/// Two servers that replicate from nobody are refused, with more tiers allowed and without.
async fn t_dual_master_error(server: &str) {
    let site = Site::up(server).await;
    site.configure("multi.cnf", &ALL, "multi_tier_slave=1");
    site.forget_source(S1).await;
    for conf in ["app1.cnf", "multi.cnf"] {
        site.check_repl(conf, &[]).await.is_refused("replicate from nobody");
        site.manager(conf, &[]).await.is_refused("replicate from nobody");
    }
    site.cluster.kill(M).await;
    for conf in ["app1.cnf", "multi.cnf"] {
        site.manager(conf, &[]).await.is_refused("replicates from nobody");
    }
    site.are_on(&[S2, S3, S4], M).await;
}

/// Replicas name the primary by its address and the file by its name, and nobody has seen it alive.
async fn a_source_by_another_name(server: &str) {
    let site = Site::up(server).await;
    let conf = site.at("app1.cnf");
    let text = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(conf, text.replace("hostname=127.0.0.1", "hostname=localhost")).unwrap();
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.succeeds();
    assert_eq!(site.cluster.writable().await, [S1]);
    site.insert(S1, 3).await;
    site.have(3, &SLAVES).await;
}

/// A server that logs other databases than the others is refused, unless filters are not compared.
async fn check_repl_filter(server: &str) {
    let site = Site::up(server).await;
    let options = &site.cluster.server(S3).config_file;
    let text = std::fs::read_to_string(options).unwrap();
    std::fs::write(options, format!("{text}\nbinlog_ignore_db = other\n")).unwrap();
    site.cluster.stop(S3).await;
    site.cluster.start(S3).await;
    site.start_slave(S3).await;
    site.cluster.all_replicate(&[S3], M).await;
    site.check_repl("app1.cnf", &[]).await.is_refused("not the same everywhere");
    site.manager("app1.cnf", &[]).await.is_refused("not the same everywhere");
    site.online("app1.cnf", &[]).await.is_refused("not the same everywhere");
    site.configure("app1.cnf", &ALL, "check_repl_filter=0");
    site.check_repl("app1.cnf", &[]).await.succeeds();
}

crate::short!(t_normal_crash, t_slave_incorrect);

crate::matrix!(
    a_source_by_another_name,
    check_repl_filter,
    t_conf,
    t_advisory_select,
    t_slave_stop,
    t_dual_master_error
);
