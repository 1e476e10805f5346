//! Whom we trust (postconf(5), smtpd_tls_CAfile, smtpd_tls_CApath), and why a peer is not trusted.
//!
//! Verification never ends a handshake here: the outcome is a fact that others act on.

use std::path::Path;
use std::sync::OnceLock;

use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef, SslVerifyMode};
use openssl::x509::{X509, X509StoreContext, X509StoreContextRef, X509VerifyResult};

use crate::client::Shortcoming;
use crate::log_level::LogLevels;
use crate::{ffi, journal};

/// Where trust comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Anchors {
    /// A PEM bundle; empty for none.
    pub(crate) file: String,
    /// A hashed directory, read on demand; empty for none.
    pub(crate) path: String,
    /// The host's own authorities as well (tls_append_default_CA); only looked at when one of the others is set.
    pub(crate) append_default: bool,
    /// Most intermediates between the peer and an anchor; the library gets one more, as in Postfix.
    pub(crate) depth: u32,
}

impl Anchors {
    /// Loads the anchors; who calls has read the certificates of the file already. Nothing set means that nobody is trusted, not even the
    /// host's authorities. The error is in Postfix's words.
    pub(crate) fn load_from(
        &self,
        context: &mut SslContextBuilder,
        certificates: &[X509],
    ) -> Result<(), String> {
        context.set_verify_depth(self.depth + 1);
        for certificate in certificates {
            context.cert_store_mut().add_cert(certificate.clone()).map_err(|error| self.failure(&error))?;
        }
        if !self.path.is_empty() {
            let path = Path::new(&self.path);
            context.load_verify_locations(None, Some(path)).map_err(|error| self.failure(&error))?;
        }
        if self.append_default && !(self.file.is_empty() && self.path.is_empty()) {
            context.set_default_verify_paths().map_err(|error| self.failure(&error))?;
        }
        Ok(())
    }

    /// `cannot load Certification Authority data, CAfile="F", CApath="D": WHY`.
    pub(crate) fn failure(&self, why: &dyn std::fmt::Display) -> String {
        let mut text = "cannot load Certification Authority data".to_owned();
        for (name, value) in [("CAfile", &self.file), ("CApath", &self.path)] {
            if !value.is_empty() {
                text.push_str(&format!(", {name}=\"{value}\""));
            }
        }
        format!("{text}: {why}")
    }
}

/// The first thing that verification found wrong. A verify callback that goes on leaves only the last error with the
/// library.
#[derive(Default)]
struct FirstError(OnceLock<(X509VerifyResult, u32, String)>);

fn index() -> Option<Index<Ssl, FirstError>> {
    static INDEX: OnceLock<Option<Index<Ssl, FirstError>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

/// Asks for the peer's certificate and verifies it without ending the handshake. With `server_certificates` a client may show a
/// certificate that is for servers only (tls_trust_server_ccerts).
pub(crate) fn verify(context: &mut SslContextBuilder, server_certificates: bool) {
    context.set_verify_callback(SslVerifyMode::PEER, move |ok, store| {
        let ok = ok || (server_certificates && is_for_servers(store));
        tell_certificate(store, ok);
        if !ok {
            remember(store);
        }
        true
    });
}

/// The only complaint is that a certificate is not for clients, and the peer's own is for servers: then the chain is judged as
/// a server's. Called inside the library: no panic, no wait.
fn is_for_servers(store: &mut X509StoreContextRef) -> bool {
    if store.error().as_raw() != openssl_sys::X509_V_ERR_INVALID_PURPOSE {
        return false;
    }
    let is_authority = store.error_depth() > 0;
    let leaf = store.chain().and_then(|chain| chain.get(0));
    let fits = leaf.is_some_and(|leaf| ffi::is_for_servers(leaf, false))
        && store.current_cert().is_some_and(|current| ffi::is_for_servers(current, is_authority));
    if fits {
        // The library keeps the last error as the session's verdict, which a resumed session goes by.
        store.set_error(X509VerifyResult::OK);
    }
    fits
}

/// `P: depth=1 verify=1 subject=/CN=Test CA`. Called inside the library: no panic, no wait.
fn tell_certificate(store: &X509StoreContextRef, verified: bool) {
    let Ok(index) = X509StoreContext::ssl_idx() else { return };
    let Some(journal) = store.ex_data(index).and_then(|ssl| journal::of(ssl)) else { return };
    journal.tell(LogLevels::VERBOSE, |peer| {
        let subject = store.current_cert().map(|cert| one_line(cert.subject_name())).unwrap_or_default();
        format!("{peer}: depth={} verify={} subject={subject}", store.error_depth(), u8::from(verified))
    });
}

/// Called inside the library: no panic, no wait.
fn remember(store: &X509StoreContextRef) {
    let Ok(ssl_index) = X509StoreContext::ssl_idx() else { return };
    let (Some(ssl), Some(index)) = (store.ex_data(ssl_index), index()) else { return };
    if let Some(first) = ssl.ex_data(index) {
        let issuer = store.current_cert().map(|cert| one_line(cert.issuer_name())).unwrap_or_default();
        // Only the first call has an effect.
        let _ = first.0.set((store.error(), store.error_depth(), issuer));
    }
}

/// Makes room for the first error; before the handshake.
pub(crate) fn prepare(ssl: &mut SslRef) {
    if let Some(index) = index() {
        ssl.set_ex_data(index, FirstError::default());
    }
}

/// From x509_vfy.h.
const X509_V_ERR_DANE_NO_MATCH: i32 = 65;

/// Why the peer's certificate is not trusted, in Postfix's words; `None` when it is. `role` is `server` or `client`: what the
/// peer is. A certificate must have been shown.
pub(crate) fn untrusted_reason(ssl: &SslRef, role: &str) -> Option<String> {
    let first = index().and_then(|index| ssl.ex_data(index)).and_then(|first| first.0.get());
    let (result, depth, issuer) = match first {
        Some((result, depth, issuer)) => (*result, *depth, issuer.as_str()),
        // A resumed session carries the verdict of its first handshake.
        None if ssl.verify_result() == X509VerifyResult::OK => return None,
        None => {
            return Some(
                "re-using session with untrusted peer credential, look for details earlier in the log".into(),
            );
        }
    };
    let who = if depth == 0 { role } else { "CA" };
    Some(match result.as_raw() {
        openssl_sys::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
        | openssl_sys::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
            if depth == 0 =>
        {
            "certificate verification failed for PEER: self-signed certificate".into()
        }
        openssl_sys::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
        | openssl_sys::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        | openssl_sys::X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
        | openssl_sys::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN => {
            format!("certificate verification failed for PEER: untrusted issuer {issuer}")
        }
        X509_V_ERR_DANE_NO_MATCH => {
            "certificate verification failed for PEER: not trusted by local or TLSA policy".into()
        }
        openssl_sys::X509_V_ERR_CERT_NOT_YET_VALID => {
            format!("{who} certificate verification failed for PEER: certificate not yet valid")
        }
        openssl_sys::X509_V_ERR_CERT_HAS_EXPIRED => {
            format!("{who} certificate verification failed for PEER: certificate has expired")
        }
        openssl_sys::X509_V_ERR_INVALID_PURPOSE => {
            format!(
                "certificate verification failed for PEER: not designated for use as a {role} certificate"
            )
        }
        openssl_sys::X509_V_ERR_CERT_CHAIN_TOO_LONG => {
            let limit = ffi::verify_depth(ssl).saturating_sub(1);
            format!("certificate verification failed for PEER: certificate chain longer than limit({limit})")
        }
        number => {
            format!("{who} certificate verification failed for PEER: num={number}:{}", result.error_string())
        }
    })
}

/// What was found wrong first, for a report.
pub(crate) fn shortcoming(ssl: &SslRef) -> Shortcoming {
    let first = index().and_then(|index| ssl.ex_data(index)).and_then(|first| first.0.get());
    let result = first.map_or_else(|| ssl.verify_result(), |(result, ..)| *result);
    match result.as_raw() {
        openssl_sys::X509_V_ERR_HOSTNAME_MISMATCH | openssl_sys::X509_V_ERR_IP_ADDRESS_MISMATCH => {
            Shortcoming::HostMismatch
        }
        openssl_sys::X509_V_ERR_CERT_HAS_EXPIRED => Shortcoming::Expired,
        openssl_sys::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
        | openssl_sys::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
        | openssl_sys::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
        | openssl_sys::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
        | openssl_sys::X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
        | openssl_sys::X509_V_ERR_CERT_UNTRUSTED => Shortcoming::NotTrusted,
        _ if result == X509VerifyResult::OK => Shortcoming::Other("certificate not accepted".into()),
        _ => Shortcoming::Other(result.error_string().to_owned()),
    }
}

/// `/O=Test CA Org/CN=Test CA`. Names come from strangers: control characters become `?`, and 1,024 characters are enough.
pub(crate) fn one_line(name: &openssl::x509::X509NameRef) -> String {
    let text: String = name
        .entries()
        .map(|entry| {
            let key = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().unwrap_or_default();
            format!("/{key}={value}")
        })
        .collect();
    text.chars().take(1024).map(|c| if c.is_control() { '?' } else { c }).collect()
}
