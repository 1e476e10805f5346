//! OpenSSL's options (postconf(5), tls_ssl_options and tls_disable_workarounds): names or a hexadecimal mask.
//!
//! Bits that have no name in the `openssl` crate stand as numbers, with their name in ssl.h beside them.

use config::{Settings, params};
use openssl::ssl::{SslContextBuilder, SslMode, SslOptions};

use crate::Notice;

/// What tls_ssl_options may turn on.
const OPTIONS: &[(&str, u64)] = &[
    ("ENABLE_MIDDLEBOX_COMPAT", 1 << 20),
    ("LEGACY_SERVER_CONNECT", 1 << 2),
    ("NO_COMPRESSION", 1 << 17),
    ("NO_RENEGOTIATION", 1 << 30),
    ("NO_SESSION_RESUMPTION_ON_RENEGOTIATION", 1 << 16),
    ("NO_TICKET", 1 << 14),
    ("PRIORITIZE_CHACHA", 1 << 21),
];

/// What tls_disable_workarounds may turn off. Those of libraries long gone have no bit any more; their names are still
/// understood.
const WORKAROUNDS: &[(&str, u64)] = &[
    ("CRYPTOPRO_TLSEXT_BUG", 1 << 31),
    ("CVE-2005-2969", 0),
    ("CVE-2010-4180", 0),
    ("DONT_INSERT_EMPTY_FRAGMENTS", 1 << 11),
    ("LEGACY_SERVER_CONNECT", 1 << 2),
    ("MICROSOFT_BIG_SSLV3_BUFFER", 0),
    ("MICROSOFT_SESS_ID_BUG", 0),
    ("MSIE_SSLV2_RSA_PADDING", 0),
    ("NETSCAPE_CHALLENGE_BUG", 0),
    ("NETSCAPE_REUSE_CIPHER_CHANGE_BUG", 0),
    ("SAFARI_ECDHE_ECDSA_BUG", 1 << 6),
    ("SSLEAY_080_CLIENT_DH_BUG", 0),
    ("SSLREF2_REUSE_CERT_TYPE_BUG", 0),
    ("TLS_BLOCK_PADDING_BUG", 0),
    ("TLS_D5_BUG", 0),
    ("TLS_ROLLBACK_BUG", 1 << 23),
    ("TLSEXT_PADDING", 1 << 4),
];

/// Bits of a mask in tls_ssl_options that parameters of their own decide: versions, and whose order of ciphers counts.
const DEDICATED: u64 = (1 << 25) | (1 << 26) | (1 << 27) | (1 << 28) | (1 << 29) | (1 << 22);

/// SSL_OP_IGNORE_UNEXPECTED_EOF: many peers hang up without close_notify, and SMTP has ends of its own.
const IGNORE_UNEXPECTED_EOF: u64 = 1 << 7;

/// What holds for both sides whatever the settings say.
pub(crate) fn set_always(context: &mut SslContextBuilder) {
    // One read(2) for a record and what comes behind it, in place of two for each record: its header, then the rest.
    context.set_read_ahead(true);
    // An idle session gives its buffers back; a partial write may move, as the stream asks for it.
    context.set_mode(
        SslMode::RELEASE_BUFFERS | SslMode::ACCEPT_MOVING_WRITE_BUFFER | SslMode::ENABLE_PARTIAL_WRITE,
    );
    context.set_options(
        SslOptions::ALL
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::from_bits_retain(IGNORE_UNEXPECTED_EOF as _),
    );
}

/// tls_disable_workarounds, tls_ssl_options and tls_preempt_cipherlist.
pub(crate) fn set(context: &mut SslContextBuilder, settings: &Settings, notices: &mut Vec<Notice>) {
    let disabled =
        mask("tls_disable_workarounds", settings.get(params::tls_disable_workarounds), WORKAROUNDS, notices);
    let workarounds = SslOptions::ALL.bits();
    context.clear_options(SslOptions::from_bits_retain((disabled & workarounds) as _));
    let enabled = mask("tls_ssl_options", settings.get(params::tls_ssl_options), OPTIONS, notices);
    context.set_options(SslOptions::from_bits_retain(
        (enabled & !workarounds & !DEDICATED | enabled & named()) as _,
    ));
    if settings.get(params::tls_preempt_cipherlist) {
        context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    }
}

/// Does tls_ssl_options turn tickets off?
pub(crate) fn forbids_tickets(settings: &Settings) -> bool {
    mask("", settings.get(params::tls_ssl_options), OPTIONS, &mut Vec::new()) & (1 << 14) != 0
}

fn named() -> u64 {
    OPTIONS.iter().fold(0, |bits, (_, bit)| bits | bit)
}

fn mask(parameter: &str, text: &str, known: &[(&str, u64)], notices: &mut Vec<Notice>) -> u64 {
    let mut bits = 0;
    for word in config::list::split(text) {
        let hexadecimal = word.strip_prefix("0x").or_else(|| word.strip_prefix("0X"));
        let named = known.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, bit)| *bit);
        match hexadecimal.and_then(|digits| u64::from_str_radix(digits, 16).ok()).or(named) {
            Some(more) => bits |= more,
            None => notices.push(Notice(format!("unknown {parameter} value \"{word}\" in \"{text}\""))),
        }
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_masks() {
        for (text, known, expected, complaints) in [
            ("", OPTIONS, 0, 0),
            ("no_ticket, NO_COMPRESSION", OPTIONS, (1 << 14) | (1 << 17), 0),
            ("0x4000", OPTIONS, 1 << 14, 0),
            ("NO_TICKET nosuch 0xg", OPTIONS, 1 << 14, 2),
            ("CVE-2005-2969 TLSEXT_PADDING", WORKAROUNDS, 1 << 4, 0),
        ] {
            let mut notices = Vec::new();
            assert_eq!(mask("p", text, known, &mut notices), expected, "{text}");
            assert_eq!(notices.len(), complaints, "{text}");
        }
        let mut notices = Vec::new();
        mask("tls_ssl_options", "NOSUCH", OPTIONS, &mut notices);
        assert_eq!(notices[0].0, "unknown tls_ssl_options value \"NOSUCH\" in \"NOSUCH\"");
    }

    #[test]
    fn bits_are_those_of_the_library() {
        for (name, bit) in OPTIONS {
            let expected = match *name {
                "NO_TICKET" => SslOptions::NO_TICKET,
                "NO_COMPRESSION" => SslOptions::NO_COMPRESSION,
                "NO_RENEGOTIATION" => SslOptions::NO_RENEGOTIATION,
                "NO_SESSION_RESUMPTION_ON_RENEGOTIATION" => {
                    SslOptions::NO_SESSION_RESUMPTION_ON_RENEGOTIATION
                }
                "PRIORITIZE_CHACHA" => SslOptions::PRIORITIZE_CHACHA,
                "ENABLE_MIDDLEBOX_COMPAT" => SslOptions::ENABLE_MIDDLEBOX_COMPAT,
                _ => continue,
            };
            assert_eq!(*bit, expected.bits(), "{name}");
        }
    }
}
