//! Events that some replicas lack, with the accounts and options that MHA's variants differ in.

use super::site::{ALL, Login, M, S1, S2, S3, S4, SLAVES, Site};

/// S1 lacks a row and shall win.
async fn lacks_a_row(site: &Site) {
    site.settle().await;
    site.stop_receiver(S1).await;
    site.insert(M, 2).await;
    site.have(2, &[S2, S3, S4]).await;
    site.insert(M, 3).await;
    site.have(3, &[S2, S3, S4]).await;
    site.cluster.kill(M).await;
}

async fn is_levelled_and_promoted(site: &Site) {
    site.manager("app1.cnf", &[]).await.succeeds();
    site.serves(S1, &[S2, S3, S4], 3).await;
    site.insert(S1, 4).await;
    site.have(4, &SLAVES).await;
}

/// The plain one.
async fn t_needsync_1(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    lacks_a_row(&site).await;
    is_levelled_and_promoted(&site).await;
}

/// Every call over ssh takes a while, the primary's disk is gone with it, and the manager is started
/// afterwards: that the relay logs of the others can give S1 the missing row is known only when
/// their hosts have answered.
async fn slow_logins_are_waited_for(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    std::fs::create_dir(site.at("bin")).unwrap();
    site.script("bin/ssh", "sleep 1.5; exec /usr/bin/ssh \"$@\"");
    lacks_a_row(&site).await;
    let disk = &site.cluster.server(M).datadir;
    std::fs::rename(disk, disk.with_extension("lost")).unwrap();
    is_levelled_and_promoted(&site).await;
}

fn hostile(kind: &str) -> Login {
    // What shells, files of this kind and SQL give a meaning to.
    let password = format!("{kind}$(id)`w`!&|<>[]{{}}*?~#%=,\\\"x'y;z");
    Login { user: format!("u{kind}-%@$!#"), password }
}

/// Names and passwords with characters that shells, files and SQL give a meaning to.
async fn t_needsync_1_pass(server: &str) {
    let Some(mut site) = Site::over_ssh(server).await else { return };
    site.use_accounts(hostile("a"), hostile("r")).await;
    site.check_repl("app1.cnf", &[]).await.succeeds();
    lacks_a_row(&site).await;
    is_levelled_and_promoted(&site).await;
}

/// Accounts without passwords.
async fn t_needsync_1_nopass(server: &str) {
    let Some(mut site) = Site::over_ssh(server).await else { return };
    let empty = |user: &str| Login { user: user.to_owned(), password: String::new() };
    site.use_accounts(empty("nopass"), empty("repl_nopass")).await;
    site.check_repl("app1.cnf", &[]).await.succeeds();
    lacks_a_row(&site).await;
    is_levelled_and_promoted(&site).await;
}

/// Another limit for ssh.
async fn t_needsync_1_ssh(server: &str) {
    let Some(mut site) = Site::over_ssh(server).await else { return };
    site.configure("app1.cnf", &ALL, "ssh_connection_timeout=20");
    site.ssh_is_checked = true;
    lacks_a_row(&site).await;
    is_levelled_and_promoted(&site).await;
}

/// S1 lacks a row and S2 another one more.
async fn two_lack_rows(site: &Site) {
    site.settle().await;
    site.stop_receiver(S2).await;
    site.insert(M, 2).await;
    site.have(2, &[S1, S3, S4]).await;
    site.stop_receiver(S1).await;
    site.insert(M, 3).await;
    site.have(3, &[S3, S4]).await;
    site.cluster.kill(M).await;
    is_levelled_and_promoted(site).await;
}

/// Rows that two replicas lack, without a binlog server, with hostile passwords.
async fn t_needsync_2_pass(server: &str) {
    let Some(mut site) = Site::over_ssh(server).await else { return };
    site.use_accounts(hostile("b"), hostile("s")).await;
    two_lack_rows(&site).await;
}

/// The same with another limit for ssh.
async fn t_needsync_2_ssh(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    site.configure("app1.cnf", &ALL, "ssh_connection_timeout=20");
    two_lack_rows(&site).await;
}

async fn only_on_the_primary(site: &Site) {
    site.have(1, &ALL).await;
    for slave in SLAVES {
        site.stop_receiver(slave).await;
    }
    site.insert_all(M, 2..=6).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &[]).await.succeeds();
    site.serves(S1, &[S2, S3, S4], 6).await;
    site.insert(S1, 7).await;
    site.have(7, &SLAVES).await;
}

/// Rows that nobody received are fetched over ssh, with hostile passwords.
async fn t_save_master_log_pass(server: &str) {
    let Some(mut site) = Site::over_ssh(server).await else { return };
    site.use_accounts(hostile("c"), hostile("t")).await;
    only_on_the_primary(&site).await;
}

/// The same with another limit for ssh.
async fn t_save_master_log_ssh(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    site.configure("app1.cnf", &ALL, "ssh_connection_timeout=20");
    only_on_the_primary(&site).await;
}

/// The same with `[binlogN]` sections that are all wrong: they are not needed.
async fn t_save_binlog_gtid(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    let conf = site.at("app1.cnf");
    let mut text = std::fs::read_to_string(&conf).unwrap();
    for number in [1, 2] {
        text.push_str(&format!(
            "\n[binlog{number}]\nhostname=127.0.0.1\nmaster_binlog_dir=/nowhere/{number}\n"
        ));
    }
    std::fs::write(conf, text).unwrap();
    only_on_the_primary(&site).await;
}

const NOTHING_MOVES: [&str; 2] = ["--skip_change_master", "--skip_disable_read_only"];

/// Nobody is opened, and nobody moves.
async fn t_normal_crash_nocm(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    site.set_read_only(S1, true).await;
    site.insert(M, 2).await;
    site.have(2, &ALL).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &NOTHING_MOVES).await.succeeds();
    assert!(site.is_read_only(S1).await);
    site.are_on(&SLAVES, M).await;
    site.have(2, &SLAVES).await;
}

/// What S1 lacks is given to it; nobody is opened, and nobody moves.
async fn t_needsync_1_nocm(server: &str) {
    let Some(site) = Site::over_ssh(server).await else { return };
    site.set_read_only(S1, true).await;
    site.settle().await;
    site.stop_receiver(S1).await;
    site.insert(M, 2).await;
    site.have(2, &[S2, S3, S4]).await;
    site.cluster.kill(M).await;
    site.manager("app1.cnf", &NOTHING_MOVES).await.succeeds();
    assert!(site.is_read_only(S1).await);
    site.are_on(&SLAVES, M).await;
    site.have(2, &SLAVES).await;
}

crate::short!(t_needsync_1_pass, t_needsync_1_nocm);

crate::matrix!(
    t_needsync_1,
    t_needsync_1_nopass,
    t_needsync_1_ssh,
    t_needsync_2_pass,
    t_needsync_2_ssh,
    t_save_master_log_pass,
    t_save_master_log_ssh,
    t_save_binlog_gtid,
    t_normal_crash_nocm
);
// By file and position a sibling's relay logs have to be read; with GTID replication alone levels.
primacy_testkit::on_servers!([], [mysql_5_6], slow_logins_are_waited_for);
