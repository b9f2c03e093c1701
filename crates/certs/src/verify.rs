//! Verifiers: all that rustls asks of a certificate, and its role.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::{Peer, Role};

fn has_role(certificate: &CertificateDer<'_>, roles: &[Role]) -> Result<(), Error> {
    match Peer::of(certificate) {
        Ok(peer) if roles.contains(&peer.role) => Ok(()),
        _ => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
    }
}

/// The part of a verifier that the one inside does: signatures of the handshake.
macro_rules! inner_checks_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.inner.verify_tls12_signature(message, cert, dss)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.inner.verify_tls13_signature(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.inner.supported_verify_schemes()
        }
    };
}

/// Clients must hold one of these roles.
#[derive(Debug)]
pub(crate) struct TheseRoles {
    pub(crate) inner: Arc<dyn ClientCertVerifier>,
    pub(crate) roles: &'static [Role],
}

impl ClientCertVerifier for TheseRoles {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        has_role(end_entity, self.roles)?;
        Ok(verified)
    }

    inner_checks_signatures!();
}

/// The server must be an agent.
#[derive(Debug)]
pub(crate) struct AgentOnly {
    pub(crate) inner: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for AgentOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        has_role(end_entity, &[Role::Agent])?;
        Ok(verified)
    }

    inner_checks_signatures!();
}
