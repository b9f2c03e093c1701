//! Certificates of a sandbox: an authority of its own, and one certificate for all its servers.

use std::path::Path;
use std::time::Duration;

use crate::command::{Run, on_path};
use crate::mycnf::Certificates;
use crate::{Error, Result, places};

const LIMIT: Duration = Duration::from_secs(60);

/// Makes them in `dir` with the `openssl` program. Blocks.
pub(crate) fn make(dir: &Path, hosts: &[String]) -> Result<Certificates> {
    if on_path("openssl").is_none() {
        return Err(Error::refused(
            "certificates need the openssl program, which is not installed",
            "apt-get install openssl, or go without --tls",
        ));
    }
    places::make_dir(dir, 0o711)?;
    let names: Vec<String> = hosts
        .iter()
        .map(|host| {
            let kind = if host.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
            format!("{kind}:{host}")
        })
        .collect();
    let names = format!("subjectAltName=DNS:localhost,{}", names.join(","));
    let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "3650"];
    let run = |more: &[&str]| {
        Run::new("openssl", LIMIT)
            .args(new)
            .args(more)
            .dir(dir)
            .way_out("OpenSSL 3.0 or later is needed")
            .run()
    };
    run(&["-subj", "/CN=primacy sandbox CA", "-keyout", "ca-key.pem", "-out", "ca.pem"])?;
    #[rustfmt::skip]
    run(&[
        "-subj", "/CN=primacy sandbox server", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
        "-addext", &names, "-addext", "basicConstraints=critical,CA:FALSE",
        "-keyout", "server-key.pem", "-out", "server-cert.pem",
    ])?;
    Ok(Certificates {
        ca: dir.join("ca.pem"),
        certificate: dir.join("server-cert.pem"),
        key: dir.join("server-key.pem"),
    })
}
