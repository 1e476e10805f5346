//! The certificates that a client asks for by name (RFC 6066 section 3; postconf(5), tls_server_sni_maps).
//!
//! The name is read off the ClientHello. The handshake then waits for the table, so that the library's callback never does.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::sha::sha256;
use openssl::ssl::{ClientHelloResponse, Ssl, SslAlert, SslContextBuilder, SslRef};

use crate::files::Files;
use crate::identity::Identity;
use crate::journal::Journal;
use crate::{Notice, ffi};

/// Most table values whose certificates are kept ready.
const MAX_READY: usize = 4096;

/// The outcome of a table lookup, in some time.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, String>> + Send + 'a>>;

/// The tables of tls_server_sni_maps.
pub trait Names: Send + Sync {
    /// The value of one key. The error is for the log.
    fn find<'a>(&'a self, key: &'a str) -> Looking<'a>;
}

/// Names of one service, and the certificates behind them.
pub(crate) struct Sni {
    names: Box<dyn Names>,
    files: Arc<Files>,
    /// By the digest of the table's value.
    ready: Mutex<HashMap<[u8; 32], Ready>>,
}

struct Ready {
    /// The files that the value names; none when it holds the certificates itself.
    files: Vec<String>,
    identities: Arc<Vec<Identity>>,
}

/// What a table's value is.
enum Value {
    /// The text of key and chain files, as `postmap -F` stores it.
    Text(Vec<u8>),
    /// The files themselves.
    Files(Vec<String>),
}

impl Value {
    fn read(text: &str) -> Value {
        let compact: String = text.split_ascii_whitespace().collect();
        match openssl::base64::decode_block(&compact) {
            Ok(bytes) if !compact.is_empty() && bytes.starts_with(b"-----BEGIN ") => Value::Text(bytes),
            // The library may have left something in its queue.
            _ => {
                drop(ErrorStack::get());
                Value::Files(config::list::split(text).into_iter().map(str::to_owned).collect())
            }
        }
    }
}

/// The files that a table's value names: whoever may still read them asks for each once, so that they are kept.
pub fn files_of(value: &str) -> Vec<String> {
    match Value::read(value) {
        Value::Text(_) => Vec::new(),
        Value::Files(files) => files.into_iter().filter(|file| file.starts_with('/')).collect(),
    }
}

impl Sni {
    pub(crate) fn new(names: Box<dyn Names>, files: Arc<Files>) -> Sni {
        Sni { names, files, ready: Mutex::default() }
    }

    /// Certificates for a name: those of the name itself, or of the nearest parent with a leading dot. The error ends the
    /// handshake.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Arc<Vec<Identity>>>, String> {
        for key in keys(name) {
            if let Some(value) = self.names.find(key).await? {
                return self
                    .identities(&value)
                    .map(Some)
                    .map_err(|why| format!("tls_server_sni_maps: {key}: {why}"));
            }
        }
        Ok(None)
    }

    fn identities(&self, value: &str) -> Result<Arc<Vec<Identity>>, String> {
        let digest = sha256(value.as_bytes());
        if let Some(ready) = self.lock().get(&digest) {
            return Ok(Arc::clone(&ready.identities));
        }
        let (files, identities) = match Value::read(value) {
            Value::Text(pem) => (Vec::new(), Identity::from_chain("the table", &pem)?),
            Value::Files(files) => {
                let identities = self.load(&files)?;
                (files, identities)
            }
        };
        if identities.is_empty() {
            return Err("it names no certificate".into());
        }
        let identities = Arc::new(identities);
        let mut ready = self.lock();
        if ready.len() >= MAX_READY {
            ready.clear();
        }
        ready.insert(digest, Ready { files, identities: Arc::clone(&identities) });
        Ok(identities)
    }

    fn load(&self, files: &[String]) -> Result<Vec<Identity>, String> {
        let names: Vec<&str> = files.iter().map(String::as_str).collect();
        // Who may read a key was told at the start.
        Identity::from_chain_files(&names, &self.files, &mut Vec::new())
    }

    /// After files changed: new certificates where they are good, the old ones where they are not.
    pub(crate) fn renew(&self, notices: &mut Vec<Notice>) -> bool {
        let mut any = false;
        for ready in self.lock().values_mut().filter(|ready| !ready.files.is_empty()) {
            match self.load(&ready.files) {
                Ok(identities) if !identities.is_empty() => {
                    any |= !same(&identities, &ready.identities);
                    ready.identities = Arc::new(identities);
                }
                Ok(_) => {
                    notices.push(super::kept(&format!("{} names no certificate", ready.files.join(", "))))
                }
                Err(why) => notices.push(super::kept(&why)),
            }
        }
        any
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Ready>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same(new: &[Identity], old: &[Identity]) -> bool {
    new.len() == old.len()
        && new.iter().zip(old).all(|(new, old)| new.certificate == old.certificate && new.chain == old.chain)
}

/// `mx.example.test`, `.example.test`, `.test`.
fn keys(name: &str) -> impl Iterator<Item = &str> {
    std::iter::once(name).chain(name.match_indices('.').map(|(at, _)| &name[at..]))
}

/// A host name as the client wrote it; nothing for what is none: RFC 6066 allows no addresses.
fn host_name(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok()?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let all_numeric = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (name.len() <= 255 && !all_numeric && name.split('.').all(label)).then(|| name.to_owned())
}

/// The host name in the body of a server_name extension; nothing when the extension is malformed, which the library itself
/// will punish.
fn server_name(extension: &[u8]) -> Option<&[u8]> {
    let (length, list) = extension.split_first_chunk::<2>()?;
    let list = list.get(..usize::from(u16::from_be_bytes(*length)))?;
    let ([0, high, low], name) = list.split_first_chunk::<3>()? else { return None };
    name.get(..usize::from(u16::from_be_bytes([*high, *low])))
}

/// How far one handshake is.
#[derive(Default)]
enum Progress {
    /// The ClientHello has not been seen.
    #[default]
    Before,
    /// The handshake rests until the table has answered.
    Asked(Vec<u8>),
    /// Go on: with other certificates, or with those of the service.
    Answered(Option<Arc<Vec<Identity>>>),
}

type Shared = Arc<Mutex<Progress>>;

fn index() -> Option<Index<Ssl, Shared>> {
    static INDEX: OnceLock<Option<Index<Ssl, Shared>>> = OnceLock::new();
    *INDEX.get_or_init(|| Ssl::new_ex_index().ok())
}

/// One handshake's question and answer.
pub(crate) struct Asking(Shared);

/// Makes every handshake of a context stop at a ClientHello that asks for a name.
pub(super) fn install(context: &mut SslContextBuilder) {
    context.set_client_hello_callback(|ssl, alert| match on_client_hello(ssl) {
        Ok(response) => Ok(response),
        Err(error) => {
            *alert = SslAlert::INTERNAL_ERROR;
            Err(error)
        }
    });
}

/// Called inside the library: no panic, no wait.
fn on_client_hello(ssl: &mut SslRef) -> Result<ClientHelloResponse, ErrorStack> {
    let Some(shared) = index().and_then(|index| ssl.ex_data(index)).map(Arc::clone) else {
        return Ok(ClientHelloResponse::SUCCESS);
    };
    let mut progress = shared.lock().unwrap_or_else(PoisonError::into_inner);
    match &*progress {
        Progress::Before => match ffi::client_hello_extension(ssl, 0).as_deref().and_then(server_name) {
            Some(name) if !name.is_empty() => {
                *progress = Progress::Asked(name.to_vec());
                Ok(ClientHelloResponse::RETRY)
            }
            _ => Ok(ClientHelloResponse::SUCCESS),
        },
        Progress::Asked(_) => Ok(ClientHelloResponse::RETRY),
        Progress::Answered(None) => Ok(ClientHelloResponse::SUCCESS),
        Progress::Answered(Some(identities)) => {
            ffi::replace_identities(ssl, identities)?;
            Ok(ClientHelloResponse::SUCCESS)
        }
    }
}

impl Asking {
    /// Prepares a handshake.
    pub(crate) fn prepare(ssl: &mut SslRef) -> Asking {
        let shared = Shared::default();
        if let Some(index) = index() {
            ssl.set_ex_data(index, Arc::clone(&shared));
        }
        Asking(shared)
    }

    /// Answers when the handshake rests. Gives the name when it selected certificates; the error ends the handshake.
    pub(crate) async fn answer(&self, sni: &Sni, journal: &Journal) -> Result<Option<String>, String> {
        let asked = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Progress::Asked(name) => name.clone(),
            Progress::Before | Progress::Answered(_) => Vec::new(),
        };
        let peer = &journal.peer;
        let found = match host_name(&asked) {
            Some(name) => match sni.find(&name.to_ascii_lowercase()).await? {
                Some(identities) => Some((name, identities)),
                None => {
                    journal.info(&format!("TLS SNI {name} from {peer} not matched, using default chain"));
                    None
                }
            },
            None => {
                let shown: String = asked
                    .iter()
                    .take(255)
                    .map(|&b| if b.is_ascii_graphic() || b == b' ' { b as char } else { '?' })
                    .collect();
                journal.warning(&format!("TLS SNI from {peer} is invalid: {shown}"));
                None
            }
        };
        let (name, identities) = found.unzip();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Progress::Answered(identities);
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_follow_the_name() {
        for (name, expected) in [
            ("mx.example.test", &["mx.example.test", ".example.test", ".test"][..]),
            ("localhost", &["localhost"]),
        ] {
            assert_eq!(keys(name).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn only_host_names_are_looked_up() {
        for (bytes, expected) in [
            (&b"MX.Example.test"[..], Some("MX.Example.test")),
            (b"a_b.test", Some("a_b.test")),
            (b"127.0.0.1", None),
            (b"::1", None),
            (b"bad name", None),
            (b"a..b", None),
            (b"-a.test", None),
            (b"a.test.", None),
            (b"\xff", None),
            (b"", None),
        ] {
            assert_eq!(host_name(bytes).as_deref(), expected, "{bytes:?}");
        }
        assert_eq!(host_name(&[b'a'; 200]), None, "a label of 200 letters");
    }

    #[test]
    fn the_extension_of_the_client_hello() {
        for (bytes, expected) in [
            (&[0, 7, 0, 0, 4, b'm', b'x', b'.', b't'][..], Some(&b"mx.t"[..])),
            (&[0, 7, 1, 0, 4, b'm', b'x', b'.', b't'], None),
            (&[0, 7, 0, 0, 5, b'm', b'x', b'.', b't'], None),
            (&[0, 9, 0, 0, 4, b'm', b'x', b'.', b't'], None),
            (&[0, 3, 0, 0, 0], Some(&b""[..])),
            (&[0], None),
            (&[], None),
        ] {
            assert_eq!(server_name(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_value_holds_the_certificates_or_names_them() {
        let stored = openssl::base64::encode_block(b"-----BEGIN PRIVATE KEY-----\n");
        for (value, expected) in [
            ("/etc/a.pem, /etc/b.pem", &["/etc/a.pem", "/etc/b.pem"][..]),
            (stored.as_str(), &[]),
            ("", &[]),
            ("relative.pem", &[]),
        ] {
            assert_eq!(files_of(value), expected, "{value}");
        }
    }
}
