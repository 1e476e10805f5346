//! What ties a login to the connection that it is made over (RFC 5056): `tls-exporter` (RFC 9266), `tls-unique` and
//! `tls-server-end-point` (RFC 5929). Whoever relays a login between two connections has other values on each.
//!
//! Before TLS 1.3 there are such values only with the extended master secret (RFC 7627): without it two connections can be made to have
//! the same.

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::{SslRef, SslVersion};

use crate::ffi;
use crate::stream::Secured;

/// A connection that can say what ties to it.
pub trait Bound {
    /// The values that both ends know now.
    fn bindings(&self) -> Bindings;
}

impl<S> Bound for Secured<S> {
    fn bindings(&self) -> Bindings {
        Bindings::of_server(self.ssl())
    }
}

/// The values of one connection, each by its registered name.
#[derive(Clone, PartialEq, Eq)]
pub struct Bindings(Vec<(&'static str, Vec<u8>)>);

/// Not shown in any log.
impl std::fmt::Debug for Bindings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Bindings {
    /// Those of a server's session; none where a client that tried would be let down, or deceived.
    fn of_server(ssl: &SslRef) -> Bindings {
        let is_tls13 = ssl.version2() == Some(SslVersion::TLS1_3);
        if !is_tls13 && !ffi::has_extended_master_secret(ssl) {
            return Bindings(Vec::new());
        }
        let values = [
            ("tls-exporter", exporter(ssl)),
            ("tls-unique", if is_tls13 { None } else { Some(unique(ssl)) }),
            ("tls-server-end-point", server_end_point(ssl)),
        ];
        Bindings(values.into_iter().filter_map(|(name, data)| data.map(|data| (name, data))).collect())
    }

    /// Values that somebody else knows.
    pub fn of(values: Vec<(&'static str, Vec<u8>)>) -> Bindings {
        Bindings(values)
    }

    /// Is there any?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a type.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(own, _)| *own == name).map(|(_, data)| data.as_slice())
    }
}

/// RFC 9266 section 2.
fn exporter(ssl: &SslRef) -> Option<Vec<u8>> {
    let mut data = vec![0; 32];
    ssl.export_keying_material(&mut data, "EXPORTER-Channel-Binding", Some(b"")).ok()?;
    Some(data)
}

/// RFC 5929 section 3.1: the first Finished message, which the client sends unless a session is resumed.
fn unique(ssl: &SslRef) -> Vec<u8> {
    let mut data = vec![0; 64];
    let length = match ssl.session_reused() {
        true => ssl.finished(&mut data),
        false => ssl.peer_finished(&mut data),
    };
    data.truncate(length);
    data
}

/// RFC 5929 section 4.1: the digest that the certificate was signed with, SHA-256 in place of MD5 and SHA-1. Signatures without a digest
/// have no such value. A resumed session may be another certificate's than the one that is loaded now.
fn server_end_point(ssl: &SslRef) -> Option<Vec<u8>> {
    if ssl.session_reused() {
        return None;
    }
    let certificate = ssl.certificate()?;
    let digest = certificate.signature_algorithm().object().nid().signature_algorithms()?.digest;
    let digest = match digest {
        Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
        other => MessageDigest::from_nid(other)?,
    };
    certificate.digest(digest).ok().map(|data| data.to_vec())
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode};
    use openssl::x509::X509;
    use testkit::authority::{Authority, KeyKind};
    use tokio_openssl::SslStream;

    use super::*;

    /// Both ends of a connection of this version.
    async fn ends(
        kind: KeyKind,
        version: SslVersion,
    ) -> (SslStream<tokio::io::DuplexStream>, Bindings, Vec<u8>) {
        let issued = Authority::new("Bindings").issue("server.test", kind);
        let certificate = X509::from_pem(issued.certificate_pem.as_bytes()).unwrap();
        let mut server = SslContext::builder(SslMethod::tls_server()).unwrap();
        server.set_certificate(&certificate).unwrap();
        let key = openssl::pkey::PKey::private_key_from_pem(issued.key_pem.as_bytes()).unwrap();
        server.set_private_key(&key).unwrap();
        server.set_max_proto_version(Some(version)).unwrap();
        let mut client = SslContext::builder(SslMethod::tls_client()).unwrap();
        client.set_verify(SslVerifyMode::NONE);
        let (near, far) = tokio::io::duplex(65_536);
        let mut server = SslStream::new(Ssl::new(&server.build()).unwrap(), near).unwrap();
        let mut client = SslStream::new(Ssl::new(&client.build()).unwrap(), far).unwrap();
        let (one, other) = tokio::join!(Pin::new(&mut server).accept(), Pin::new(&mut client).connect());
        one.unwrap();
        other.unwrap();
        let bindings = Bindings::of_server(server.ssl());
        let hash = client.ssl().peer_certificate().unwrap().digest(MessageDigest::sha256()).unwrap().to_vec();
        (client, bindings, hash)
    }

    #[tokio::test]
    async fn both_ends_know_the_same() {
        let (client, bindings, hash) = ends(KeyKind::EcdsaP256, SslVersion::TLS1_3).await;
        let mut theirs = [0; 32];
        client.ssl().export_keying_material(&mut theirs, "EXPORTER-Channel-Binding", Some(b"")).unwrap();
        assert_eq!(bindings.get("tls-exporter"), Some(&theirs[..]));
        assert_eq!(bindings.get("tls-server-end-point"), Some(&hash[..]));
        assert_eq!(bindings.get("tls-unique"), None);
        assert_eq!(format!("{bindings:?}"), r#"["tls-exporter", "tls-server-end-point"]"#);
        let (_, other, _) = ends(KeyKind::EcdsaP256, SslVersion::TLS1_3).await;
        assert_ne!(other.get("tls-exporter"), Some(&theirs[..]), "another connection has another value");
        let (client, older, hash) = ends(KeyKind::Rsa2048, SslVersion::TLS1_2).await;
        client.ssl().export_keying_material(&mut theirs, "EXPORTER-Channel-Binding", Some(b"")).unwrap();
        assert_eq!(older.get("tls-exporter"), Some(&theirs[..]));
        let length = client.ssl().finished(&mut theirs);
        assert_eq!(older.get("tls-unique"), Some(&theirs[..length]));
        assert_eq!(older.get("tls-server-end-point"), Some(&hash[..]));
    }
}
