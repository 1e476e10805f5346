//! What `$user`, `$home`, `$extension`... stand for in forward_path, mailbox_command, luser_relay and
//! command_execution_directory, and the same facts as the environment of commands (local(8)).

use std::borrow::Cow;

use config::expand::{ExpandError, Scope, expand};
use mail::{Address, Recipient};
use tables::address_search::split_extension;

use crate::environment::filtered;
use crate::in_hand::InHand;
use crate::user::User;

/// The facts about one local recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// The local part without its extension, in lower case.
    pub(crate) user: String,
    /// The whole local part, in lower case.
    pub(crate) local: String,
    /// Without the delimiter.
    pub(crate) extension: Option<String>,
    /// The delimiter found.
    pub(crate) delimiter: Option<char>,
    pub(crate) domain: String,
    pub(crate) recipient: String,
    pub(crate) home: Option<String>,
    pub(crate) shell: Option<String>,
}

impl Names {
    /// The facts that an address tells.
    pub(crate) fn of(address: &Address, delimiters: &str) -> Names {
        let local = address.local_part().to_lowercase();
        let (user, found) = match split_extension(&local, delimiters) {
            Some((user, found)) => (user.to_owned(), found),
            None => (local.clone(), ""),
        };
        let mut letters = found.chars();
        Names {
            user,
            delimiter: letters.next(),
            extension: (!found.is_empty()).then(|| letters.as_str().to_owned()),
            domain: address.domain().unwrap_or_default().to_owned(),
            recipient: address.as_str().to_owned(),
            local,
            home: None,
            shell: None,
        }
    }

    /// The same with what passwd(5) says.
    pub(crate) fn with(mut self, user: &User) -> Names {
        self.home = Some(user.home.clone());
        self.shell = Some(user.shell.clone());
        self
    }

    /// Expands `text`; in values, characters that are not in `allowed` become `_`.
    pub(crate) fn expand(&self, text: &str, allowed: &str) -> Result<String, ExpandError> {
        expand(text, &Filtered { names: self, allowed })
    }

    /// Expands text whose values need no filter: addresses.
    pub(crate) fn expand_address(&self, text: &str) -> Result<String, ExpandError> {
        let known = |name: &str| self.value(name).map(Cow::into_owned);
        expand(text, &Plain(known))
    }

    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        Some(match name {
            "user" => Cow::from(&self.user),
            "local" => Cow::from(&self.local),
            "domain" => Cow::from(&self.domain),
            "recipient" => Cow::from(&self.recipient),
            "home" => Cow::from(self.home.as_deref()?),
            "shell" => Cow::from(self.shell.as_deref()?),
            "extension" => Cow::from(self.extension.as_deref()?),
            "recipient_delimiter" => Cow::from(self.delimiter?.to_string()),
            _ => return None,
        })
    }

    /// The environment that commands get, without PATH and what export_environment names. Values are filtered.
    pub(crate) fn environment(
        &self,
        in_hand: &InHand,
        sender: &Address,
        recipient: &Recipient,
        allowed: &str,
    ) -> Vec<(String, String)> {
        let mut environment: Vec<(&str, String)> = vec![
            ("USER", self.user.clone()),
            ("LOGNAME", self.user.clone()),
            ("LOCAL", self.local.clone()),
            ("DOMAIN", self.domain.clone()),
            ("RECIPIENT", self.recipient.clone()),
            ("ORIGINAL_RECIPIENT", recipient.original.as_str().to_owned()),
            ("NEXTHOP", in_hand.next_hop.clone()),
            ("SENDER", sender.as_str().to_owned()),
        ];
        environment.extend(self.home.clone().map(|home| ("HOME", home)));
        environment.extend(self.shell.clone().map(|shell| ("SHELL", shell)));
        environment.extend(self.extension.clone().map(|extension| ("EXTENSION", extension)));
        for (name, ours) in [
            ("CLIENT_ADDRESS", "client_address"),
            ("CLIENT_HELO", "client_helo"),
            ("CLIENT_HOSTNAME", "client_hostname"),
            ("CLIENT_PROTOCOL", "client_protocol"),
            ("SASL_METHOD", "sasl_method"),
            ("SASL_SENDER", "sasl_sender"),
            ("SASL_USERNAME", "sasl_username"),
        ] {
            environment
                .extend(in_hand.client(ours).filter(|value| !value.is_empty()).map(|value| (name, value)));
        }
        environment.into_iter().map(|(name, value)| (name.to_owned(), filtered(&value, allowed))).collect()
    }
}

struct Filtered<'a> {
    names: &'a Names,
    allowed: &'a str,
}

impl Scope for Filtered<'_> {
    fn raw(&self, name: &str) -> Option<Cow<'_, str>> {
        self.names.value(name).map(|value| Cow::Owned(filtered(&value, self.allowed)))
    }

    fn recurses(&self, _name: &str) -> bool {
        false
    }
}

struct Plain<F>(F);

impl<F: Fn(&str) -> Option<String>> Scope for Plain<F> {
    fn raw(&self, name: &str) -> Option<Cow<'_, str>> {
        (self.0)(name).map(Cow::Owned)
    }

    // A recipient may be called `$home`: that is no name of ours.
    fn recurses(&self, _name: &str) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(address: &str) -> Names {
        let user = User {
            name: "joe".into(),
            uid: 1000,
            gid: 100,
            home: "/home/joe".into(),
            shell: "/bin/sh".into(),
        };
        Names::of(&Address::internal(address).unwrap(), "+").with(&user)
    }

    #[test]
    fn expansion() {
        const ALLOWED: &str = "+/.abcdefghijklmnopqrstuvwxyz@";
        for (address, text, expected) in [
            (
                "Joe+Lists@x.test",
                "$home/.forward${recipient_delimiter}${extension}",
                "/home/joe/.forward+lists",
            ),
            ("joe@x.test", "$home/.forward${recipient_delimiter}${extension}", "/home/joe/.forward"),
            ("joe+a/../b@x.test", "$home/$extension", "/home/joe/a/../b"),
            ("joe+$(id)@x.test", "$extension", "__id_"),
            ("joe+x@x.test", "${extension?yes}${extension:no} $user $local", "yes joe joe+x"),
            ("joe@x.test", "$recipient $shell $nothing", "joe@x.test /bin/sh "),
        ] {
            assert_eq!(names(address).expand(text, ALLOWED).as_deref(), Ok(expected), "{address}");
        }
        assert_eq!(names("a;b@x.test").expand_address("$local@y.test").as_deref(), Ok("a;b@y.test"));
    }

    #[test]
    fn the_environment_is_filtered() {
        let message = crate::in_hand::tests::in_hand("joe+`x`@x.test", "A: b\n");
        let recipient = message.message.envelope.recipients[0].clone();
        let sender = Address::null();
        let found = names("joe+`x`@x.test").environment(
            &message,
            &sender,
            &recipient,
            "abcdefghijklmnopqrstuvwxyz+@.",
        );
        let value = |name: &str| found.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!(value("EXTENSION"), Some("_x_"));
        assert_eq!(value("RECIPIENT"), Some("joe+_x_@x.test"));
        assert_eq!(value("LOGNAME"), Some("joe"));
        assert_eq!(value("SENDER"), Some(""));
        assert_eq!(value("CLIENT_ADDRESS"), None);
    }
}
