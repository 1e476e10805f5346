//! The client's side of a handshake, in this process: hundreds of them take seconds.
//!
//! What is offered, as words: `min=1.2`, `max=1.2` (1.0 to 1.3), `cipher=LIST` and `suites=LIST` (for TLS 1.3), `groups=LIST`,
//! `sigalgs=LIST`, `cert=NAME` (a file of credentials with key and chain), `sni=NAME`. With `chain` every certificate that the server
//! sent is shown. No certificate is verified, and the library's security level is 0: what is asked is what the server does.

use std::fmt::Write as _;
use std::path::Path;

use openssl::nid::Nid;
use openssl::pkey::{Id, PKeyRef, Public};
use openssl::ssl::{
    HandshakeError, Ssl, SslContext, SslMethod, SslRef, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509Ref;
use testkit::steady::Steady;

/// What a client offers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hello {
    words: Vec<(String, String)>,
}

impl Hello {
    pub(crate) fn parse(text: &str) -> Hello {
        let pair = |word: &str| {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            (name.to_owned(), value.to_owned())
        };
        Hello { words: text.split_whitespace().map(pair).collect() }
    }

    /// The same with one more word, which wins.
    pub(crate) fn with(&self, name: &str, value: &str) -> Hello {
        let mut words = self.words.clone();
        words.retain(|(word, _)| word != name);
        words.push((name.to_owned(), value.to_owned()));
        Hello { words }
    }

    /// Shakes hands; what came of it is the second value. A failure gives the stream back to nobody, as the peer hangs up.
    pub(crate) fn shake(&self, stream: Steady, files: &Path) -> (Option<SslStream<Steady>>, String) {
        let ssl = self.ssl(files).unwrap_or_else(|error| panic!("{:?}: {error}", self.words));
        match ssl.connect(stream) {
            Ok(stream) => {
                let facts = self.describe(stream.ssl());
                (Some(stream), facts)
            }
            Err(error) => (None, format!("no handshake: {}", reason(&error))),
        }
    }

    fn ssl(&self, files: &Path) -> Result<Ssl, openssl::error::ErrorStack> {
        let mut context = SslContext::builder(SslMethod::tls_client())?;
        context.set_verify(SslVerifyMode::NONE);
        context.set_security_level(0);
        context.set_cipher_list("DEFAULT:@SECLEVEL=0")?;
        let mut sni = None;
        for (name, value) in &self.words {
            match &**name {
                "min" => context.set_min_proto_version(Some(version(value)))?,
                "max" => context.set_max_proto_version(Some(version(value)))?,
                "cipher" => context.set_cipher_list(&format!("{value}:@SECLEVEL=0"))?,
                "suites" => context.set_ciphersuites(value)?,
                "groups" => context.set_groups_list(value)?,
                "sigalgs" => context.set_sigalgs_list(value)?,
                "cert" => {
                    let file = files.join(format!("{value}.pem"));
                    context.set_certificate_chain_file(&file)?;
                    context.set_private_key_file(&file, openssl::ssl::SslFiletype::PEM)?;
                }
                "sni" => sni = Some(value),
                "chain" => {}
                other => panic!("unknown word of a handshake: {other}"),
            }
        }
        let mut ssl = Ssl::new(&context.build())?;
        if let Some(name) = sni {
            ssl.set_hostname(name)?;
        }
        Ok(ssl)
    }

    fn describe(&self, ssl: &SslRef) -> String {
        let cipher = ssl.current_cipher().map_or("none", |cipher| cipher.name());
        let mut text = format!("{} {cipher}", ssl.version_str());
        if let Ok(key) = ssl.peer_tmp_key() {
            let _ = write!(text, " {}", group(&key));
        }
        match ssl.peer_certificate() {
            None => text.push_str(" no certificate"),
            Some(leaf) => {
                let _ = write!(text, " {}", kind(&leaf));
            }
        }
        if self.words.iter().any(|(name, _)| name == "chain") {
            for one in ssl.peer_cert_chain().into_iter().flatten() {
                let _ = write!(text, " / {}", common_name(one));
            }
        }
        text
    }
}

pub(crate) fn version(name: &str) -> SslVersion {
    match name {
        "1.0" => SslVersion::TLS1,
        "1.1" => SslVersion::TLS1_1,
        "1.2" => SslVersion::TLS1_2,
        "1.3" => SslVersion::TLS1_3,
        other => panic!("there is no TLS {other}"),
    }
}

/// The group of the key exchange, as openssl s_client names the server's temporary key.
fn group(key: &PKeyRef<Public>) -> String {
    match key.id() {
        Id::X25519 => "X25519".to_owned(),
        Id::X448 => "X448".to_owned(),
        Id::DH => format!("DH-{}", key.bits()),
        Id::EC => {
            let curve = key.ec_key().ok().and_then(|key| key.group().curve_name()).unwrap_or(Nid::UNDEF);
            curve.short_name().unwrap_or("EC").to_owned()
        }
        other => format!("{other:?}-{}", key.bits()),
    }
}

/// The kind of key and the common name.
fn kind(certificate: &X509Ref) -> String {
    let key = certificate.public_key().map_or("?", |key| match key.id() {
        Id::RSA => "RSA",
        Id::EC => "ECDSA",
        Id::DSA => "DSA",
        _ => "?",
    });
    format!("{key}:{}", common_name(certificate))
}

fn common_name(certificate: &X509Ref) -> String {
    let entry = certificate.subject_name().entries_by_nid(Nid::COMMONNAME).next();
    entry.and_then(|entry| entry.data().to_string().ok()).unwrap_or_default()
}

fn reason(error: &HandshakeError<Steady>) -> String {
    let error = match error {
        HandshakeError::SetupFailure(stack) => return stack.to_string(),
        HandshakeError::Failure(stream) | HandshakeError::WouldBlock(stream) => stream.error(),
    };
    if let Some(stack) = error.ssl_error() {
        let first = stack.errors().first();
        return first.and_then(|error| error.reason()).unwrap_or("no reason").to_owned();
    }
    match error.io_error() {
        Some(error) if error.kind() == std::io::ErrorKind::WouldBlock => "silence".to_owned(),
        // The peer hung up, with or without leaving our bytes unread.
        _ => "closed".to_owned(),
    }
}
