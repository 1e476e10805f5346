//! Our own certificates and keys: reading the files of smtpd_tls_cert_file and its relatives, and of smtpd_tls_chain_files.
//!
//! A damaged pair is reported and left out; the others go on working (docs/deviations.md: Postfix switches TLS off
//! altogether). Keys are read with the rights of whoever starts the service.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::X509;

use crate::Notice;

/// A certificate with its key and chain.
pub struct Identity {
    /// The leaf.
    pub(crate) certificate: X509,
    /// Its key; they match.
    pub(crate) key: PKey<Private>,
    /// Intermediates in the order of the file.
    pub(crate) chain: Vec<X509>,
    /// The file, for messages.
    pub(crate) file: String,
}

/// One certificate file and one key file, with the label that Postfix's messages use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// `RSA`, `ECDSA` or `DSA`: a label only, any kind of key may come from any pair.
    pub label: &'static str,
    /// smtpd_tls_cert_file and its relatives.
    pub certificate: String,
    /// smtpd_tls_key_file and its relatives.
    pub key: String,
}

/// Largest certificate or key file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

impl Identity {
    /// Reads a pair. The error is for the log; Postfix's own words begin it.
    pub fn from_pair(pair: &Pair, notices: &mut Vec<Notice>) -> Result<Identity, String> {
        let Pair { label, certificate: file, key: key_file } = pair;
        let bytes = read(file)
            .map_err(|why| format!("cannot get {label} certificate from file \"{file}\": {why}"))?;
        let mut certificates = certificates(&bytes)
            .map_err(|why| format!("cannot get {label} certificate from file \"{file}\": {why}"))?;
        let key_bytes = read(key_file)
            .map_err(|why| format!("cannot get {label} private key from file \"{key_file}\": {why}"))?;
        let key = private_key(&key_bytes)
            .map_err(|why| format!("cannot get {label} private key from file \"{key_file}\": {why}"))?;
        warn_of_mode(key_file, notices);
        let certificate = certificates.remove(0);
        if !matches(&certificate, &key) {
            // The commonest cause is an intermediate standing before the leaf.
            let order = match certificates.iter().any(|other| matches(other, &key)) {
                true => {
                    "; the key belongs to a later certificate of the file: put the server's own certificate first"
                }
                false => "; take the key that the certificate was made for",
            };
            return Err(format!(
                "{label} private key in {key_file} does not match public key in {file}{order}"
            ));
        }
        Ok(Identity { certificate, key, chain: certificates, file: file.clone() })
    }

    /// Reads smtpd_tls_chain_files: all files as one text, `key, certificate, chain..., key, certificate...`.
    pub fn from_chain_files(files: &[&str], notices: &mut Vec<Notice>) -> Result<Vec<Identity>, String> {
        let mut identities: Vec<Identity> = Vec::new();
        let mut pending: Option<PKey<Private>> = None;
        for file in files {
            let bytes = read(file).map_err(|why| format!("error loading chain from {file}: {why}"))?;
            warn_of_mode(file, notices);
            for block in pem_blocks(&bytes) {
                let label = block.label();
                if label == "CERTIFICATE" {
                    let certificate = X509::from_pem(block.0)
                        .map_err(|error| format!("error loading chain from {file}: {error}"))?;
                    match (pending.take(), identities.last_mut()) {
                        (Some(key), _) if matches(&certificate, &key) => identities.push(Identity {
                            certificate,
                            key,
                            chain: Vec::new(),
                            file: file.to_string(),
                        }),
                        (Some(_), _) => {
                            return Err(format!(
                                "error loading chain from {file}: key and certificate do not match"
                            ));
                        }
                        (None, Some(identity)) => identity.chain.push(certificate),
                        (None, None) => {
                            return Err(format!("error loading chain from {file}: key not first"));
                        }
                    }
                } else if label.ends_with("PRIVATE KEY") {
                    if pending.is_some() {
                        return Err(format!("error loading chain from {file}: two keys in a row"));
                    }
                    let key = private_key(block.0)
                        .map_err(|why| format!("error loading chain from {file}: {why}"))?;
                    pending = Some(key);
                }
            }
        }
        match pending {
            Some(_) => Err("error loading chain: the last key has no certificate behind it".into()),
            None => Ok(identities),
        }
    }

    /// The chain as the library wants it.
    pub(crate) fn chain_stack(&self) -> Result<Stack<X509>, openssl::error::ErrorStack> {
        let mut stack = Stack::new()?;
        for certificate in &self.chain {
            stack.push(certificate.clone())?;
        }
        Ok(stack)
    }
}

fn matches(certificate: &X509, key: &PKey<Private>) -> bool {
    certificate.public_key().is_ok_and(|public| key.public_eq(&public))
}

/// All certificates of a PEM text; at least one.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<X509>, String> {
    if !has_pem(pem) {
        return Err(match X509::from_der(pem) {
            Ok(_) => "it is in DER form; convert it with openssl x509 -inform der".into(),
            Err(_) => "no start line: it holds no PEM certificate".into(),
        });
    }
    let found = X509::stack_from_pem(pem).map_err(|error| error.to_string())?;
    if found.is_empty() { Err("it holds no certificate".into()) } else { Ok(found) }
}

/// The first private key of a PEM text. Never asks for a password.
fn private_key(pem: &[u8]) -> Result<PKey<Private>, String> {
    let Some(block) = pem_blocks(pem).into_iter().find(|block| block.label().ends_with("PRIVATE KEY")) else {
        return Err(match PKey::private_key_from_der(pem) {
            Ok(_) => "it is in DER form; convert it with openssl pkey -inform der".into(),
            Err(_) => "no start line: it holds no PEM private key".into(),
        });
    };
    let encrypted =
        block.label().starts_with("ENCRYPTED") || find(block.0, b"Proc-Type: 4,ENCRYPTED").is_some();
    if encrypted {
        return Err("the key is encrypted; a server can not type a password, \
                    remove it with openssl pkey -in FILE -out NEWFILE"
            .into());
    }
    PKey::private_key_from_pem_callback(block.0, |_| Ok(0)).map_err(|error| error.to_string())
}

struct PemBlock<'a>(&'a [u8]);

impl PemBlock<'_> {
    /// What stands between `-----BEGIN ` and `-----`.
    fn label(&self) -> String {
        let start = b"-----BEGIN ".len().min(self.0.len());
        let rest = &self.0[start..];
        let end = find(rest, b"-----").unwrap_or(0);
        String::from_utf8_lossy(&rest[..end]).into_owned()
    }
}

/// The PEM blocks of a text, each from its BEGIN line to the end of its END line.
fn pem_blocks(text: &[u8]) -> Vec<PemBlock<'_>> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some(begin) = find(rest, b"-----BEGIN ") {
        rest = &rest[begin..];
        let Some(end) = find(rest, b"-----END ") else { break };
        let line = rest[end..].iter().position(|&b| b == b'\n').map_or(rest.len(), |at| end + at + 1);
        blocks.push(PemBlock(&rest[..line]));
        rest = &rest[line..];
    }
    blocks
}

fn has_pem(text: &[u8]) -> bool {
    find(text, b"-----BEGIN ").is_some()
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Reads a file of at most [`MAX_FILE`] bytes.
pub(crate) fn read(path: &str) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MAX_FILE {
        return Err(format!("{size} bytes are no certificate or key"));
    }
    fs::read(path).map_err(|error| error.to_string())
}

/// A key that others can read is a key that others have.
fn warn_of_mode(path: &str, notices: &mut Vec<Notice>) {
    if let Ok(metadata) = fs::metadata(Path::new(path)) {
        let mode = metadata.permissions().mode() & 0o777;
        let who = match (mode & 0o007, mode & 0o070) {
            (0, 0) => return,
            (0, _) => "its group",
            _ => "others",
        };
        notices.push(Notice(format!(
            "private key file {path} can be read by {who} (mode {mode:04o}): chmod 0600 keeps it for its owner"
        )));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::authority::{Authority, KeyKind};

    fn write(dir: &tempfile::TempDir, name: &str, parts: &[&str]) -> String {
        let path = dir.path().join(name);
        fs::write(&path, parts.concat()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_pair_is_read_or_says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("Test CA");
        let one = authority.issue("one.test", KeyKind::Rsa2048);
        let two = authority.issue("two.test", KeyKind::EcdsaP256);
        let cert = write(&dir, "cert", &[&one.certificate_pem, &authority.certificate_pem]);
        let key = write(&dir, "key", &[&one.key_pem]);
        let combined = write(&dir, "combined", &[&one.certificate_pem, &one.key_pem]);
        let other_key = write(&dir, "other", &[&two.key_pem]);
        let swapped = write(&dir, "swapped", &[&authority.certificate_pem, &one.certificate_pem]);
        let encrypted = write(&dir, "encrypted", &[&one.encrypted_key_pem("secret")]);
        let nothing = write(&dir, "nothing", &["nothing"]);
        let missing = dir.path().join("missing").to_str().unwrap().to_owned();
        for (certificate, key, expected) in [
            (&cert, &key, None),
            (&combined, &combined, None),
            (&cert, &other_key, Some("does not match public key in")),
            (&swapped, &key, Some("put the server's own certificate first")),
            (&cert, &encrypted, Some("the key is encrypted")),
            (&nothing, &key, Some("no start line")),
            (&cert, &nothing, Some("no start line")),
            (&missing, &key, Some("cannot get RSA certificate from file")),
            (&cert, &missing, Some("cannot get RSA private key from file")),
        ] {
            let pair = Pair { label: "RSA", certificate: certificate.clone(), key: key.clone() };
            let mut notices = Vec::new();
            match (Identity::from_pair(&pair, &mut notices), expected) {
                (Ok(_), None) => assert_eq!(notices, []),
                (Err(error), Some(part)) => assert!(error.contains(part), "{error}"),
                (result, _) => panic!("{certificate} {key}: {:?}", result.err()),
            }
        }
    }

    #[test]
    fn chain_files_begin_with_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("Test CA");
        let one = authority.issue("one.test", KeyKind::Rsa2048);
        let two = authority.issue("one.test", KeyKind::EcdsaP256);
        let first = write(&dir, "first", &[&one.key_pem, &one.certificate_pem, &authority.certificate_pem]);
        let second = write(&dir, "second", &[&two.key_pem, &two.certificate_pem]);
        let wrong = write(&dir, "wrong", &[&two.certificate_pem, &two.key_pem]);
        let mut notices = Vec::new();
        let identities = Identity::from_chain_files(&[&first, &second], &mut notices).unwrap();
        assert_eq!(identities.iter().map(|i| i.chain.len()).collect::<Vec<_>>(), [1, 0]);
        let error = Identity::from_chain_files(&[&wrong], &mut notices).err().unwrap();
        assert!(error.contains("key not first"), "{error}");
    }

    #[test]
    fn a_readable_key_is_remarked_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(&dir, "key", &["x"]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let mut notices = Vec::new();
        warn_of_mode(&path, &mut notices);
        assert!(notices[0].0.contains("mode 0644"));
    }
}
