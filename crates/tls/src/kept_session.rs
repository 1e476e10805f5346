//! A TLS session that a client keeps to resume it, together with the context that it belongs to.

use openssl::ssl::{SslContext, SslRef, SslSession};

use crate::ffi;

/// A session of a finished handshake.
pub struct KeptSession {
    context: SslContext,
    /// Each offer is an object of its own: a connection that ends badly spoils the object that it was given.
    encoded: Vec<u8>,
}

impl KeptSession {
    /// The session of a connection. With TLS 1.3 its ticket comes after the handshake, with the first bytes that are read.
    pub fn of(ssl: &SslRef) -> Option<KeptSession> {
        let encoded = ssl.session()?.to_der().ok()?;
        Some(KeptSession { context: ssl.ssl_context().to_owned(), encoded })
    }

    /// Offers it for a new handshake. False for a connection of another context, which it can not be used with.
    pub fn offer(&self, ssl: &mut SslRef) -> bool {
        let same = std::ptr::eq(&raw const *self.context, ssl.ssl_context());
        same && SslSession::from_der(&self.encoded)
            .is_ok_and(|session| ffi::offer_session(ssl, &session).is_ok())
    }
}
