//! Our own certificates and keys: reading the files of smtpd_tls_cert_file and its relatives, and of smtpd_tls_chain_files.
//!
//! A damaged pair is reported and left out; the others go on working (docs/deviations.md: Postfix switches TLS off
//! altogether). The bytes come from [`Files`], which reads them with the rights of whoever starts the service.

use openssl::pkey::{PKey, Private};
use openssl::stack::Stack;
use openssl::x509::X509;

use crate::Notice;
use crate::files::Files;

/// A certificate with its key and chain.
#[derive(Clone)]
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

impl Identity {
    /// Reads a pair. The error is for the log; Postfix's own words begin it.
    pub fn from_pair(pair: &Pair, files: &Files, notices: &mut Vec<Notice>) -> Result<Identity, String> {
        let Pair { label, certificate: file, key: key_file } = pair;
        let content = files
            .read(file)
            .map_err(|why| format!("cannot get {label} certificate from file \"{file}\": {why}"))?;
        let mut certificates = certificates(&content.bytes)
            .map_err(|why| format!("cannot get {label} certificate from file \"{file}\": {why}"))?;
        let key_content = files
            .read(key_file)
            .map_err(|why| format!("cannot get {label} private key from file \"{key_file}\": {why}"))?;
        let key = private_key(&key_content.bytes)
            .map_err(|why| format!("cannot get {label} private key from file \"{key_file}\": {why}"))?;
        warn_of_mode(key_file, key_content.mode, notices);
        let blocks = pem_blocks(&key_content.bytes);
        let mut keys = (1..).zip(&blocks).filter(|(_, block)| block.is_key());
        if let (Some((first, _)), Some((second, _))) = (keys.next(), keys.next()) {
            notices.push(Notice(format!(
                "ignoring 2nd key at index {second} in {key_file} after 1st at {first}"
            )));
        }
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
    pub fn from_chain_files(
        names: &[&str],
        files: &Files,
        notices: &mut Vec<Notice>,
    ) -> Result<Vec<Identity>, String> {
        let mut reader = ChainReader::default();
        for name in names {
            let content =
                files.read(name).map_err(|why| format!("error loading chain from {name}: {why}"))?;
            if pem_blocks(&content.bytes).iter().any(PemBlock::is_key) {
                warn_of_mode(name, content.mode, notices);
            }
            reader.read(name, &content.bytes)?;
        }
        reader.finish()
    }

    /// As [`Identity::from_chain_files`], from a text at hand. `name` says in errors where it came from.
    pub(crate) fn from_chain(name: &str, pem: &[u8]) -> Result<Vec<Identity>, String> {
        let mut reader = ChainReader::default();
        reader.read(name, pem)?;
        reader.finish()
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

/// Puts `key, certificate, chain...` together, over the ends of files.
#[derive(Default)]
struct ChainReader {
    identities: Vec<Identity>,
    /// A key whose certificate has not come yet.
    pending: Option<PKey<Private>>,
    /// The file that was read last.
    file: String,
}

impl ChainReader {
    fn read(&mut self, file: &str, pem: &[u8]) -> Result<(), String> {
        self.file = file.to_owned();
        let wrong = |why: &dyn std::fmt::Display| format!("error loading chain from {file}: {why}");
        for block in pem_blocks(pem) {
            let label = block.label();
            if label == "CERTIFICATE" {
                let certificate = X509::from_pem(block.0).map_err(|error| wrong(&error))?;
                let kind = self.pending.as_ref().map(|key| key.id());
                let has_kind =
                    kind.is_some_and(|kind| self.identities.iter().any(|other| other.key.id() == kind));
                match (self.pending.take(), self.identities.last_mut()) {
                    (Some(_), _) if has_kind => {
                        return Err(wrong(
                            &"a second key of the same kind; each kind of key may stand there once",
                        ));
                    }
                    (Some(key), _) if matches(&certificate, &key) => {
                        let chain = Vec::new();
                        self.identities.push(Identity { certificate, key, chain, file: file.to_owned() });
                    }
                    (Some(_), _) => return Err(wrong(&"key and certificate do not match")),
                    (None, Some(identity)) => identity.chain.push(certificate),
                    (None, None) => return Err(wrong(&"key not first")),
                }
            } else if block.is_key() {
                if self.pending.is_some() {
                    return Err(wrong(&"two keys in a row"));
                }
                self.pending = Some(private_key(block.0).map_err(|why| wrong(&why))?);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<Identity>, String> {
        match self.pending {
            Some(_) => Err(format!(
                "error loading chain from {}: the last key has no certificate behind it",
                self.file
            )),
            None => Ok(self.identities),
        }
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
    let Some(block) = pem_blocks(pem).into_iter().find(PemBlock::is_key) else {
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

pub(crate) struct PemBlock<'a>(pub(crate) &'a [u8]);

impl PemBlock<'_> {
    /// What stands between `-----BEGIN ` and `-----`.
    pub(crate) fn label(&self) -> String {
        let start = b"-----BEGIN ".len().min(self.0.len());
        let rest = &self.0[start..];
        let end = find(rest, b"-----").unwrap_or(0);
        String::from_utf8_lossy(&rest[..end]).into_owned()
    }

    fn is_key(&self) -> bool {
        self.label().ends_with("PRIVATE KEY")
    }
}

/// The PEM blocks of a text, each from its BEGIN line to the end of its END line.
pub(crate) fn pem_blocks(text: &[u8]) -> Vec<PemBlock<'_>> {
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

/// A key that others can read is a key that others have.
fn warn_of_mode(path: &str, mode: u32, notices: &mut Vec<Notice>) {
    let who = match (mode & 0o007, mode & 0o070) {
        (0, 0) => return,
        (0, _) => "its group",
        _ => "others",
    };
    notices.push(Notice(format!(
        "private key file {path} can be read by {who} (mode {mode:04o}): chmod 0600 keeps it for its owner"
    )));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

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
            match (Identity::from_pair(&pair, &Files::default(), &mut notices), expected) {
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
        let identities =
            Identity::from_chain_files(&[&first, &second], &Files::default(), &mut notices).unwrap();
        assert_eq!(identities.iter().map(|i| i.chain.len()).collect::<Vec<_>>(), [1, 0]);
        let error = Identity::from_chain_files(&[&wrong], &Files::default(), &mut notices).err().unwrap();
        assert!(error.contains("key not first"), "{error}");
    }

    #[test]
    fn a_readable_key_is_remarked_on() {
        for (mode, expected) in [(0o600, None), (0o640, Some("its group")), (0o644, Some("others"))] {
            let mut notices = Vec::new();
            warn_of_mode("key.pem", mode, &mut notices);
            assert_eq!(notices.len(), usize::from(expected.is_some()), "{mode:o}");
            assert!(expected.is_none_or(|who| notices[0].0.contains(who)), "{mode:o}");
        }
    }
}
