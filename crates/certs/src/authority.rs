//! An authority of one's own: made once, and kept where certificates are issued.

use jiff::civil::Date;
use jiff::{ToSpan as _, Zoned};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use zeroize::Zeroizing;

use crate::{CertError, Role};

/// From which day to which day a certificate is good (both at 0:00 UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First day.
    pub from: Date,
    /// It ends with the beginning of this day.
    pub until: Date,
}

impl Validity {
    /// From yesterday (clocks of hosts differ) for so many days.
    pub fn days(days: u32) -> Self {
        let today = Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
        let until = today.checked_add(i64::from(days).days()).unwrap_or(Date::MAX);
        Self { from: today.saturating_sub(1.days()), until }
    }
}

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: Zeroizing<String>,
}

/// For whom a certificate is issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What the holder may be.
    pub role: Role,
    /// How it is called in logs.
    pub name: String,
    /// Names and addresses under which it is reached; agents need at least one.
    pub hosts: Vec<String>,
    /// How long it is good for.
    pub validity: Validity,
}

/// The certificate and key of an authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// If the name cannot stand in a certificate.
    pub fn create(name: &str, validity: Validity) -> Result<(Self, Issued), CertError> {
        let mut params = CertificateParams::default();
        set_validity(&mut params, validity);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(make)?;
        let certificate = params.self_signed(&key).map_err(make)?.pem();
        let issued = Issued { certificate, key: Zeroizing::new(key.serialize_pem()) };
        Ok((Self { issuer: Issuer::new(params, key) }, issued))
    }

    /// Reads an authority that was made before.
    ///
    /// # Errors
    /// If it is not a certificate and its key.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, CertError> {
        let key = KeyPair::from_pem(key)
            .map_err(|_| CertError::Make("the key of the authority cannot be read".to_owned()))?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(make)?;
        Ok(Self { issuer })
    }

    /// Issues a certificate.
    ///
    /// # Errors
    /// If a name cannot stand in one.
    pub fn issue(&self, request: &Request) -> Result<Issued, CertError> {
        let mut params = CertificateParams::new(hosts(request)?).map_err(make)?;
        set_validity(&mut params, request.validity);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, request.name.as_str());
        let uri = request.role.uri().try_into().map_err(make)?;
        params.subject_alt_names.push(SanType::URI(uri));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Agents ask each other, so they are clients as well.
        params.extended_key_usages = match request.role {
            Role::Manager => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Role::Agent => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
        };
        let key = KeyPair::generate().map_err(make)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(make)?.pem();
        Ok(Issued { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }
}

fn hosts(request: &Request) -> Result<Vec<String>, CertError> {
    let good = |name: &String| {
        name.parse::<std::net::IpAddr>().is_ok()
            || rustls_pki_types::DnsName::try_from(name.as_str()).is_ok()
    };
    match request.hosts.iter().find(|name| !good(name)) {
        Some(name) => Err(CertError::Name { name: name.clone() }),
        None => Ok(request.hosts.clone()),
    }
}

fn set_validity(params: &mut CertificateParams, validity: Validity) {
    let day = |date: Date| {
        date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    params.not_before = day(validity.from);
    params.not_after = day(validity.until);
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn make(error: rcgen::Error) -> CertError {
    CertError::Make(error.to_string())
}
