//! The library's errors: in its own words, as Postfix logs them, and in words that an administrator can act on.

use std::fmt;

use openssl::error::ErrorStack;
use openssl::ssl;

/// Why a handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandshakeFailure {
    /// What follows `SSL_accept error from PEER: `: `-1`, `lost connection` or the system's words; empty when
    /// the handshake was not attempted and the log has the reason already.
    pub cause: String,
    /// One `TLS library problem: ...` line for each error that the library reported; logged as warnings.
    pub library: Vec<String>,
    /// What it most likely means; empty when the library's words say it all.
    pub meaning: Option<&'static str>,
}

/// Reasons that the library gives, and what they mean to the administrator of the accepting side.
const MEANINGS: &[(&str, &str)] = &[
    ("http request", "the client speaks HTTP, not TLS"),
    ("https proxy request", "the client speaks HTTP, not TLS"),
    ("wrong version number", "the peer sent plain text where TLS was expected"),
    ("unknown protocol", "the peer sent plain text where TLS was expected"),
    ("packet length too long", "the peer sent plain text where TLS was expected"),
    ("no shared cipher", "the client offers no cipher that the configured list allows"),
    ("unsupported protocol", "the peer offers only TLS versions that the configuration excludes"),
    ("protocol version", "the peer refuses our TLS versions"),
    ("version too low", "the peer offers only TLS versions that the configuration excludes"),
    ("no protocols available", "the configured protocol list leaves no version"),
    ("unknown ca", "the peer does not trust the authority of our certificate"),
    ("bad certificate", "the peer refuses our certificate"),
    ("certificate expired", "the peer says that our certificate has expired"),
    ("certificate unknown", "the peer refuses our certificate"),
    ("handshake failure", "the peer found no cipher, group or signature that both sides know"),
    ("no suitable signature algorithm", "no certificate of ours fits what the client can verify"),
    ("no suitable key share", "both sides share no key exchange group"),
    ("dh key too small", "the Diffie-Hellman group is too small for the peer"),
    ("peer did not return a certificate", "the client sent no certificate although one is required"),
];

impl HandshakeFailure {
    /// Reads what the library left behind.
    pub fn new(error: &ssl::Error) -> HandshakeFailure {
        if let Some(stack) = error.ssl_error() {
            return HandshakeFailure::of_library("-1", stack);
        }
        match error.io_error() {
            // 0 bytes: the peer closed in the middle of the handshake.
            Some(io) if io.kind() == std::io::ErrorKind::UnexpectedEof => {
                HandshakeFailure::plain("lost connection")
            }
            Some(io) if io.kind() == std::io::ErrorKind::ConnectionReset => {
                HandshakeFailure::plain("Connection reset by peer")
            }
            Some(io) => HandshakeFailure::plain(io.to_string()),
            None => HandshakeFailure::plain("lost connection"),
        }
    }

    /// The time for the handshake is over.
    pub fn timed_out() -> HandshakeFailure {
        HandshakeFailure::plain("Connection timed out")
    }

    /// There was no handshake, and the log has the reason already.
    pub(crate) fn not_attempted() -> HandshakeFailure {
        HandshakeFailure::plain("")
    }

    /// Does the log have the reason already?
    pub fn is_told(&self) -> bool {
        self.cause.is_empty()
    }

    pub(crate) fn plain(cause: impl Into<String>) -> HandshakeFailure {
        HandshakeFailure { cause: cause.into(), library: Vec::new(), meaning: None }
    }

    pub(crate) fn of_library(cause: &str, stack: &ErrorStack) -> HandshakeFailure {
        let meaning = stack.errors().iter().find_map(|error| {
            let reason = error.reason().unwrap_or_default();
            MEANINGS.iter().find(|(part, _)| reason.contains(part)).map(|(_, meaning)| *meaning)
        });
        HandshakeFailure { cause: cause.into(), library: lines(stack), meaning }
    }
}

impl fmt::Display for HandshakeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)?;
        match self.meaning {
            Some(meaning) => write!(f, " ({meaning})"),
            None => Ok(()),
        }
    }
}

/// The lines of an error that came up on a connection; none when it has nothing to do with TLS.
pub(crate) fn lines_of(error: &std::io::Error) -> Vec<String> {
    let of_library = error.get_ref().and_then(|inner| inner.downcast_ref::<openssl::ssl::Error>());
    of_library.and_then(|error| error.ssl_error()).map(lines).unwrap_or_default()
}

/// `TLS library problem: error:0A0000C1:SSL routines::no shared cipher:ssl/statem/statem_srvr.c:2220:`, as Postfix writes
/// each error of the library. OpenSSL 3 leaves the place of the function's name empty.
fn lines(stack: &ErrorStack) -> Vec<String> {
    stack
        .errors()
        .iter()
        .map(|error| {
            let mut line = format!(
                "TLS library problem: error:{:08X}:{}::{}:{}:{}:",
                error.code(),
                error.library().unwrap_or_default(),
                error.reason().unwrap_or_default(),
                error.file(),
                error.line(),
            );
            if let Some(data) = error.data() {
                line.push_str(data);
                line.push(':');
            }
            line
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_error_is_shown_in_its_form_and_explained() {
        openssl::x509::X509::from_pem(b"nothing").map(|_| ()).unwrap_err();
        let stack = openssl::x509::X509::from_pem(b"nothing").unwrap_err();
        let lines = lines(&stack);
        assert!(lines[0].starts_with("TLS library problem: error:"), "{}", lines[0]);
        assert!(lines[0].contains(":no start line:"), "{}", lines[0]);
        let failure = HandshakeFailure::of_library("-1", &stack);
        assert_eq!((failure.cause.as_str(), failure.meaning), ("-1", None));
        assert_eq!(HandshakeFailure::timed_out().to_string(), "Connection timed out");
    }
}
