//! The Received: header that each message gets (RFC 5321 section 4.4), in Postfix's shapes.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::SystemTime;

use config::{Settings, params};
use mail::{ClientFacts, Envelope, QueueId, date};

/// What the settings say about it.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// `myhostname`.
    pub(crate) hostname: String,
    /// `mail_name`.
    pub(crate) mail_name: String,
    /// `smtpd_tls_received_header`.
    pub(crate) tls: bool,
    /// `smtpd_sasl_authenticated_header`.
    pub(crate) sasl: bool,
    /// `smtpd_hide_client_session`: nothing is said of the client.
    pub(crate) hide_client: bool,
}

impl Received {
    /// From the settings of the service that receives.
    pub(crate) fn read(settings: &Settings) -> Received {
        Received {
            hostname: settings.get(params::myhostname).to_owned(),
            mail_name: settings.get(params::mail_name).to_owned(),
            tls: settings.get(params::smtpd_tls_received_header),
            sasl: settings.get(params::smtpd_sasl_authenticated_header),
            hide_client: settings.get(params::smtpd_hide_client_session),
        }
    }

    /// For mail of a network client, whose envelope is as the client gave it. Mail that is not queued here has no id.
    pub(crate) fn of_client(
        &self,
        client: &ClientFacts,
        envelope: &Envelope,
        id: Option<&QueueId>,
        now: SystemTime,
    ) -> String {
        if self.hide_client {
            return self.of_hidden_client(envelope, id, now);
        }
        let mut out = String::from("Received: from ");
        out.push_str(client.helo.as_deref().unwrap_or(&client.name));
        let address = address_of(client);
        // Writing to a String does not fail.
        let _ = writeln!(out, " ({} [{address}])", client.name);
        if let Some(facts) = client.tls.as_ref().filter(|_| self.tls) {
            for line in facts.received_comments() {
                out.push_str(&line);
                out.push('\n');
            }
        }
        if let Some(facts) = client.sasl.as_ref().filter(|_| self.sasl) {
            let _ = writeln!(out, "\t(Authenticated sender: {})", printable(&facts.username));
        }
        let Received { hostname, mail_name, .. } = self;
        let protocol = client.protocol(envelope.smtputf8);
        let _ = write!(out, "\tby {hostname} ({mail_name}) with {protocol}");
        if let Some(id) = id {
            let _ = write!(out, " id {id}");
        }
        let date = date::rfc5322(now);
        // Other recipients are nobody's business.
        let _ = match &envelope.recipients[..] {
            [only] => writeln!(out, "\n\tfor <{}>; {date}", only.address.to_external()),
            _ => writeln!(out, ";\n\t{date}"),
        };
        out
    }

    fn of_hidden_client(&self, envelope: &Envelope, id: Option<&QueueId>, now: SystemTime) -> String {
        let Received { hostname, mail_name, .. } = self;
        let id = id.map(|id| format!(" id {id}")).unwrap_or_default();
        let date = date::rfc5322(now);
        match &envelope.recipients[..] {
            [only] => format!(
                "Received: by {hostname} ({mail_name}){id}\n\tfor <{}>; {date}\n",
                only.address.to_external()
            ),
            _ => format!("Received: by {hostname} ({mail_name}){id};\n\t{date}\n"),
        }
    }

    /// For mail of a QMQP client.
    pub(crate) fn of_qmqp(
        &self,
        client: &ClientFacts,
        envelope: &Envelope,
        id: &QueueId,
        now: SystemTime,
    ) -> String {
        let Received { hostname, mail_name, .. } = self;
        let (name, date) = (&client.name, date::rfc5322(now));
        let address = address_of(client);
        let (before, after) = match &envelope.recipients[..] {
            [only] => (format!(" id {id}\n\tfor <{}>", only.address.to_external()), String::new()),
            _ => (String::new(), format!("\n\tid {id}")),
        };
        format!(
            "Received: from {name} ({name} [{address}])\n\tby {hostname} ({mail_name}) with QMQP{before}{after}; {date}\n"
        )
    }

    /// For mail that the system itself writes.
    pub(crate) fn of_internal(&self, id: &QueueId, now: SystemTime) -> String {
        let Received { hostname, mail_name, .. } = self;
        format!("Received: by {hostname} ({mail_name})\n\tid {id}; {}\n", date::rfc5322(now))
    }

    /// For mail of this machine's user.
    pub(crate) fn of_user(&self, uid: u32, id: &QueueId, now: SystemTime) -> String {
        let Received { hostname, mail_name, .. } = self;
        format!(
            "Received: by {hostname} ({mail_name}, from userid {uid})\n\tid {id}; {}\n",
            date::rfc5322(now)
        )
    }
}

/// As an address literal has it (RFC 5321 section 4.1.3).
fn address_of(client: &ClientFacts) -> String {
    match client.address {
        Some(IpAddr::V6(address)) => format!("IPv6:{address}"),
        Some(IpAddr::V4(address)) => address.to_string(),
        None => "unknown".into(),
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || "()\\".contains(c) { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use mail::{Address, Recipient};

    use super::*;

    fn without_date(header: String) -> String {
        let end = header.rfind([';', '\t']).unwrap();
        header[..end].to_owned()
    }

    #[test]
    fn shapes() {
        let received = Received {
            hide_client: false,
            hostname: "mx.example.test".into(),
            mail_name: "Postfix".into(),
            tls: true,
            sasl: true,
        };
        let id = QueueId::parse("ABCDEF12").unwrap();
        let recipient = |text: &str| Recipient::new(Address::internal(text).unwrap());
        let mut client = ClientFacts::new(Some("192.0.2.1".parse().unwrap()), 25, None);
        client.helo = Some("client.test".into());
        client.esmtp = true;
        let one = Envelope { recipients: vec![recipient("a b@x.test")], ..Envelope::default() };
        let two = Envelope { recipients: vec![recipient("a@x.test"), recipient("b@x.test")], ..one.clone() };
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(
            without_date(received.of_client(&client, &one, Some(&id), now)),
            "Received: from client.test (unknown [192.0.2.1])\n\
             \tby mx.example.test (Postfix) with ESMTP id ABCDEF12\n\tfor <\"a b\"@x.test>"
        );
        client.address = Some("2001:db8::1".parse().unwrap());
        client.name = "client.test".into();
        assert_eq!(
            without_date(received.of_client(&client, &two, Some(&id), now)),
            "Received: from client.test (client.test [IPv6:2001:db8::1])\n\
             \tby mx.example.test (Postfix) with ESMTP id ABCDEF12;\n"
        );
        assert!(received.of_user(7, &id, now).starts_with(
            "Received: by mx.example.test (Postfix, from userid 7)\n\tid ABCDEF12; Thu, 1 Jan 1970 "
        ));
    }
}
