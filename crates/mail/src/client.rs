//! What is known of the client of a receiving session: one object for access control, the Received: header,
//! policy attributes, milter macros and the log.

use std::fmt::Write;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::tls_facts::TlsFacts;

/// Facts about one client. Names hold `unknown` where nothing was found, as Postfix shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFacts {
    /// Verified name: address to name to the same address. `unknown` otherwise.
    pub name: String,
    /// The unverified reverse name, or `unknown`.
    pub reverse_name: String,
    /// True when a name lookup failed for the moment, so that a refusal because of it is a 4xx.
    pub name_lookup_failed: bool,
    /// `None` for mail from this machine's sendmail command.
    pub address: Option<IpAddr>,
    /// The client's TCP port; 0 when unknown.
    pub port: u16,
    /// The local end of the connection.
    pub server: Option<(IpAddr, u16)>,
    /// The HELO or EHLO name, once given.
    pub helo: Option<String>,
    /// True after EHLO.
    pub esmtp: bool,
    /// What the handshake proved; `None` in plaintext.
    pub tls: Option<TlsFacts>,
    /// The authenticated user.
    pub sasl: Option<SaslFacts>,
    /// smtpd_client_port_logging: the port is part of how the client is named.
    #[serde(default)]
    pub port_logging: bool,
    /// What a filter before us says of the client behind it (XFORWARD), for one message.
    #[serde(default)]
    pub forwarded: Option<Box<Forwarded>>,
    /// Headers of its mail are rewritten as those of our own users (local_header_rewrite_clients); known once a message is.
    #[serde(default)]
    pub local: bool,
}

/// The client that a message came from before it went through a filter (XFORWARD_README). For the log, and for filters behind us:
/// nothing is decided by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarded {
    /// Something was said of the client itself, be it that it is not known.
    pub of_client: bool,
    /// Its verified name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: Option<u16>,
    /// Its HELO name.
    pub helo: Option<String>,
    /// SMTP or ESMTP.
    pub protocol: Option<String>,
    /// The message's id there.
    pub ident: Option<String>,
    /// Are its headers rewritten as those of our own users?
    pub local: Option<bool>,
}

impl Forwarded {
    /// `NAME[ADDR]`; the name alone where there is no address.
    pub fn name_address(&self) -> String {
        let name = self.name.as_deref().unwrap_or("unknown");
        match self.address {
            Some(address) => format!("{name}[{address}]"),
            None => name.to_owned(),
        }
    }
}

/// A successful AUTH.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SaslFacts {
    /// The mechanism, upper case.
    pub method: String,
    /// The authenticated name.
    pub username: String,
    /// `AUTH=` of MAIL FROM, when given.
    pub sender: Option<String>,
}

impl ClientFacts {
    /// A client that only has an address so far.
    pub fn new(address: Option<IpAddr>, port: u16, server: Option<(IpAddr, u16)>) -> Self {
        ClientFacts {
            name: "unknown".into(),
            reverse_name: "unknown".into(),
            name_lookup_failed: false,
            address,
            port,
            server,
            helo: None,
            esmtp: false,
            tls: None,
            sasl: None,
            forwarded: None,
            local: false,
            port_logging: false,
        }
    }

    /// `NAME[ADDR]`, the form that log analysers group by, or `NAME[ADDR]:PORT`.
    pub fn name_address(&self) -> String {
        // The longest address, its brackets and a port.
        let mut out = String::with_capacity(self.name.len() + 48);
        // Memory takes everything.
        let _ = match self.address {
            Some(address) => write!(out, "{}[{address}]", self.name),
            None => write!(out, "{}[unknown]", self.name),
        };
        let _ = match (self.port_logging, self.port) {
            (false, _) => Ok(()),
            (true, 0) => write!(out, ":unknown"),
            (true, port) => write!(out, ":{port}"),
        };
        out
    }

    /// The "with" word of Received: (RFC 3848, RFC 6531): SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, UTF8SMTP...
    /// Plain SMTP (HELO) never gets a suffix, as in Postfix.
    pub fn protocol(&self, smtputf8: bool) -> String {
        if !self.esmtp {
            return "SMTP".into();
        }
        let base = if smtputf8 { "UTF8SMTP" } else { "ESMTP" };
        let tls = if self.tls.is_some() { "S" } else { "" };
        let sasl = if self.sasl.is_some() { "A" } else { "" };
        format!("{base}{tls}{sasl}")
    }
}
