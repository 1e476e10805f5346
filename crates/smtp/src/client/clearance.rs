//! The proof that mail may be sent over a connection.

use mail::TlsFacts;

/// A value that exists only because the TLS policy admitted what a connection proved, or admitted plaintext.
///
/// The TLS room makes such values and no one else can; the sending role implements this trait for them. The
/// session shows it the facts that it really has, so that a proof for one connection does not open another.
pub trait Clearance {
    /// Was this proof given for these facts? `None` is plaintext.
    fn admits(&self, facts: Option<&TlsFacts>) -> bool;
}
