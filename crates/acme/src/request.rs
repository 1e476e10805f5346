//! The request for a certificate (RFC 2986) and the key that it is for.

use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509NameBuilder, X509ReqBuilder};

use crate::jws::text;

/// The kinds of keys that certificates are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on the curve P-256.
    Ecdsa,
    /// RSA of 2,048 bits.
    Rsa,
}

/// A new key and the request that is signed with it.
pub struct CertificateRequest {
    /// The key, PEM.
    pub key_pem: Vec<u8>,
    pub(crate) der: Vec<u8>,
}

impl CertificateRequest {
    /// For these names, the first of which is the subject's too.
    pub fn new(names: &[String], kind: KeyKind) -> Result<CertificateRequest, String> {
        let key = new_key(kind).map_err(text)?;
        let built = || -> Result<Vec<u8>, openssl::error::ErrorStack> {
            let mut subject = X509NameBuilder::new()?;
            // A common name has 64 characters at most; the names that count are in the extension.
            if let Some(name) = names.first().filter(|name| name.len() <= 64) {
                subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
            }
            let mut builder = X509ReqBuilder::new()?;
            builder.set_version(0)?;
            builder.set_subject_name(&subject.build())?;
            builder.set_pubkey(&key)?;
            let mut alternatives = SubjectAlternativeName::new();
            for name in names {
                alternatives.dns(name);
            }
            let mut extensions = Stack::new()?;
            extensions.push(alternatives.build(&builder.x509v3_context(None))?)?;
            builder.add_extensions(&extensions)?;
            builder.sign(&key, MessageDigest::sha256())?;
            builder.build().to_der()
        };
        Ok(CertificateRequest {
            der: built().map_err(text)?,
            key_pem: key.private_key_to_pem_pkcs8().map_err(text)?,
        })
    }
}

fn new_key(kind: KeyKind) -> Result<PKey<Private>, openssl::error::ErrorStack> {
    match kind {
        KeyKind::Rsa => PKey::from_rsa(Rsa::generate(2048)?),
        KeyKind::Ecdsa => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
            PKey::from_ec_key(EcKey::generate(&group)?)
        }
    }
}
