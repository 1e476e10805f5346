//! Keys of session tickets (RFC 5077; RFC 8446 section 4.6.1; postconf(5), tls_session_ticket_cipher): made here, kept in memory
//! only, changed often.
//!
//! A key encrypts for half of smtpd_tls_session_cache_timeout and decrypts for another half, as in Postfix. Whoever steals the
//! memory of a process can read the sessions of that time and no others.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openssl::cipher::{Cipher, CipherRef};
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::rand::rand_bytes;
use openssl::ssl::{SslContext, SslContextBuilder, SslContextRef};

use crate::ffi;

/// One key.
pub(crate) struct TicketKey {
    /// Stands in front of each ticket.
    pub(crate) name: [u8; 16],
    pub(crate) cipher_key: Vec<u8>,
    pub(crate) mac_key: [u8; 32],
    /// Until then it encrypts; for as long again it decrypts.
    expires: SystemTime,
}

impl TicketKey {
    /// The end of its encrypting life, in seconds of the epoch, for the log.
    pub(crate) fn expiration(&self) -> u64 {
        self.expires.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }
}

/// The keys of one service.
pub(crate) struct TicketKeys {
    cipher: Cipher,
    /// Half of smtpd_tls_session_cache_timeout.
    half: Duration,
    /// The youngest last.
    keys: Mutex<[Option<Arc<TicketKey>>; 2]>,
}

impl TicketKeys {
    /// Keys for tickets of `cipher`, which live for `timeout`. The error is in Postfix's words; there are no tickets then.
    pub(crate) fn new(cipher: &str, timeout: Duration) -> Result<TicketKeys, String> {
        let invalid =
            || format!("tls_session_ticket_cipher: invalid value: {cipher}; session tickets disabled");
        if cipher.contains('\0') {
            return Err(invalid());
        }
        let fetched = Cipher::fetch(None, cipher, None).map_err(|_| invalid())?;
        let is_cbc = fetched.nid().short_name().is_ok_and(|name| name.ends_with("-CBC"));
        if !is_cbc || fetched.iv_length() != 16 || !(16..=32).contains(&fetched.key_length()) {
            return Err(invalid());
        }
        Ok(TicketKeys { cipher: fetched, half: timeout / 2, keys: Mutex::default() })
    }

    /// The cipher that the keys are for.
    pub(crate) fn cipher(&self) -> &CipherRef {
        &self.cipher
    }

    /// The key for a new ticket.
    pub(crate) fn to_encrypt(&self, now: SystemTime) -> Result<Arc<TicketKey>, ErrorStack> {
        let mut keys = self.lock();
        match &keys[1] {
            Some(key) if now < key.expires => Ok(Arc::clone(key)),
            _ => {
                let key = Arc::new(self.make(now)?);
                keys[0] = keys[1].replace(Arc::clone(&key));
                Ok(key)
            }
        }
    }

    /// The key that a ticket was made with, while it may still be used, and whether it is time for a new ticket.
    pub(crate) fn to_decrypt(&self, name: &[u8; 16], now: SystemTime) -> Option<(Arc<TicketKey>, bool)> {
        let keys = self.lock();
        let key = keys.iter().flatten().find(|key| key.name == *name)?;
        (now < key.expires + self.half).then(|| (Arc::clone(key), now >= key.expires))
    }

    fn make(&self, now: SystemTime) -> Result<TicketKey, ErrorStack> {
        let mut key = TicketKey {
            name: [0; 16],
            cipher_key: vec![0; self.cipher.key_length()],
            mac_key: [0; 32],
            expires: now + self.half,
        };
        rand_bytes(&mut key.name)?;
        rand_bytes(&mut key.cipher_key)?;
        rand_bytes(&mut key.mac_key)?;
        Ok(key)
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Arc<TicketKey>>; 2]> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn index() -> Option<Index<SslContext, Arc<TicketKeys>>> {
    static INDEX: OnceLock<Option<Index<SslContext, Arc<TicketKeys>>>> = OnceLock::new();
    *INDEX.get_or_init(|| SslContext::new_ex_index().ok())
}

/// Lets a context make its tickets with these keys, which outlive it.
pub(super) fn install(context: &mut SslContextBuilder, keys: &Arc<TicketKeys>) {
    if let Some(index) = index() {
        context.set_ex_data(index, Arc::clone(keys));
        ffi::use_ticket_keys(context);
    }
}

/// The keys of a context, for the library's callback.
pub(crate) fn of(context: &SslContextRef) -> Option<&Arc<TicketKeys>> {
    index().and_then(|index| context.ex_data(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_encrypt_for_half_and_decrypt_for_another_half() {
        let keys = TicketKeys::new("aes-256-cbc", Duration::from_secs(3600)).unwrap();
        let start = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let first = keys.to_encrypt(start).unwrap();
        assert_eq!(first.expiration(), 1_001_800);
        assert_eq!(keys.to_encrypt(at(1799)).unwrap().name, first.name);
        let second = keys.to_encrypt(at(1800)).unwrap();
        assert_ne!(second.name, first.name);
        for (name, seconds, expected) in [
            (&first.name, 1799, Some(false)),
            (&first.name, 1800, Some(true)),
            (&first.name, 3599, Some(true)),
            (&first.name, 3600, None),
            (&second.name, 3500, Some(false)),
            (&[0; 16], 1, None),
        ] {
            let found = keys.to_decrypt(name, at(seconds)).map(|(_, renew)| renew);
            assert_eq!(found, expected, "after {seconds}");
        }
        let third = keys.to_encrypt(at(4000)).unwrap();
        assert!(keys.to_decrypt(&first.name, at(100)).is_none(), "only two are kept");
        assert!(keys.to_decrypt(&third.name, at(4000)).is_some());
    }

    #[test]
    fn only_ciphers_that_fit_a_ticket() {
        for (cipher, fits) in [
            ("aes-256-cbc", true),
            ("AES-128-CBC", true),
            ("aes-256-gcm", false),
            ("des-ede3-cbc", false),
            ("nosuch", false),
            ("a\0b", false),
        ] {
            let made = TicketKeys::new(cipher, Duration::from_secs(3600));
            assert_eq!(made.is_ok(), fits, "{cipher}");
            if let Err(why) = made {
                assert!(why.starts_with("tls_session_ticket_cipher: invalid value: "), "{why}");
            }
        }
    }
}
