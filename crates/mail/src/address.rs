//! Mail addresses (RFC 5321 section 4.1.2, RFC 6531) in Postfix's internal form: the local part without its
//! quotes, then `@`, then the domain.
//!
//! Quoting is added again where an address leaves us: on the wire, in headers, in logs. Parsing of RFC 5322
//! header addresses, with comments and groups, is the cleanup service's business, not this file's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One envelope address, unquoted. Empty for the null sender `<>` of bounces.
///
/// The text is UTF-8, holds no control character, no line end and no NUL, and at most [`Address::MAX`] bytes; the
/// constructors see to that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Address(String);

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadAddress {
    /// Longer than [`Address::MAX`].
    TooLong,
    /// Control characters, a missing angle bracket, an open quote, or text after the end.
    Syntax,
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadAddress::TooLong => "address too long",
            BadAddress::Syntax => "bad address syntax",
        })
    }
}

impl std::error::Error for BadAddress {}

impl Address {
    /// Longest address kept, in bytes: well over RFC 5321's 64 + 1 + 255, within Postfix's line length limit.
    pub const MAX: usize = 2048;

    /// The null sender.
    pub const fn null() -> Self {
        Address(String::new())
    }

    /// An address already in internal (unquoted) form, as tables and files give it.
    pub fn internal(text: impl Into<String>) -> Result<Self, BadAddress> {
        let text = text.into();
        if text.len() > Self::MAX {
            return Err(BadAddress::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(BadAddress::Syntax);
        }
        Ok(Address(text))
    }

    /// An address in external form without its angle brackets: `user@example.com`, `"a b"@example.com`. Source
    /// routes `@a,@b:user@c` lose their route (RFC 5321 appendix C).
    pub fn external(text: &str) -> Result<Self, BadAddress> {
        if text.len() > Self::MAX {
            return Err(BadAddress::TooLong);
        }
        let text = match (text.starts_with('@'), text.find(':')) {
            (true, Some(colon)) => &text[colon + 1..],
            _ => text,
        };
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match c {
                '"' => quoted = !quoted,
                '\\' => out.push(chars.next().ok_or(BadAddress::Syntax)?),
                ' ' | '<' | '>' if !quoted => return Err(BadAddress::Syntax),
                c => out.push(c),
            }
        }
        if quoted {
            return Err(BadAddress::Syntax);
        }
        Address::internal(out)
    }

    /// True for the null sender.
    pub fn is_null(&self) -> bool {
        self.0.is_empty()
    }

    /// The whole address, unquoted.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the last `@`, or everything when there is none.
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or(&self.0, |(local, _)| local)
    }

    /// What stands after the last `@`, as it was written; `None` when there is no `@`.
    pub fn domain(&self) -> Option<&str> {
        self.0.rsplit_once('@').map(|(_, domain)| domain)
    }

    /// True when any character lies outside ASCII, so that the message needs SMTPUTF8 (RFC 6531).
    pub fn needs_smtputf8(&self) -> bool {
        !self.0.is_ascii()
    }

    /// The same address with another local part.
    pub fn with_local_part(&self, local: &str) -> Address {
        match self.domain() {
            Some(domain) => Address(format!("{local}@{domain}")),
            None => Address(local.to_owned()),
        }
    }

    /// External form: the local part quoted where RFC 5322 needs it. This is what goes on the wire and, by
    /// `info_log_addr_form = external`, into the log.
    pub fn to_external(&self) -> String {
        let (local, domain) = match self.0.rsplit_once('@') {
            Some((local, domain)) => (local, Some(domain)),
            None => (self.0.as_str(), None),
        };
        let mut out = String::with_capacity(self.0.len() + 2);
        if is_dot_atom(local) || (local.is_empty() && domain.is_none()) {
            out.push_str(local);
        } else {
            out.push('"');
            for c in local.chars() {
                if matches!(c, '"' | '\\') {
                    out.push('\\');
                }
                out.push(c);
            }
            out.push('"');
        }
        if let Some(domain) = domain {
            out.push('@');
            out.push_str(domain);
        }
        out
    }
}

/// Is a local part a `dot-atom` of RFC 5322, with the UTF-8 of RFC 6532, which needs no quotes?
pub fn is_dot_atom(local: &str) -> bool {
    !local.is_empty()
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..")
        && local
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~.".contains(c))
}

impl fmt::Display for Address {
    /// External form, as it is logged and sent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_external())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_form_is_unquoted_on_the_way_in_and_quoted_on_the_way_out() {
        for (external, internal) in [
            ("user@example.com", "user@example.com"),
            ("\"a b\"@example.com", "a b@example.com"),
            ("\"a\\\"b\"@example.com", "a\"b@example.com"),
            ("\"a@b\"@example.com", "a@b@example.com"),
            ("user", "user"),
            ("", ""),
            ("\".a\"@x", ".a@x"),
        ] {
            let address = Address::external(external).unwrap();
            assert_eq!(address.as_str(), internal);
            assert_eq!(address.to_external(), external);
        }
        assert_eq!(Address::external("@a,@b:u@c").unwrap().as_str(), "u@c");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, why) in [
            ("a b@example.com", BadAddress::Syntax),
            ("\"open@example.com", BadAddress::Syntax),
            ("a\\", BadAddress::Syntax),
            ("a\rb@example.com", BadAddress::Syntax),
            ("a\0b@example.com", BadAddress::Syntax),
        ] {
            assert_eq!(Address::external(text), Err(why), "{text:?}");
        }
        assert_eq!(Address::external(&"x".repeat(Address::MAX + 1)), Err(BadAddress::TooLong));
        assert!(Address::external(&"x".repeat(Address::MAX)).is_ok());
    }

    #[test]
    fn parts() {
        let a = Address::internal("a@b@Example.com").unwrap();
        assert_eq!((a.local_part(), a.domain()), ("a@b", Some("Example.com")));
        assert_eq!(a.with_local_part("c").as_str(), "c@Example.com");
        let b = Address::internal("root").unwrap();
        assert_eq!((b.local_part(), b.domain()), ("root", None));
    }
}
