//! What one handshake proved, in words that need no TLS library: for Received:, the log, access control, milter
//! macros and policy attributes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first word of Postfix's summary line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Trust {
    /// The peer showed no certificate.
    Anonymous,
    /// A certificate came, but its chain or the match failed.
    Untrusted,
    /// The chain leads to an anchor that we trust.
    Trusted,
    /// Client side only: authenticated as the policy demands.
    Verified,
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Trust::Anonymous => "Anonymous",
            Trust::Untrusted => "Untrusted",
            Trust::Trusted => "Trusted",
            Trust::Verified => "Verified",
        })
    }
}

/// One side's signature in a TLS 1.3 handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// `RSA-PSS`, `ECDSA`, `ED25519`...
    pub algorithm: String,
    /// The curve, or `2048 bits`; shown in parentheses.
    pub key: Option<String>,
    /// `SHA256`; absent for EdDSA.
    pub digest: Option<String>,
}

/// The peer's certificate, reduced to what others may read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCertificate {
    /// Subject CN, or a validated SAN when there is no CN. Cleaned of control and non-ASCII characters.
    pub subject_cn: String,
    /// Issuer CN, or O when there is no CN. Cleaned likewise.
    pub issuer_cn: String,
    /// Digest of the certificate, upper-case hexadecimal with colons.
    pub fingerprint: String,
    /// Digest of the public key, same form.
    pub pubkey_fingerprint: String,
}

/// One completed handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub protocol: String,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// Bits used.
    pub used_bits: u32,
    /// Bits of the algorithm.
    pub algorithm_bits: u32,
    /// Key exchange group as the library names it, with its curve or size; TLS 1.3 only.
    pub key_exchange: Option<String>,
    /// The server's signature; TLS 1.3 and not resumed.
    pub server_signature: Option<Signature>,
    /// The client's signature, likewise.
    pub client_signature: Option<Signature>,
    /// Whether and how the peer was authenticated.
    pub trust: Trust,
    /// The peer's certificate, when it showed one.
    pub peer: Option<PeerCertificate>,
    /// Why the peer is not trusted, in Postfix's words, when it is not.
    pub untrusted_reason: Option<String>,
    /// True when a client certificate was asked for (`smtpd_tls_ask_ccert`); chooses the words in Received:.
    pub asked_ccert: bool,
    /// The server name that the client sent and that selected a certificate.
    pub sni: Option<String>,
    /// True for an abbreviated handshake.
    pub resumed: bool,
}

impl TlsFacts {
    /// `TLSv1.3 with cipher X (256/256 bits)[ key-exchange ...]`: the tail of the summary line in Postfix's form.
    pub fn summary(&self) -> String {
        let mut out = format!(
            "{} with cipher {} ({}/{} bits)",
            self.protocol, self.cipher, self.used_bits, self.algorithm_bits
        );
        if let Some(key_exchange) = &self.key_exchange {
            out.push_str(" key-exchange ");
            out.push_str(key_exchange);
        }
        for (side, signature) in self.signatures() {
            out.push_str(&signature.describe(side));
        }
        out
    }

    /// The signatures there are, server first.
    fn signatures(&self) -> impl Iterator<Item = (&'static str, &Signature)> {
        let server = self.server_signature.as_ref().map(|s| ("server", s));
        let client = self.client_signature.as_ref().map(|s| ("client", s));
        server.into_iter().chain(client)
    }

    /// The comment lines of Received:, each beginning with a tab and without a line end; see tests for the shapes.
    pub fn received_comments(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut first = format!(
            "\t(using {} with cipher {} ({}/{} bits)",
            self.protocol, self.cipher, self.used_bits, self.algorithm_bits
        );
        // Continuations inside one comment begin with a tab and a blank, and each signature has a line.
        if let Some(key_exchange) = &self.key_exchange {
            lines.push(std::mem::take(&mut first));
            first = format!("\t key-exchange {key_exchange}");
            if let Some(server) = &self.server_signature {
                first.push_str(&server.describe("server"));
            }
            if let Some(client) = &self.client_signature {
                lines.push(std::mem::take(&mut first));
                first = format!("\t{}", client.describe("client"));
            }
        }
        first.push(')');
        lines.push(first);
        lines.push(match &self.peer {
            Some(peer) => format!(
                "\t(Client CN \"{}\", Issuer \"{}\" ({}))",
                comment_safe(&peer.subject_cn),
                comment_safe(&peer.issuer_cn),
                if self.trust >= Trust::Trusted { "verified OK" } else { "not verified" }
            ),
            None if self.asked_ccert => "\t(Client did not present a certificate)".into(),
            None => "\t(No client certificate requested)".into(),
        });
        lines
    }
}

impl Signature {
    /// ` server-signature RSA-PSS (2048 bits) server-digest SHA256`.
    fn describe(&self, side: &str) -> String {
        let mut out = format!(" {side}-signature {}", self.algorithm);
        if let Some(key) = &self.key {
            out.push_str(&format!(" ({key})"));
        }
        if let Some(digest) = &self.digest {
            out.push_str(&format!(" {side}-digest {digest}"));
        }
        out
    }
}

/// Makes a certificate's name harmless inside a header comment: non-ASCII, control characters and backslashes
/// become `?`, and so does a parenthesis that closes nothing; those that stay open are closed at the end.
fn comment_safe(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut open = 0_usize;
    for c in name.chars() {
        out.push(match c {
            '\\' => '?',
            '(' => {
                open += 1;
                c
            }
            ')' if open == 0 => '?',
            ')' => {
                open -= 1;
                c
            }
            ' '..='~' => c,
            _ => '?',
        });
    }
    out.extend(std::iter::repeat_n(')', open));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls13() -> TlsFacts {
        TlsFacts {
            protocol: "TLSv1.3".into(),
            cipher: "TLS_AES_256_GCM_SHA384".into(),
            used_bits: 256,
            algorithm_bits: 256,
            key_exchange: Some("x25519".into()),
            server_signature: Some(Signature {
                algorithm: "RSA-PSS".into(),
                key: Some("2048 bits".into()),
                digest: Some("SHA256".into()),
            }),
            client_signature: None,
            trust: Trust::Anonymous,
            peer: None,
            untrusted_reason: None,
            asked_ccert: false,
            sni: None,
            resumed: false,
        }
    }

    #[test]
    fn received_shapes_seen_on_postfix() {
        let mut facts = tls13();
        assert_eq!(
            facts.received_comments(),
            [
                "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
                "\t key-exchange x25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)",
                "\t(No client certificate requested)",
            ]
        );
        facts.client_signature = facts.server_signature.clone();
        facts.trust = Trust::Trusted;
        facts.peer = Some(PeerCertificate {
            subject_cn: "client.example.test".into(),
            issuer_cn: "Test CA".into(),
            fingerprint: String::new(),
            pubkey_fingerprint: String::new(),
        });
        assert_eq!(
            facts.received_comments()[1..],
            [
                "\t key-exchange x25519 server-signature RSA-PSS (2048 bits) server-digest SHA256",
                "\t client-signature RSA-PSS (2048 bits) client-digest SHA256)",
                "\t(Client CN \"client.example.test\", Issuer \"Test CA\" (verified OK))",
            ]
        );
        let old = TlsFacts {
            protocol: "TLSv1.2".into(),
            key_exchange: None,
            server_signature: None,
            asked_ccert: true,
            ..tls13()
        };
        assert_eq!(
            old.received_comments(),
            [
                "\t(using TLSv1.2 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))",
                "\t(Client did not present a certificate)",
            ]
        );
    }

    #[test]
    fn summary_line() {
        assert_eq!(
            tls13().summary(),
            "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits) key-exchange x25519 \
             server-signature RSA-PSS (2048 bits) server-digest SHA256"
        );
    }

    #[test]
    fn a_name_can_not_break_out_of_its_comment() {
        for (name, safe) in
            [("a(b)c", "a(b)c"), ("a)b", "a?b"), ("a(b", "a(b)"), (")(", "?()"), ("a\\b\u{e9}\n", "a?b??")]
        {
            assert_eq!(comment_safe(name), safe);
        }
    }
}
