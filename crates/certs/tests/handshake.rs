//! Who gets in: every case is a real handshake between two ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use primacy_certs::{Authority, Identity, Paths, Peer, Request, Role, Validity, write_new};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection};

struct Pki {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Pki {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (authority, issued) = Authority::create("test", Validity::days(100)).unwrap();
        write_new(folder.path(), "authority", &issued).unwrap();
        Self { folder, authority }
    }

    fn identity(&self, role: Role, name: &str, validity: Validity) -> Identity {
        let hosts = vec![format!("{name}.example"), "127.0.0.1".to_owned()];
        let request = Request { role, name: name.to_owned(), hosts, validity };
        let issued = self.authority.issue(&request).unwrap();
        let (certificate, key) = write_new(self.folder.path(), name, &issued).unwrap();
        Identity::load(&Paths { certificate, key, authority: self.root() }).unwrap()
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("authority.crt")
    }

    fn good(&self, role: Role, name: &str) -> Identity {
        self.identity(role, name, Validity::days(10))
    }
}

/// Shakes hands in memory and sends one byte in both directions.
fn shake(server: &Identity, client: ClientConfig, dialled: &str) -> Result<Peer, String> {
    let server = server.server(&[Role::Manager, Role::Agent]).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let name = ServerName::try_from(dialled.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    client.writer().write_all(b"c").unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            if let Err(error) = server.process_new_packets() {
                assert!(server.wants_write(), "an alert is sent");
                return Err(format!("server: {error}"));
            }
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets().map_err(|error| format!("client: {error}"))?;
        }
    }
    let mut one = [0];
    server.reader().read_exact(&mut one).unwrap();
    Ok(Peer::of(&server.peer_certificates().unwrap()[0]).unwrap())
}

#[test]
fn a_manager_gets_in_and_is_known_by_name_and_role() {
    let pki = Pki::new();
    let (agent, manager) = (pki.good(Role::Agent, "db1"), pki.good(Role::Manager, "m1"));
    let peer = shake(&agent, manager.client().unwrap(), "db1.example").unwrap();
    assert_eq!((peer.role, peer.name.as_str()), (Role::Manager, "m1"));
    assert_eq!(peer, *manager.own());
    assert!(shake(&agent, manager.client().unwrap(), "127.0.0.1").is_ok());
}

#[test]
fn an_agent_of_another_host_is_not_taken_for_this_one() {
    let pki = Pki::new();
    let (agent, manager) = (pki.good(Role::Agent, "db2"), pki.good(Role::Manager, "m1"));
    let error = shake(&agent, manager.client().unwrap(), "db1.example").unwrap_err();
    assert!(error.starts_with("client:") && error.contains("not valid for name"), "{error}");
}

#[test]
fn a_manager_cannot_pose_as_an_agent() {
    let pki = Pki::new();
    let (fake, manager) = (pki.good(Role::Manager, "db1"), pki.good(Role::Manager, "m1"));
    assert!(shake(&fake, manager.client().unwrap(), "db1.example").is_err());
}

#[test]
fn nobody_gets_in_without_a_certificate_or_with_one_that_is_not_good() {
    let pki = Pki::new();
    let agent = pki.good(Role::Agent, "db1");

    let bare =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates({
                use rustls::pki_types::pem::PemObject as _;
                let mut roots = rustls::RootCertStore::empty();
                roots
                    .add(rustls::pki_types::CertificateDer::from_pem_file(pki.root()).unwrap())
                    .unwrap();
                roots
            })
            .with_no_client_auth();
    let error = shake(&agent, bare, "db1.example").unwrap_err();
    assert!(error.contains("sent no certificates"), "{error}");

    let day = |d| jiff::civil::date(2020, 1, d);
    let past = Validity { from: day(1), until: day(9) };
    let expired = pki.identity(Role::Manager, "late", past);
    let error = shake(&agent, expired.client().unwrap(), "db1.example").unwrap_err();
    assert!(error.contains("expired"), "{error}");

    let others = Pki::new();
    let stranger = others.good(Role::Manager, "m1");
    // It believes our authority, so that only the server can refuse.
    let mixed = Identity::load(&Paths {
        certificate: others.folder.path().join("m1.crt"),
        key: others.folder.path().join("m1.key"),
        authority: pki.root(),
    });
    let error = shake(&agent, mixed.unwrap().client().unwrap(), "db1.example").unwrap_err();
    assert!(
        error.starts_with("server:")
            && (error.contains("UnknownIssuer") || error.contains("BadSignature")),
        "{error}"
    );
    assert!(shake(&agent, stranger.client().unwrap(), "db1.example").is_err());
}

#[test]
fn a_certificate_without_a_role_is_refused_when_it_is_read() {
    let pki = Pki::new();
    let plain = rcgen::generate_simple_self_signed(vec!["db1.example".to_owned()]).unwrap();
    let error = Peer::of(plain.cert.der()).unwrap_err().to_string();
    assert!(error.contains("names no role"), "{error}");
    drop(pki);
}

#[test]
fn files_are_never_overwritten_and_open_keys_are_refused() {
    let pki = Pki::new();
    let first = pki.good(Role::Agent, "db1");
    drop(first);
    let request = Request {
        role: Role::Agent,
        name: "db1".to_owned(),
        hosts: vec!["db1".to_owned()],
        validity: Validity::days(1),
    };
    let issued = pki.authority.issue(&request).unwrap();
    let error = write_new(pki.folder.path(), "db1", &issued).unwrap_err().to_string();
    assert!(error.contains("is not overwritten"), "{error}");

    let key = pki.folder.path().join("db1.key");
    chmod(&key, 0o644);
    let paths = Paths {
        certificate: pki.folder.path().join("db1.crt"),
        key: key.clone(),
        authority: pki.root(),
    };
    let error = Identity::load(&paths).unwrap_err().to_string();
    assert!(error.contains("others may read"), "{error}");
    chmod(&key, 0o640);
    assert!(Identity::load(&paths).is_ok());
}

#[test]
fn a_key_of_another_certificate_is_found_when_it_is_loaded() {
    let pki = Pki::new();
    drop((pki.good(Role::Agent, "db1"), pki.good(Role::Agent, "db2")));
    let error = Identity::load(&Paths {
        certificate: pki.folder.path().join("db1.crt"),
        key: pki.folder.path().join("db2.key"),
        authority: pki.root(),
    });
    assert!(error.unwrap_err().to_string().contains("db2.key"));
}

#[test]
fn an_authority_that_was_stored_issues_certificates_of_the_same_authority() {
    let pki = Pki::new();
    let again = Authority::open(pki.folder.path()).unwrap();
    let pki = Pki { folder: pki.folder, authority: again };
    let (agent, manager) = (pki.good(Role::Agent, "db1"), pki.good(Role::Manager, "m1"));
    assert!(shake(&agent, manager.client().unwrap(), "db1.example").is_ok());
}

#[test]
fn names_that_cannot_stand_in_a_certificate_are_named() {
    let pki = Pki::new();
    for name in ["", "a b", "db1:3306", "*", "ä.example"] {
        let request = Request {
            role: Role::Agent,
            name: "x".to_owned(),
            hosts: vec![name.to_owned()],
            validity: Validity::days(1),
        };
        let error = pki.authority.issue(&request).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("cannot stand in a certificate"), "{name}: {error}");
    }
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
