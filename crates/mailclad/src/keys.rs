//! Private keys, self-signed certificates and requests (PKCS #10), for commands that make them.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::sha::sha256;
use openssl::stack::Stack;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{
    X509, X509Builder, X509Extension, X509NameBuilder, X509Req, X509ReqBuilder, X509v3Context,
};

/// About a hundred years: a self-signed certificate is renewed with its key, not by date.
const DAYS: u32 = 36_525;

/// The kinds of keys, with the parameters that name their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Rsa,
    Ecdsa,
}

impl Algorithm {
    pub(crate) fn from_name(name: &str) -> Option<Algorithm> {
        match name {
            "rsa" => Some(Algorithm::Rsa),
            "ecdsa" => Some(Algorithm::Ecdsa),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::Rsa => "rsa",
            Algorithm::Ecdsa => "ecdsa",
        }
    }

    /// Bits of RSA keys, curves of ECDSA.
    pub(crate) fn default_size(self) -> &'static str {
        match self {
            Algorithm::Rsa => "2048",
            Algorithm::Ecdsa => "secp256r1",
        }
    }

    /// `key-` and `cert-`, before the time.
    pub(crate) fn prefixes(self) -> (&'static str, &'static str) {
        match self {
            Algorithm::Rsa => ("key", "cert"),
            Algorithm::Ecdsa => ("eckey", "eccert"),
        }
    }

    pub(crate) fn parameters(self) -> (&'static str, &'static str) {
        match self {
            Algorithm::Rsa => ("smtpd_tls_key_file", "smtpd_tls_cert_file"),
            Algorithm::Ecdsa => ("smtpd_tls_eckey_file", "smtpd_tls_eccert_file"),
        }
    }
}

/// A private key.
pub(crate) struct Key(PKey<Private>);

impl Key {
    pub(crate) fn generate(algorithm: Algorithm, size: &str) -> Result<Key, String> {
        let failed = |why: &dyn std::fmt::Display| {
            format!("error generating new {} {size} private key: {why}", algorithm.name())
        };
        let key = match algorithm {
            Algorithm::Rsa => {
                let bits = size.parse().ok().filter(|bits| (1024..=16_384).contains(bits));
                let bits = bits.ok_or_else(|| failed(&"from 1024 to 16384 bits"))?;
                Rsa::generate(bits).and_then(PKey::from_rsa)
            }
            Algorithm::Ecdsa => {
                let curve = match size {
                    "secp256r1" | "prime256v1" => Nid::X9_62_PRIME256V1,
                    "secp384r1" => Nid::SECP384R1,
                    "secp521r1" => Nid::SECP521R1,
                    _ => return Err(failed(&"curves are secp256r1, secp384r1 and secp521r1")),
                };
                EcGroup::from_curve_name(curve)
                    .and_then(|mut group| {
                        group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
                        EcKey::generate(&group)
                    })
                    .and_then(PKey::from_ec_key)
            }
        };
        key.map(Key).map_err(|error| failed(&error))
    }

    /// Reads a key that has no password.
    pub(crate) fn read(file: &str) -> Option<Key> {
        let pem = std::fs::read(file).ok()?;
        // Nobody is asked for a password.
        let key = PKey::private_key_from_pem_callback(&pem, |_| Ok(0)).ok()?;
        matches!(key.id(), Id::RSA | Id::EC).then_some(Key(key))
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self.0.id() {
            Id::RSA => Algorithm::Rsa,
            _ => Algorithm::Ecdsa,
        }
    }

    pub(crate) fn to_pem(&self) -> Result<Vec<u8>, String> {
        self.0.private_key_to_pem_pkcs8().map_err(|error| error.to_string())
    }

    /// The data of a TLSA record 3 1 1.
    pub(crate) fn digest(&self) -> Result<String, String> {
        let der = self.0.public_key_to_der().map_err(|error| error.to_string())?;
        Ok(sha256(&der).iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Is it the key of the first certificate in a file?
    pub(crate) fn fits(&self, certificate: &str) -> Result<bool, String> {
        let failed = || "error computing certificate public key digest".to_owned();
        let pem = std::fs::read(certificate).map_err(|_| failed())?;
        let found = X509::from_pem(&pem).and_then(|found| found.public_key()).map_err(|_| failed())?;
        Ok(found.public_eq(&self.0))
    }

    /// A certificate for these names that nobody vouches for, PEM.
    pub(crate) fn self_signed(&self, names: &[String]) -> Result<Vec<u8>, String> {
        let built = || -> Result<Vec<u8>, ErrorStack> {
            let mut subject = X509NameBuilder::new()?;
            subject.append_entry_by_nid(Nid::COMMONNAME, &names[0])?;
            let subject = subject.build();
            let mut serial = BigNum::new()?;
            serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
            let mut builder = X509Builder::new()?;
            builder.set_version(2)?;
            builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
            builder.set_subject_name(&subject)?;
            builder.set_issuer_name(&subject)?;
            builder.set_pubkey(&self.0)?;
            builder.set_not_before(&*Asn1Time::days_from_now(0)?)?;
            builder.set_not_after(&*Asn1Time::days_from_now(DAYS)?)?;
            let basic = BasicConstraints::new().build()?;
            let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
            let others = extensions(&builder.x509v3_context(None, None), names)?;
            for extension in [basic, identifier].into_iter().chain(others) {
                builder.append_extension(extension)?;
            }
            builder.sign(&self.0, MessageDigest::sha256())?;
            builder.build().to_pem()
        };
        built().map_err(|error| format!("error generating self-signed SSL certificate: {error}"))
    }

    /// A request for a certificate for these names.
    pub(crate) fn request(&self, names: &[String]) -> Result<X509Req, String> {
        let built = || -> Result<X509Req, ErrorStack> {
            let mut builder = X509ReqBuilder::new()?;
            builder.set_version(0)?;
            builder.set_pubkey(&self.0)?;
            let mut wanted = Stack::new()?;
            for extension in extensions(&builder.x509v3_context(None), names)? {
                wanted.push(extension)?;
            }
            builder.add_extensions(&wanted)?;
            builder.sign(&self.0, MessageDigest::sha256())?;
            Ok(builder.build())
        };
        built().map_err(|error| error.to_string())
    }
}

fn extensions(context: &X509v3Context<'_>, names: &[String]) -> Result<[X509Extension; 2], ErrorStack> {
    let usage = ExtendedKeyUsage::new().server_auth().client_auth().build()?;
    let mut alternatives = SubjectAlternativeName::new();
    for name in names {
        alternatives.dns(name);
    }
    Ok([usage, alternatives.build(context)?])
}
