//! A TLS session that a client keeps to resume it, together with the context that it belongs to.

use openssl::ssl::{SslContext, SslRef, SslSession};

use crate::ffi;

/// A session of a finished handshake.
pub struct KeptSession {
    context: SslContext,
    session: SslSession,
}

impl KeptSession {
    /// The session of a connection. With TLS 1.3 its ticket comes after the handshake, with the first bytes that are read.
    pub fn of(ssl: &SslRef) -> Option<KeptSession> {
        Some(KeptSession { context: ssl.ssl_context().to_owned(), session: ssl.session()?.to_owned() })
    }

    /// Offers it for a new handshake. False for a connection of another context, which it can not be used with.
    pub fn offer(&self, ssl: &mut SslRef) -> bool {
        let same = std::ptr::eq(&raw const *self.context, ssl.ssl_context());
        same && ffi::offer_session(ssl, &self.session).is_ok()
    }
}
