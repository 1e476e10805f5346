//! Looking at certificates and cipher lists without serving anybody: for commands that tell an administrator what is configured.

use std::path::Path;

use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::ssl::{SslContextBuilder, SslMethod};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509NameRef, X509PurposeId, X509Ref, X509StoreContext};

/// The certificates of one file, in its order.
pub struct Chain {
    certificates: Vec<X509>,
}

/// One certificate in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Common name, or the whole subject when there is none.
    pub subject: String,
    /// The same of the issuer.
    pub issuer: String,
    /// DNS names that it is for.
    pub names: Vec<String>,
    /// Whole days until it expires; negative when it has.
    pub days_left: i64,
    /// Issued by itself: a root, or a self-signed certificate.
    pub self_issued: bool,
    /// Bytes of each handshake that it takes.
    pub size: usize,
}

impl Chain {
    /// Reads a PEM file. The error says what is wrong with it.
    pub fn read(path: &Path) -> Result<Chain, String> {
        let pem = std::fs::read(path).map_err(|error| error.to_string())?;
        let certificates =
            X509::stack_from_pem(&pem).map_err(|_| "no certificate in PEM format".to_owned())?;
        match certificates.is_empty() {
            true => Err("no certificate in the file".into()),
            false => Ok(Chain { certificates }),
        }
    }

    /// All of them; the first is the server's own.
    pub fn certificates(&self) -> Vec<Certificate> {
        self.certificates.iter().map(|certificate| described(certificate)).collect()
    }

    /// The first certificate (counted from 1) that does not come behind what it issued.
    pub fn out_of_order(&self) -> Option<usize> {
        let pairs = self.certificates.windows(2);
        pairs
            .map(|pair| pair[1].issued(&pair[0]))
            .position(|verdict| verdict != openssl::x509::X509VerifyResult::OK)
            .map(|at| at + 2)
    }

    /// Is it a certificate for this host name?
    pub fn is_for(&self, name: &str) -> bool {
        self.names().iter().any(|pattern| matches(pattern, name))
    }

    /// Whole days that the first one is good for still, and from its beginning to its end.
    pub fn lifetime(&self) -> (i64, i64) {
        let certificate = &self.certificates[0];
        let lifetime = certificate.not_before().diff(certificate.not_after());
        (described(certificate).days_left, lifetime.map_or(0, |time| i64::from(time.days)))
    }

    /// What the first one is for: its DNS names, or else its subject.
    pub fn names(&self) -> Vec<String> {
        let own = described(&self.certificates[0]);
        if own.names.is_empty() { vec![own.subject] } else { own.names }
    }

    /// What `openssl verify -purpose sslserver -untrusted CHAIN` says of it: the anchors are those of the system and of the given
    /// files.
    pub fn verdict(&self, anchors: &[&Path]) -> Result<(), String> {
        let failed = |error: openssl::error::ErrorStack| error.to_string();
        let mut store = X509StoreBuilder::new().map_err(failed)?;
        store.set_default_paths().map_err(failed)?;
        store.set_purpose(X509PurposeId::SSL_SERVER).map_err(failed)?;
        for path in anchors {
            let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
            for anchor in X509::stack_from_pem(&pem).map_err(failed)? {
                // The same anchor twice is no error.
                let _ = store.add_cert(anchor);
            }
        }
        let mut others = Stack::new().map_err(failed)?;
        for certificate in &self.certificates[1..] {
            others.push(certificate.clone()).map_err(failed)?;
        }
        let mut context = X509StoreContext::new().map_err(failed)?;
        let verdict = context.init(&store.build(), &self.certificates[0], &others, |context| {
            let ok = context.verify_cert()?;
            Ok(match ok {
                true => Ok(()),
                false => Err(format!(
                    "error {} at {} depth lookup: {}",
                    context.error().as_raw(),
                    context.error_depth(),
                    context.error().error_string()
                )),
            })
        });
        verdict.map_err(failed)?
    }
}

/// One label may be `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(rest) => name.split_once('.').is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(rest)),
        None => pattern.eq_ignore_ascii_case(name),
    }
}

fn described(certificate: &X509Ref) -> Certificate {
    let names = certificate
        .subject_alt_names()
        .map(|names| names.iter().filter_map(|name| name.dnsname().map(str::to_owned)).collect::<Vec<_>>());
    let days_left = Asn1Time::days_from_now(0)
        .and_then(|now| now.diff(certificate.not_after()))
        .map_or(0, |left| i64::from(left.days) - i64::from(left.secs < 0));
    Certificate {
        subject: common_name(certificate.subject_name()),
        issuer: common_name(certificate.issuer_name()),
        names: names.unwrap_or_default(),
        days_left,
        self_issued: certificate.issued(certificate) == openssl::x509::X509VerifyResult::OK,
        size: certificate.to_der().map_or(0, |der| der.len()),
    }
}

fn common_name(name: &X509NameRef) -> String {
    let entry = name.entries_by_nid(Nid::COMMONNAME).next().or_else(|| name.entries().next());
    entry.and_then(|entry| entry.data().to_string().ok()).unwrap_or_else(|| "(no name)".into())
}

/// One suite of a cipher list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// OpenSSL's name.
    pub name: String,
    /// Its session keys can not be had later from the server's key.
    pub forward_secret: bool,
    /// Encryption and integrity in one (GCM, CCM, ChaCha20-Poly1305).
    pub aead: bool,
    /// Neither side has a certificate.
    pub anonymous: bool,
}

/// The suites of TLS 1.2 and before that a list selects. The error is the library's.
pub fn suites(list: &str) -> Result<Vec<Suite>, String> {
    let failed = |error: openssl::error::ErrorStack| error.to_string();
    let mut context = SslContextBuilder::new(SslMethod::tls()).map_err(failed)?;
    context.set_security_level(0);
    context.set_cipher_list(list).map_err(|_| format!("the list \"{list}\" selects nothing"))?;
    let context = context.build();
    let ssl = openssl::ssl::Ssl::new(&context).map_err(failed)?;
    let mut suites = Vec::new();
    for name in crate::ffi::cipher_names(&ssl) {
        if name.starts_with("TLS_") {
            continue;
        }
        let forward_secret = ["ECDHE-", "DHE-", "ADH-", "AECDH-"].iter().any(|start| name.starts_with(start));
        let aead = ["GCM", "CCM", "CHACHA20"].iter().any(|word| name.contains(word));
        let anonymous = name.starts_with("ADH-") || name.starts_with("AECDH-");
        suites.push(Suite { name, forward_secret, aead, anonymous });
    }
    Ok(suites)
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::authority::{Authority, KeyKind};

    #[test]
    fn a_chain_in_words() {
        let root = Authority::new("Test Root");
        let issued = root.issue("mx.example.test", KeyKind::EcdsaP256);
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let anchor = file("root.pem", root.certificate_pem.clone());
        let leaf = file("leaf.pem", issued.certificate_pem.clone());
        let full = file("full.pem", issued.certificate_pem.clone() + &root.certificate_pem);
        let wrong = file("wrong.pem", root.certificate_pem.clone() + &issued.certificate_pem);
        let chain = Chain::read(&leaf).unwrap();
        let own = &chain.certificates()[0];
        assert_eq!((own.issuer.as_str(), own.self_issued), ("Test Root", false));
        assert!(own.days_left > 0 && own.size > 100);
        assert!(chain.is_for("mx.example.test") && !chain.is_for("other.example.test"));
        assert_eq!(chain.out_of_order(), None);
        assert_eq!(chain.verdict(&[&anchor]), Ok(()));
        let untrusted = chain.verdict(&[]).unwrap_err();
        assert!(
            untrusted.starts_with("error 20 at 0 depth lookup: unable to get local issuer"),
            "{untrusted}"
        );
        let full = Chain::read(&full).unwrap();
        assert!(full.certificates()[1].self_issued && full.out_of_order().is_none());
        assert_eq!(Chain::read(&wrong).unwrap().out_of_order(), Some(2));
        let none = file("none.pem", "nothing\n".into());
        assert!(Chain::read(&none).is_err() && Chain::read(Path::new("/does/not/exist")).is_err());
    }

    #[test]
    fn suites_of_a_list() {
        let found = suites("ECDHE-RSA-AES256-GCM-SHA384:AES256-SHA:ADH-AES256-GCM-SHA384").unwrap();
        let facts: Vec<_> =
            found.iter().map(|suite| (suite.forward_secret, suite.aead, suite.anonymous)).collect();
        assert_eq!(facts, [(true, true, false), (false, false, false), (true, true, true)]);
        assert!(suites("NO-SUCH-THING").is_err());
    }

    #[test]
    fn wildcards_cover_one_label() {
        for (pattern, name, expected) in [
            ("MX.example.test", "mx.example.test", true),
            ("*.example.test", "mx.example.test", true),
            ("*.example.test", "a.b.example.test", false),
            ("*.example.test", "example.test", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
