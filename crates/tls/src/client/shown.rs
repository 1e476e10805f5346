//! The certificates of a server as they came, for commands that look at it.

use openssl::hash::MessageDigest;
use openssl::x509::X509Ref;

use super::{Connection, explain};
use crate::fingerprint;
use crate::trust::one_line;

/// The digest of fingerprints (smtp_tls_fingerprint_digest).
#[derive(Clone, Copy)]
pub struct Digest(pub(super) MessageDigest);

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownCertificate {
    /// `/CN=mx.example.com`
    pub subject: String,
    /// Likewise.
    pub issuer: String,
    /// The library's words for the time.
    pub not_before: String,
    /// Likewise.
    pub not_after: String,
    /// DNS names and addresses that it is for.
    pub names: Vec<String>,
    /// Digest of the certificate.
    pub fingerprint: String,
    /// Digest of the public key.
    pub key_fingerprint: String,
    /// The certificate.
    pub pem: String,
}

impl<S> Connection<S> {
    /// What the server sent, its own certificate first.
    pub fn chain(&self, digest: Digest) -> Vec<ShownCertificate> {
        let chain = self.stream.ssl().peer_cert_chain();
        chain.into_iter().flatten().map(|certificate| shown(certificate, digest.0)).collect()
    }
}

fn shown(certificate: &X509Ref, digest: MessageDigest) -> ShownCertificate {
    ShownCertificate {
        subject: one_line(certificate.subject_name()),
        issuer: one_line(certificate.issuer_name()),
        not_before: certificate.not_before().to_string(),
        not_after: certificate.not_after().to_string(),
        names: explain::alternative_names(certificate),
        fingerprint: fingerprint::of_certificate(certificate, digest),
        key_fingerprint: fingerprint::of_public_key(certificate, digest),
        pem: certificate.to_pem().map(|pem| String::from_utf8_lossy(&pem).into_owned()).unwrap_or_default(),
    }
}
