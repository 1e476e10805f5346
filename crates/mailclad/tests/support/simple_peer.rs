//! A mail server with a certificate, which takes everything: [`ScriptedPeer`] with the shortest script.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // as in mod.rs

use testkit::authority::Issued;

use super::peer::{Script, ScriptedPeer};

/// The server; it ends with this value.
pub struct Peer {
    server: ScriptedPeer,
    _pem: tempfile::NamedTempFile,
}

impl Peer {
    /// Listens at an address of loopback. Without a certificate STARTTLS is not offered. `inside`: a keyword of the EHLO reply inside TLS,
    /// or nothing.
    pub fn start(address: &str, port: u16, issued: Option<&Issued>, inside: &str) -> Peer {
        let pem = tempfile::NamedTempFile::new().unwrap();
        let script = match issued {
            None => "offer DSN, 8BITMIME".to_owned(),
            Some(issued) => {
                std::fs::write(pem.path(), format!("{}{}", issued.certificate_pem, issued.key_pem)).unwrap();
                let file = pem.path().display();
                format!("offer STARTTLS, DSN, 8BITMIME\ntls:offer {inside}, DSN, 8BITMIME\ntls {file}")
            }
        };
        let script = Script::parse(&script).unwrap();
        Peer { server: ScriptedPeer::start(address, port, script), _pem: pem }
    }

    /// All that was said to it.
    pub fn heard(&self) -> Vec<String> {
        self.server.heard()
    }

    /// Did this come in the clear?
    pub fn heard_in_the_clear(&self, part: &str) -> bool {
        let mut secured = false;
        self.server.heard().iter().any(|line| {
            secured = (secured || line.starts_with("-- TLS")) && !line.starts_with("-- session");
            !secured && line.contains(part)
        })
    }

    /// The first line inside TLS with this beginning.
    pub fn line(&self, beginning: &str) -> Option<String> {
        let heard = self.server.heard();
        let inside = heard.iter().skip_while(|line| !line.starts_with("-- TLS"));
        inside.into_iter().find(|line| line.starts_with(beginning)).cloned()
    }
}
