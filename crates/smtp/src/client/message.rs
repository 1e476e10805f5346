//! What the session has to know of a message before its content.

use mail::{Address, BodyType, Envelope, Recipient, Return, xtext};

use super::features::Features;
use super::options::Options;

/// One message for one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Sender and recipients, already rewritten for the outside (`smtp_generic_maps`).
    pub envelope: Envelope,
    /// Size of the message ([`mail::DataSize`]), for SIZE= and for the limit of the server. `None` when it is not known.
    pub size: Option<u64>,
    /// The content may be converted on its way to this server: then SIZE= might not be true, and is not sent.
    pub may_change: bool,
    /// What is known of the client that the message came from, for a server that takes XFORWARD: names of attributes and their
    /// values. Empty when it is not to be told (`smtp_send_xforward_command`).
    pub xforward: Vec<(&'static str, String)>,
    /// An address or a header needs SMTPUTF8, so that a server without it can not take the message. A message for
    /// which it was merely requested can.
    pub needs_smtputf8: bool,
}

impl Message {
    /// Is the envelope alone the question?
    pub(super) fn is_probe(&self) -> bool {
        self.envelope.purpose.is_probe()
    }

    /// `MAIL FROM:<...>` with every parameter that the server understands.
    pub(super) fn mail_command(&self, features: &Features, options: &Options, authenticated: bool) -> String {
        let envelope = &self.envelope;
        let mut line = format!("MAIL FROM:<{}>", written(&envelope.sender, options));
        if let Some(size) = self.size.filter(|_| features.size && !self.may_change) {
            line.push_str(&format!(" SIZE={size}"));
        }
        if features.eight_bit_mime {
            line.push_str(match envelope.body {
                BodyType::EightBitMime => " BODY=8BITMIME",
                BodyType::SevenBit => " BODY=7BIT",
                BodyType::Unspecified => "",
            });
        }
        if features.dsn {
            if let Some(envid) = envelope.envid.as_ref().filter(|envid| !envid.is_empty()) {
                line.push_str(&format!(" ENVID={}", xtext::encode(envid.as_bytes())));
            }
            // A bounce that comes back over a server without REQUIRETLS must not carry the content.
            let ret = match envelope.ret {
                _ if envelope.require_tls && !features.require_tls => Some(Return::Headers),
                ret => ret,
            };
            line.push_str(match ret {
                Some(Return::Full) => " RET=FULL",
                Some(Return::Headers) => " RET=HDRS",
                None => "",
            });
        }
        if features.smtputf8 && envelope.smtputf8 {
            line.push_str(" SMTPUTF8");
        }
        if features.require_tls && envelope.require_tls {
            line.push_str(" REQUIRETLS");
        }
        if options.send_dummy_mail_auth && authenticated {
            line.push_str(" AUTH=<>");
        }
        line
    }

    /// The XFORWARD commands for what the server takes of it (XFORWARD_README): the client's name and address, then the rest.
    pub(super) fn xforward_commands(&self, features: &Features) -> Vec<String> {
        let first = |name: &str| matches!(name, "NAME" | "ADDR" | "PORT");
        let command = |wanted: bool| {
            let offered = |name: &str| features.xforward.iter().any(|word| word == name);
            let words = self.xforward.iter().filter(|(name, _)| first(name) == wanted && offered(name));
            let words: String =
                words.map(|(name, value)| format!(" {name}={}", xtext::encode(value.as_bytes()))).collect();
            (!words.is_empty()).then(|| format!("XFORWARD{words}"))
        };
        [true, false].into_iter().filter_map(command).collect()
    }

    /// `RCPT TO:<...>` likewise. `at` is the recipient's index.
    pub(super) fn rcpt_command(&self, at: usize, features: &Features, options: &Options) -> String {
        let recipient = &self.envelope.recipients[at];
        let mut line = format!("RCPT TO:<{}>", written(&recipient.address, options));
        if !features.dsn {
            return line;
        }
        if let Some(orcpt) = original_recipient(recipient, self.envelope.smtputf8) {
            line.push_str(" ORCPT=");
            line.push_str(&orcpt);
        }
        let notify = recipient.notify;
        let words: Vec<_> = [
            (notify.never, "NEVER"),
            (notify.success, "SUCCESS"),
            (notify.failure, "FAILURE"),
            (notify.delay, "DELAY"),
        ]
        .into_iter()
        .filter_map(|(wanted, word)| wanted.then_some(word))
        .collect();
        if !words.is_empty() {
            line.push_str(" NOTIFY=");
            line.push_str(&words.join(","));
        }
        line
    }
}

fn written(address: &Address, options: &Options) -> String {
    if options.quote_envelope { address.to_external() } else { address.as_str().to_owned() }
}

/// ORCPT as it goes on the wire; made from the original address when the client gave none.
fn original_recipient(recipient: &Recipient, smtputf8: bool) -> Option<String> {
    let own = || {
        let original = &recipient.original;
        let kind = if smtputf8 && original.needs_smtputf8() { "utf-8" } else { "rfc822" };
        (!original.is_null()).then(|| format!("{kind};{}", original.to_external()))
    };
    let orcpt = recipient.orcpt.clone().filter(|orcpt| !orcpt.is_empty()).or_else(own)?;
    // RFC 6533 section 3: utf-8 addresses have an escaping of their own.
    let is_utf8 = orcpt.get(..6).is_some_and(|kind| kind.eq_ignore_ascii_case("utf-8;"));
    Some(if is_utf8 { unitext(&orcpt) } else { xtext::encode(orcpt.as_bytes()) })
}

/// `\x{HEX}` for everything but the printable ASCII characters that mean nothing here.
fn unitext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '+' | '=' | '\\' => out.push_str(&format!("\\x{{{:X}}}", c as u32)),
            '!'..='~' => out.push(c),
            c => out.push_str(&format!("\\x{{{:X}}}", c as u32)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use mail::Notify;

    use super::*;

    fn all_features() -> Features {
        Features {
            size: true,
            eight_bit_mime: true,
            dsn: true,
            smtputf8: true,
            require_tls: true,
            auth: vec!["PLAIN".into()],
            ..Features::default()
        }
    }

    fn message() -> Message {
        let mut recipient = Recipient::new(Address::internal("a b@example.com").unwrap());
        recipient.orcpt = Some("rfc822;x+y@example.org".into());
        recipient.notify = Notify { success: true, delay: true, ..Notify::default() };
        Message {
            envelope: Envelope {
                sender: Address::internal("me@example.org").unwrap(),
                recipients: vec![recipient],
                body: BodyType::EightBitMime,
                smtputf8: true,
                ret: Some(Return::Full),
                envid: Some("id=1".into()),
                require_tls: true,
                verp: None,
                purpose: mail::Purpose::Delivery,
                ..Envelope::default()
            },
            size: Some(99),
            may_change: false,
            xforward: Vec::new(),
            needs_smtputf8: false,
        }
    }

    #[test]
    fn parameters_are_sent_to_servers_that_know_them() {
        let options = Options { send_dummy_mail_auth: true, ..Options::default() };
        let message = message();
        assert_eq!(
            message.mail_command(&all_features(), &options, true),
            "MAIL FROM:<me@example.org> SIZE=99 BODY=8BITMIME ENVID=id+3D1 RET=FULL SMTPUTF8 REQUIRETLS AUTH=<>"
        );
        assert_eq!(
            message.rcpt_command(0, &all_features(), &options),
            "RCPT TO:<\"a b\"@example.com> ORCPT=rfc822;x+2By@example.org NOTIFY=SUCCESS,DELAY"
        );
        assert_eq!(message.mail_command(&Features::default(), &options, false), "MAIL FROM:<me@example.org>");
        let changing = Message { may_change: true, ..message.clone() };
        assert!(!changing.mail_command(&all_features(), &options, false).contains(" SIZE="));
        assert_eq!(message.rcpt_command(0, &Features::default(), &options), "RCPT TO:<\"a b\"@example.com>");
    }

    #[test]
    fn the_client_is_told_to_filters_that_want_it() {
        let message = Message {
            xforward: vec![("NAME", "a b".into()), ("ADDR", "192.0.2.1".into()), ("PROTO", "ESMTP".into())],
            ..message()
        };
        let offering = |words: &[&str]| Features {
            xforward: words.iter().map(|word| (*word).to_owned()).collect(),
            ..Features::default()
        };
        for (words, expected) in [
            (
                &["NAME", "ADDR", "PROTO", "HELO"][..],
                &["XFORWARD NAME=a+20b ADDR=192.0.2.1", "XFORWARD PROTO=ESMTP"][..],
            ),
            (&["PROTO"], &["XFORWARD PROTO=ESMTP"]),
            (&[], &[]),
        ] {
            assert_eq!(message.xforward_commands(&offering(words)), expected);
        }
    }

    #[test]
    fn content_does_not_come_back_over_servers_without_requiretls() {
        let features = Features { dsn: true, ..Features::default() };
        assert!(message().mail_command(&features, &Options::default(), false).ends_with(" RET=HDRS"));
    }

    #[test]
    fn original_recipients_are_made_and_escaped() {
        for (original, orcpt, smtputf8, expected) in [
            ("a@b", None, false, Some("rfc822;a@b")),
            ("\u{fc}@b", None, true, Some("utf-8;\\x{FC}@b")),
            ("a@b", Some("utf-8;c+\u{fc}@d"), true, Some("utf-8;c\\x{2B}\\x{FC}@d")),
            ("", None, false, None),
        ] {
            let mut recipient = Recipient::new(Address::internal(original).unwrap());
            recipient.orcpt = orcpt.map(str::to_owned);
            assert_eq!(original_recipient(&recipient, smtputf8).as_deref(), expected);
        }
    }
}
