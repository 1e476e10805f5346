//! The macros that Milters are told with each command (MILTER_README, "Milter macros").

use std::collections::HashMap;

use mail::ClientFacts;
use mail::tls_facts::Trust;

use super::protocol::Command;
use super::settings::{self, MacroLists};

/// What is known at the moment.
pub(super) struct Values<'a> {
    pub(super) lists: &'a MacroLists,
    pub(super) known: &'a HashMap<&'static str, String>,
}

impl Values<'_> {
    /// Names and values for a command, of the list that the Milter chose or of the settings'. What has no value is left out.
    pub(super) fn of_command(&self, command: Command, chosen: Option<&str>) -> Vec<(String, String)> {
        let own;
        let names: &[String] = match chosen {
            Some(text) => {
                own = settings::names(text);
                &own
            }
            None => self.lists.lists.get(&command).map_or(&[], Vec::as_slice),
        };
        names.iter().filter_map(|name| Some((name.clone(), self.value(name)?))).collect()
    }

    fn value(&self, name: &str) -> Option<String> {
        let known = match name {
            "j" => Some(&self.lists.hostname),
            "v" => Some(&self.lists.version),
            "{daemon_name}" => Some(&self.lists.daemon_name),
            _ => self.known.get(name),
        };
        known.or_else(|| self.lists.defaults.get(name)).cloned()
    }
}

/// What a connection and a HELO tell. Values that went away, such as those of TLS, go.
pub(super) fn of_client(client: &ClientFacts) -> HashMap<&'static str, String> {
    let mut known = HashMap::new();
    let address = client.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    known.insert("_", format!("{} [{address}]", client.name));
    known.insert("{client_addr}", address);
    known.insert("{client_name}", client.name.clone());
    known.insert("{client_port}", client.port.to_string());
    known.insert("{client_ptr}", client.reverse_name.clone());
    known.insert("{client_resolve}", resolve_word(client).to_owned());
    if let Some((address, port)) = client.server {
        known.insert("{daemon_addr}", address.to_string());
        known.insert("{daemon_port}", port.to_string());
    }
    if let Some(tls) = &client.tls {
        known.insert("{tls_version}", tls.protocol.clone());
        known.insert("{cipher}", tls.cipher.clone());
        known.insert("{cipher_bits}", tls.used_bits.to_string());
        if let Some(sni) = &tls.sni {
            known.insert("{tls_sni}", sni.clone());
        }
        // A name in a certificate that nobody vouches for is no name.
        if let Some(peer) = tls.peer.as_ref().filter(|_| tls.trust >= Trust::Trusted) {
            known.insert("{cert_subject}", peer.subject_cn.clone());
            known.insert("{cert_issuer}", peer.issuer_cn.clone());
        }
    }
    if let Some(sasl) = &client.sasl {
        known.insert("{auth_type}", sasl.method.clone());
        known.insert("{auth_authen}", sasl.username.clone());
        if let Some(sender) = &sasl.sender {
            known.insert("{auth_author}", sender.clone());
        }
    }
    known
}

/// Sendmail's words.
fn resolve_word(client: &ClientFacts) -> &'static str {
    match () {
        () if client.name != "unknown" => "OK",
        () if client.name_lookup_failed => "TEMP",
        () if client.reverse_name != "unknown" => "FORGED",
        () => "FAIL",
    }
}

#[cfg(test)]
mod tests {
    use mail::client::SaslFacts;

    use super::*;

    fn lists(of_mail: &str) -> MacroLists {
        MacroLists {
            lists: [(Command::Mail, settings::names(of_mail))].into(),
            defaults: [("{mood}".to_owned(), "fair".to_owned())].into(),
            hostname: "mx.test".into(),
            daemon_name: "daemon".into(),
            version: "1".into(),
        }
    }

    #[test]
    fn what_is_unknown_is_left_out() {
        let lists = lists("i j {auth_authen} mood {tls_version}, client_addr");
        let mut client = ClientFacts::new(Some("192.0.2.1".parse().unwrap()), 1025, None);
        client.sasl = Some(SaslFacts { method: "PLAIN".into(), username: "user".into(), sender: None });
        let known = of_client(&client);
        let values = Values { lists: &lists, known: &known };
        let pairs = |list: &[(&str, &str)]| -> Vec<(String, String)> {
            list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(
            values.of_command(Command::Mail, None),
            pairs(&[
                ("j", "mx.test"),
                ("{auth_authen}", "user"),
                ("{mood}", "fair"),
                ("{client_addr}", "192.0.2.1")
            ])
        );
        assert_eq!(values.of_command(Command::Helo, None), pairs(&[]));
        assert_eq!(
            values.of_command(Command::Helo, Some("v _")),
            pairs(&[("v", "1"), ("_", "unknown [192.0.2.1]")])
        );
    }
}
