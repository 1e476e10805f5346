//! What is kept of a password, and SCRAM-SHA-256 with it (RFC 5802, RFC 7677): `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`,
//! in base64, the form that PostgreSQL keeps as well. Nobody can log in with it, and a password is compared by deriving it again.

use std::fmt;
use std::str::FromStr;

use openssl::base64::{decode_block, encode_block};
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::sha::sha256;
use openssl::sign::Signer;

const NAME: &str = "SCRAM-SHA-256";
/// For new passwords: some milliseconds of work.
const ITERATIONS: usize = 10_000;
/// More would let whoever writes the table keep a processor busy.
const MAX_ITERATIONS: usize = 1_000_000;

type Key = [u8; 32];

/// What is kept of one password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    iterations: usize,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl Secret {
    /// For a new password. The error is the library's.
    pub fn new(password: &str) -> Result<Secret, String> {
        let mut salt = vec![0; 16];
        rand_bytes(&mut salt).map_err(|error| error.to_string())?;
        Secret::derive(password.as_bytes(), salt, ITERATIONS)
    }

    /// For somebody who is not known: the same for the same name as long as `pepper` is the same, so that the answers do not tell.
    pub(super) fn of_nobody(name: &str, pepper: &[u8]) -> Result<Secret, String> {
        let salt = sign(pepper, name.as_bytes())?[..16].to_vec();
        Ok(Secret { iterations: ITERATIONS, salt, stored_key: [0; 32], server_key: [0; 32] })
    }

    fn derive(password: &[u8], salt: Vec<u8>, iterations: usize) -> Result<Secret, String> {
        let mut salted = Key::default();
        pbkdf2_hmac(password, &salt, iterations, MessageDigest::sha256(), &mut salted)
            .map_err(|error| error.to_string())?;
        let stored_key = sha256(&sign(&salted, b"Client Key")?);
        let server_key = sign(&salted, b"Server Key")?;
        Ok(Secret { iterations, salt, stored_key, server_key })
    }

    /// Is it the secret of this password? Takes a while, by intention.
    pub(super) fn is_of(&self, password: &[u8]) -> Result<bool, String> {
        let other = Secret::derive(password, self.salt.clone(), self.iterations)?;
        Ok(memcmp::eq(&other.stored_key, &self.stored_key))
    }

    /// `r=NONCE,s=SALT,i=ITERATIONS`.
    pub(super) fn server_first(&self, nonce: &str) -> String {
        format!("r={nonce},s={},i={}", encode_block(&self.salt), self.iterations)
    }

    /// Looks at the client's proof. Gives `v=SIGNATURE`, our own proof, when it is good.
    pub(super) fn prove(&self, auth_message: &str, proof: &[u8]) -> Result<Option<String>, String> {
        let signature = sign(&self.stored_key, auth_message.as_bytes())?;
        let Ok(proof) = <&Key>::try_from(proof) else { return Ok(None) };
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        if !memcmp::eq(&sha256(&client_key), &self.stored_key) {
            return Ok(None);
        }
        let signature = sign(&self.server_key, auth_message.as_bytes())?;
        Ok(Some(format!("v={}", encode_block(&signature))))
    }
}

fn sign(key: &[u8], data: &[u8]) -> Result<Key, String> {
    let signed = || {
        let key = PKey::hmac(key)?;
        let mut signer = Signer::new(MessageDigest::sha256(), &key)?;
        let mut signature = Key::default();
        signer.sign_oneshot(&mut signature, data)?;
        Ok(signature)
    };
    signed().map_err(|error: openssl::error::ErrorStack| error.to_string())
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Secret { iterations, salt, stored_key, server_key } = self;
        let (salt, stored, server) = (encode_block(salt), encode_block(stored_key), encode_block(server_key));
        write!(f, "{NAME}${iterations}:{salt}${stored}:{server}")
    }
}

/// Not shown in any log.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl FromStr for Secret {
    type Err = String;

    /// The error does not repeat the text, which may be a password that somebody entered as it is.
    fn from_str(text: &str) -> Result<Secret, String> {
        let parsed = || {
            let (salt, keys) = text.trim().strip_prefix(NAME)?.strip_prefix('$')?.split_once('$')?;
            let (iterations, salt) = salt.split_once(':')?;
            let (stored, server) = keys.split_once(':')?;
            let key = |text: &str| Key::try_from(decode_block(text).ok()?).ok();
            let iterations = iterations.parse().ok().filter(|n| (1..=MAX_ITERATIONS).contains(n))?;
            let salt = decode_block(salt).ok()?;
            Some(Secret { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
        };
        parsed().ok_or_else(|| {
            format!("is not {NAME}$ITERATIONS:SALT$STOREDKEY:SERVERKEY; make one with mailclad passwd")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7677() {
        let salt = decode_block("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let secret = Secret::derive(b"pencil", salt, 4096).unwrap();
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let first = secret.server_first(nonce);
        assert_eq!(first, format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let message = format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{first},c=biws,r={nonce}");
        let proof = decode_block("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let ours = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(secret.prove(&message, &proof), Ok(Some(ours.to_owned())));
        assert_eq!(secret.prove(&format!("{message}x"), &proof), Ok(None));
        assert_eq!(secret.prove(&message, b"short"), Ok(None));
    }

    #[test]
    fn secrets_are_kept_as_text() {
        let secret = Secret::new("pass wörd").unwrap();
        let text = secret.to_string();
        assert!(text.starts_with("SCRAM-SHA-256$10000:") && !text.contains("pass"), "{text}");
        let read: Secret = text.parse().unwrap();
        assert_eq!(read, secret);
        assert_eq!((read.is_of("pass wörd".as_bytes()), read.is_of(b"other")), (Ok(true), Ok(false)));
        assert_ne!(Secret::new("pass wörd").unwrap(), secret, "salted");
        for bad in ["", "password", "SCRAM-SHA-256$0:QQ==$QQ==:QQ==", "SCRAM-SHA-256$99999999:QQ==$x:y"] {
            assert!(bad.parse::<Secret>().unwrap_err().starts_with("is not SCRAM"), "{bad}");
        }
        let nobody = Secret::of_nobody("a", b"pepper").unwrap();
        assert_eq!(nobody, Secret::of_nobody("a", b"pepper").unwrap());
        assert_ne!(nobody, Secret::of_nobody("b", b"pepper").unwrap());
        assert_eq!(nobody.is_of(b""), Ok(false));
    }
}
