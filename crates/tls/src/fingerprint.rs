//! Fingerprints of certificates and public keys (postconf(5), smtpd_tls_fingerprint_digest): upper-case hexadecimal bytes
//! with colons between them.

use openssl::hash::MessageDigest;
use openssl::x509::X509Ref;

/// The digest of that name; the error is in Postfix's words.
pub fn digest(name: &str) -> Result<MessageDigest, String> {
    MessageDigest::from_name(name).ok_or_else(|| format!("Digest algorithm \"{name}\" not found"))
}

/// Over the DER form of the certificate.
pub fn of_certificate(certificate: &X509Ref, digest: MessageDigest) -> String {
    certificate.digest(digest).map(|bytes| hex(&bytes)).unwrap_or_default()
}

/// Over the DER form of its public key (SubjectPublicKeyInfo).
pub fn of_public_key(certificate: &X509Ref, digest: MessageDigest) -> String {
    let key = certificate.public_key().and_then(|key| key.public_key_to_der());
    key.and_then(|der| openssl::hash::hash(digest, &der)).map(|bytes| hex(&bytes)).unwrap_or_default()
}

/// Do two fingerprints, written in any case and with or without colons, mean the same bytes? Empty means nothing.
pub fn equal(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_uppercase();
    !a.is_empty() && plain(a) == plain(b)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        assert_eq!(hex(&[0xAB, 1]), "AB:01");
        assert!(equal("ab:01", "AB01"));
        assert!(!equal("", ""));
        assert!(!equal("AB:02", "AB01"));
        assert!(digest("sha256").is_ok() && digest("md5").is_ok());
        assert!(digest("nosuch").is_err());
    }
}
