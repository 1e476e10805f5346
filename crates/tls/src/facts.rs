//! What a completed handshake proved, read off the library's session.

use mail::tls_facts::{PeerCertificate, Signature, TlsFacts, Trust};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{HasPublic, Id, PKeyRef};
use openssl::ssl::{NameType, SslRef};
use openssl::x509::{X509NameRef, X509Ref};

use crate::ffi::{self, Side};
use crate::{fingerprint, trust};

/// What the reader of a session has to know besides the session.
pub(crate) struct Reading {
    /// `server` or `client`: what the peer is.
    pub(crate) peer_role: &'static str,
    /// Digest for fingerprints.
    pub(crate) digest: MessageDigest,
    /// Was the peer asked for a certificate (servers only)?
    pub(crate) asked_ccert: bool,
    /// Is the name that the client sent worth telling (SNI maps are configured)?
    pub(crate) show_sni: bool,
}

/// Reads the facts. Trust is never more than `Trusted` here; `Verified` is for the policy to give.
pub(crate) fn read(ssl: &SslRef, reading: &Reading) -> TlsFacts {
    let certificate = ssl.peer_certificate();
    let cipher = ssl.current_cipher();
    let bits = cipher.map(|cipher| cipher.bits());
    let protocol = ssl.version_str().to_owned();
    let is_tls13 = protocol == "TLSv1.3";
    let untrusted_reason = certificate.as_ref().and_then(|_| trust::untrusted_reason(ssl, reading.peer_role));
    let trust = match (&certificate, &untrusted_reason) {
        (None, _) => Trust::Anonymous,
        (Some(_), Some(_)) => Trust::Untrusted,
        (Some(_), None) => Trust::Trusted,
    };
    let own_certificate = ssl.certificate();
    let (server, client) = match reading.peer_role {
        "client" => ((Side::Own, own_certificate), (Side::Peer, certificate.as_deref())),
        _ => ((Side::Peer, certificate.as_deref()), (Side::Own, own_certificate)),
    };
    // The library keeps what it signed in an earlier handshake; only a full one signs anew.
    let signature = |(side, certificate)| match is_tls13 && !ssl.session_reused() {
        true => read_signature(ssl, side, certificate),
        false => None,
    };
    TlsFacts {
        cipher: cipher.map(|cipher| cipher.name().to_owned()).unwrap_or_default(),
        used_bits: bits.as_ref().map_or(0, |bits| bits.secret as u32),
        algorithm_bits: bits.as_ref().map_or(0, |bits| bits.algorithm as u32),
        key_exchange: if is_tls13 { ffi::negotiated_group(ssl) } else { None },
        server_signature: signature(server),
        client_signature: signature(client),
        trust,
        peer: certificate.as_deref().map(|certificate| PeerCertificate {
            subject_cn: subject_name(certificate),
            issuer_cn: issuer_name(certificate),
            fingerprint: fingerprint::of_certificate(certificate, reading.digest),
            pubkey_fingerprint: fingerprint::of_public_key(certificate, reading.digest),
        }),
        untrusted_reason,
        asked_ccert: reading.asked_ccert,
        sni: if reading.show_sni { ssl.servername(NameType::HOST_NAME).map(str::to_owned) } else { None },
        resumed: ssl.session_reused(),
        protocol,
    }
}

fn read_signature(ssl: &SslRef, side: Side, certificate: Option<&X509Ref>) -> Option<Signature> {
    let kind = ffi::signature_type(ssl, side)?;
    let key = certificate.and_then(|certificate| certificate.public_key().ok());
    let algorithm = match Nid::from_raw(kind) {
        Nid::RSAENCRYPTION | Nid::RSASSAPSS => "RSA-PSS".to_owned(),
        Nid::X9_62_ID_ECPUBLICKEY => "ECDSA".to_owned(),
        other => other.short_name().unwrap_or("unknown").to_ascii_uppercase(),
    };
    Some(Signature {
        algorithm,
        key: key.as_deref().and_then(describe_key),
        digest: ffi::signature_digest(ssl, side)
            .and_then(|nid| Nid::from_raw(nid).short_name().ok())
            .map(str::to_owned),
    })
}

/// `2048 bits` or the curve; nothing for keys whose algorithm says it all.
fn describe_key<T: HasPublic>(key: &PKeyRef<T>) -> Option<String> {
    match key.id() {
        Id::RSA | Id::RSA_PSS | Id::DSA => Some(format!("{} bits", key.bits())),
        Id::EC => {
            let curve = key.ec_key().ok()?.group().curve_name()?;
            curve.short_name().ok().map(str::to_owned)
        }
        _ => None,
    }
}

/// The subject's common name, or its first DNS name where it has none.
fn subject_name(certificate: &X509Ref) -> String {
    if let Some(name) = entry(certificate.subject_name(), Nid::COMMONNAME) {
        return name;
    }
    let names = certificate.subject_alt_names();
    let dns = names.iter().flatten().find_map(|name| name.dnsname().map(clean));
    dns.unwrap_or_default()
}

/// The issuer's common name, or its organisation.
fn issuer_name(certificate: &X509Ref) -> String {
    let issuer = certificate.issuer_name();
    entry(issuer, Nid::COMMONNAME).or_else(|| entry(issuer, Nid::ORGANIZATIONNAME)).unwrap_or_default()
}

fn entry(name: &X509NameRef, nid: Nid) -> Option<String> {
    let entry = name.entries_by_nid(nid).next()?;
    entry.data().to_string().ok().map(|text| clean(&text))
}

/// Names come from strangers: control characters become `?`, and 255 characters are enough.
fn clean(text: &str) -> String {
    text.chars().take(255).map(|c| if c.is_control() { '?' } else { c }).collect()
}
