//! `certs`: an authority of one's own, and what it issues.

use primacy_certs::{
    AUTHORITY_CERTIFICATE, Authority, CertError, Peer, Request, Role, Validity, write_new,
};
use serde_json::json;

use crate::args::{CertRole, CertsVerb, InitCerts, IssueCert, ShowCert};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::printer::Printer;

pub(super) fn run(printer: &mut Printer, verb: &CertsVerb) -> Outcome {
    match verb {
        CertsVerb::Init(args) => init(printer, args),
        CertsVerb::Issue(args) => issue(printer, args),
        CertsVerb::Show(args) => show(printer, args),
    }
}

fn refused(error: CertError) -> Failure {
    Failure::new(Exit::Refused, error)
}

fn answer(printer: &mut Printer, text: &str, json: &serde_json::Value) -> Result<(), Failure> {
    match printer.wants_json() {
        true => printer.json(json),
        false => printer.data(text),
    }
}

fn init(printer: &mut Printer, args: &InitCerts) -> Outcome {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = args.name.clone().unwrap_or_else(|| format!("Primacy authority of {host}"));
    let (_, issued) = Authority::create(&name, Validity::days(args.days)).map_err(refused)?;
    let (certificate, key) = write_new(&args.dir, "authority", &issued).map_err(refused)?;
    let text = format!(
        "{}: goes to every manager and agent\n{}: stays here, and is not copied\n\nNext: primacy \
         certs issue manager NAME; primacy certs issue agent NAME --host ADDRESS\n",
        certificate.display(),
        key.display()
    );
    answer(printer, &text, &json!({ "certificate": certificate, "key": key }))?;
    Ok(Exit::Done)
}

fn issue(printer: &mut Printer, args: &IssueCert) -> Outcome {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if args.name.is_empty() || !args.name.chars().all(plain) || args.name == "authority" {
        let text = format!(
            "{:?} cannot name the files: use letters, digits, `.`, `-` and `_`, and not \
             `authority`",
            args.name
        );
        return Err(Failure::usage(text));
    }
    let role = match args.role {
        CertRole::Manager => Role::Manager,
        CertRole::Agent => Role::Agent,
    };
    let hosts = match (role, args.hosts.as_slice()) {
        (Role::Agent, []) => vec![args.name.clone()],
        (_, hosts) => hosts.to_vec(),
    };
    let authority = Authority::open(&args.dir).map_err(refused)?;
    let request = Request {
        role,
        name: args.name.clone(),
        hosts: hosts.clone(),
        validity: Validity::days(args.days),
    };
    let issued = authority.issue(&request).map_err(refused)?;
    let (certificate, key) = write_new(&args.dir, &args.name, &issued).map_err(refused)?;
    let authority = args.dir.join(AUTHORITY_CERTIFICATE);
    let reached = match hosts.as_slice() {
        [] => String::new(),
        hosts => format!(", reached as {}", hosts.join(", ")),
    };
    let text = format!(
        "for the {role} {}{reached}; it needs these three files:\n  {}\n  {}\n  {}\n",
        args.name,
        certificate.display(),
        key.display(),
        authority.display()
    );
    let files = json!({ "certificate": certificate, "key": key, "authority": authority });
    answer(printer, &text, &files)?;
    Ok(Exit::Done)
}

fn show(printer: &mut Printer, args: &ShowCert) -> Outcome {
    let peer = Peer::of_file(&args.file).map_err(refused)?;
    let until = jiff::Timestamp::from_second(peer.expires_at)
        .map_err(|e| Failure::new(Exit::Refused, e.to_string()))?;
    let left = until.duration_since(jiff::Timestamp::now()).as_hours() / 24;
    let expired = until <= jiff::Timestamp::now();
    let state = match expired {
        true => "EXPIRED".to_owned(),
        false => format!("{left} days left"),
    };
    let text = format!("the {} {}, good until {until} ({state})\n", peer.role, peer.name);
    let said = json!({
        "role": peer.role.word(), "name": peer.name, "until": until.to_string(), "expired": expired,
    });
    answer(printer, &text, &said)?;
    Ok(if expired { Exit::Refused } else { Exit::Done })
}
