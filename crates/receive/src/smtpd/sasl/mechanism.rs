//! Mechanisms and what is known of each: what smtpd_sasl_security_options and its like choose by.

/// A mechanism that the SASL server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mechanism {
    /// In upper case.
    pub(crate) name: String,
    properties: Properties,
    /// Not for plaintext sessions, whatever the options say.
    pub(crate) needs_tls: bool,
}

/// Properties, in Dovecot's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties(u8);

/// A property, the security option that is about it, and whether the option wants it or forbids it.
const PROPERTIES: [(&str, &str, bool); 6] = [
    ("anonymous", "noanonymous", false),
    ("plaintext", "noplaintext", false),
    ("dictionary", "nodictionary", false),
    ("active", "noactive", false),
    ("forward-secrecy", "forward_secrecy", true),
    ("mutual-auth", "mutual_auth", true),
];

impl Properties {
    /// With one more; words that say nothing about security change nothing.
    pub(crate) fn with(self, word: &str) -> Properties {
        match PROPERTIES.iter().position(|(property, ..)| *property == word) {
            Some(at) => Properties(self.0 | 1 << at),
            None => self,
        }
    }
}

impl Mechanism {
    /// `None` for a name that could not stand behind AUTH (RFC 4422 section 3.1).
    pub(crate) fn new(name: &str, properties: Properties) -> Option<Mechanism> {
        let valid = (1..=20).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        valid.then(|| Mechanism { name: name.to_ascii_uppercase(), properties, needs_tls: false })
    }

    /// One that makes sense inside TLS only.
    pub(crate) fn in_tls_only(self) -> Mechanism {
        Mechanism { needs_tls: true, ..self }
    }

    /// Do the options (smtpd_sasl_security_options) admit it?
    pub(crate) fn is_admitted(&self, options: &str) -> bool {
        let set =
            |word: &str| config::list::split(options).iter().any(|option| option.eq_ignore_ascii_case(word));
        PROPERTIES
            .iter()
            .enumerate()
            .all(|(at, (_, option, wanted))| !set(option) || (self.properties.0 & 1 << at != 0) == *wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_choose() {
        let of = |words: &str| {
            Mechanism::new("x-y", words.split(' ').fold(Properties::default(), Properties::with)).unwrap()
        };
        for (words, options, admitted) in [
            ("plaintext", "noanonymous", true),
            ("plaintext", "noanonymous, noplaintext", false),
            ("anonymous", "NOANONYMOUS", false),
            ("anonymous plaintext", "", true),
            ("dictionary active", "nodictionary", false),
            ("dictionary active", "noactive", false),
            ("mutual-auth", "mutual_auth", true),
            ("", "mutual_auth", false),
            ("mutual-auth", "mutual_auth forward_secrecy", false),
            ("private unheard-of", "noplaintext noanonymous", true),
        ] {
            assert_eq!(of(words).is_admitted(options), admitted, "{words}: {options}");
        }
        for bad in ["", "A B", "PLAIN\r\n", "a-name-that-is-far-too-long"] {
            assert_eq!(Mechanism::new(bad, Properties::default()), None);
        }
    }
}
