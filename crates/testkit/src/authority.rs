//! A certificate authority made on the spot: good certificates and, for tests, deliberately bad ones.
//!
//! Everything here panics when the TLS library fails: there is nothing a test could do about it.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::dsa::Dsa;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, PKey, PKeyRef, Private};
use openssl::rsa::Rsa;
use openssl::symm::Cipher;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder};

/// The kinds of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA of 2,048 bits.
    Rsa2048,
    /// ECDSA on the curve prime256v1.
    EcdsaP256,
    /// DSA of 1,024 bits, as old installations have it.
    Dsa1024,
}

/// An authority: its certificate signs those that it issues.
pub struct Authority {
    /// In PEM form.
    pub certificate_pem: String,
    certificate: X509,
    key: PKey<Private>,
}

/// A certificate with its key, in PEM form.
pub struct Issued {
    /// The certificate alone.
    pub certificate_pem: String,
    /// The key, unencrypted.
    pub key_pem: String,
    key: PKey<Private>,
}

/// What a certificate says beyond its name.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Days from now until it begins to be valid; negative for the past.
    pub from_days: i64,
    /// Days from now until it expires; negative for an expired one.
    pub to_days: i64,
    /// DNS names; an address literal becomes an address.
    pub names: Vec<String>,
    /// May it stand for a client? Otherwise for a server only.
    pub client: bool,
}

impl Wish {
    /// A server and client certificate for one name, valid from yesterday for a month.
    pub fn named(name: &str) -> Wish {
        Wish { from_days: -1, to_days: 30, names: vec![name.into()], client: true }
    }
}

impl Authority {
    /// A self-signed authority of that common name, valid for ten years.
    pub fn new(name: &str) -> Authority {
        Authority::signed(name, None)
    }

    /// An authority below this one, as those that sign the certificates of servers are.
    pub fn intermediate(&self, name: &str) -> Authority {
        Authority::signed(name, Some(self))
    }

    fn signed(name: &str, parent: Option<&Authority>) -> Authority {
        let key = make_key(KeyKind::EcdsaP256);
        let subject = common_name(name);
        let issuer = parent.map_or(&*subject, |parent| parent.certificate.subject_name());
        let mut builder = begin(&subject, issuer, &key, -1, 3650);
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        builder
            .append_extension(KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap())
            .unwrap();
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(identifier).unwrap();
        builder.sign(parent.map_or(&key, |parent| &parent.key), MessageDigest::sha256()).unwrap();
        let certificate = builder.build();
        Authority { certificate_pem: pem(certificate.to_pem()), certificate, key }
    }

    /// A server's certificate that nobody vouches for but itself, and its key, both PEM.
    pub fn self_signed(name: &str) -> (String, String) {
        let key = make_key(KeyKind::EcdsaP256);
        let subject = common_name(name);
        let mut builder = begin(&subject, &subject, &key, -1, 30);
        let mut names = SubjectAlternativeName::new();
        let names = names.dns(name).build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        (pem(builder.build().to_pem()), pem(key.private_key_to_pem_pkcs8()))
    }

    /// An ordinary certificate for one name.
    pub fn issue(&self, name: &str, kind: KeyKind) -> Issued {
        self.issue_as(name, kind, &Wish::named(name))
    }

    /// A certificate for the key and the names of a request (PKCS #10, DER), PEM.
    pub fn sign_request(&self, der: &[u8], names: &[String]) -> String {
        let request = openssl::x509::X509Req::from_der(der).unwrap();
        let key = request.public_key().unwrap();
        assert!(request.verify(&key).unwrap(), "the request is signed with its own key");
        let issuer = self.certificate.subject_name();
        let mut builder = begin(request.subject_name(), issuer, &key, -1, 90);
        let mut alternatives = SubjectAlternativeName::new();
        for name in names {
            alternatives.dns(name);
        }
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let extension = alternatives.build(&context).unwrap();
        builder.append_extension(extension).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        pem(builder.build().to_pem())
    }

    /// A certificate as wished.
    pub fn issue_as(&self, common: &str, kind: KeyKind, wish: &Wish) -> Issued {
        let key = make_key(kind);
        let issuer = self.certificate.subject_name();
        let mut builder = begin(&common_name(common), issuer, &key, wish.from_days, wish.to_days);
        builder.append_extension(BasicConstraints::new().build().unwrap()).unwrap();
        let mut usage = ExtendedKeyUsage::new();
        usage.server_auth();
        if wish.client {
            usage.client_auth();
        }
        builder.append_extension(usage.build().unwrap()).unwrap();
        let mut names = SubjectAlternativeName::new();
        for name in &wish.names {
            match name.parse::<std::net::IpAddr>() {
                Ok(_) => names.ip(name),
                Err(_) => names.dns(name),
            };
        }
        let context = builder.x509v3_context(Some(&self.certificate), None);
        let extensions = [
            AuthorityKeyIdentifier::new().keyid(true).build(&context).ok(),
            (!wish.names.is_empty()).then(|| names.build(&context).unwrap()),
        ];
        for extension in extensions.into_iter().flatten() {
            builder.append_extension(extension).unwrap();
        }
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Issued {
            certificate_pem: pem(builder.build().to_pem()),
            key_pem: pem(key.private_key_to_pem_pkcs8()),
            key,
        }
    }
}

impl Issued {
    /// The key behind a password, as a careful administrator's tool may have written it.
    pub fn encrypted_key_pem(&self, password: &str) -> String {
        pem(self.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes()))
    }
}

fn make_key(kind: KeyKind) -> PKey<Private> {
    match kind {
        KeyKind::Rsa2048 => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        KeyKind::EcdsaP256 => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        }
        KeyKind::Dsa1024 => PKey::from_dsa(Dsa::generate(1024).unwrap()).unwrap(),
    }
}

fn common_name(name: &str) -> X509Name {
    let mut builder = X509NameBuilder::new().unwrap();
    builder.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    builder.build()
}

fn begin<T: HasPublic>(
    subject: &openssl::x509::X509NameRef,
    issuer: &openssl::x509::X509NameRef,
    key: &PKeyRef<T>,
    from_days: i64,
    to_days: i64,
) -> X509Builder {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    let at = |days: i64| Asn1Time::from_unix(now + days * 86_400).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&at(from_days)).unwrap();
    builder.set_not_after(&at(to_days)).unwrap();
    builder
}

fn pem(bytes: Result<Vec<u8>, openssl::error::ErrorStack>) -> String {
    String::from_utf8(bytes.unwrap()).unwrap()
}
