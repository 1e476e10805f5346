//! Whom we trust (postconf(5), smtpd_tls_CAfile, smtpd_tls_CApath), and why a peer is not trusted.
//!
//! Verification never ends a handshake here: the outcome is a fact that others act on.

use std::sync::OnceLock;

use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslContextBuilder, SslRef, SslVerifyMode};
use openssl::x509::{X509StoreContext, X509StoreContextRef, X509VerifyResult};

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
    /// Loads the anchors. Nothing set means that nobody is trusted, not even the host's authorities. The error is in Postfix's
    /// words.
    pub(crate) fn load(&self, context: &mut SslContextBuilder) -> Result<(), String> {
        context.set_verify_depth(self.depth + 1);
        let given = |text: &str| if text.is_empty() { None } else { Some(std::path::PathBuf::from(text)) };
        let (file, path) = (given(&self.file), given(&self.path));
        if file.is_none() && path.is_none() {
            return Ok(());
        }
        let mut what = Vec::new();
        if file.is_some() {
            what.push(format!("CAfile=\"{}\"", self.file));
        }
        if path.is_some() {
            what.push(format!("CApath=\"{}\"", self.path));
        }
        let failed = |error: openssl::error::ErrorStack| {
            format!("cannot load Certification Authority data, {}: {error}", what.join(", "))
        };
        context.load_verify_locations(file.as_deref(), path.as_deref()).map_err(failed)?;
        if self.append_default {
            context.set_default_verify_paths().map_err(failed)?;
        }
        Ok(())
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

/// Asks for the peer's certificate and verifies it without ending the handshake.
pub(crate) fn verify(context: &mut SslContextBuilder) {
    context.set_verify_callback(SslVerifyMode::PEER, |ok, store| {
        if !ok {
            remember(store);
        }
        true
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
            "certificate verification failed for PEER: certificate chain longer than limit".into()
        }
        number => {
            format!("{who} certificate verification failed for PEER: num={number}:{}", result.error_string())
        }
    })
}

/// `/O=Test CA Org/CN=Test CA`.
pub(crate) fn one_line(name: &openssl::x509::X509NameRef) -> String {
    name.entries()
        .map(|entry| {
            let key = entry.object().nid().short_name().unwrap_or("?");
            let value = entry.data().to_string().unwrap_or_default();
            format!("/{key}={value}")
        })
        .collect()
}
