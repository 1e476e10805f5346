//! Rewriting to standard form (trivial-rewrite(8), ADDRESS_REWRITING_README): every address gets a domain, every
//! domain its dots, and old forms of routing become `user@domain`.

use mail::Address;
use mail::token::{self, MAX_TOKENS, Token};

use crate::routing::Routing;

/// In whose name incomplete addresses are completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Mail of our own clients and all envelope addresses: $myorigin and $mydomain.
    Local,
    /// Headers of others: remote_header_rewrite_domain, which is empty by default: then nothing is added.
    Remote,
}

/// The settings of rewriting.
pub(crate) struct Rewriter {
    pub(crate) myorigin: String,
    pub(crate) mydomain: String,
    pub(crate) remote_domain: String,
    pub(crate) append_at_myorigin: bool,
    pub(crate) append_dot_mydomain: bool,
    pub(crate) allow_percent_hack: bool,
    pub(crate) swap_bangpath: bool,
}

const AT: Token = Token::Op('@');
const DOT: Token = Token::Op('.');

impl Routing {
    /// The standard form of an address. The null address stays null. When the result would be no address, such as one
    /// that is too long, the address stays as it is.
    pub fn rewrite(&self, context: Context, address: &Address) -> Address {
        if address.is_null() {
            return Address::null();
        }
        if is_standard(address) {
            return address.clone();
        }
        let mut tokens = tokens_of(address);
        self.rewriter.rewrite(context, &mut tokens);
        Address::internal(token::internal(&tokens)).unwrap_or_else(|_| address.clone())
    }
}

/// Is it `user@host.domain` of nothing but letters, digits, dots and a few harmless signs? Most addresses are, and there is
/// nothing to rewrite in them.
pub(crate) fn is_standard(address: &Address) -> bool {
    let plain = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+' | b'='))
    };
    address.as_str().split_once('@').is_some_and(|(local_part, domain)| {
        plain(local_part) && plain(domain) && domain.contains('.') && !domain.ends_with('.')
    })
}

/// The tokens of an address in external form. Something that looks like a source route is taken for one, quoted or
/// not, as Postfix does.
pub(crate) fn tokens_of(address: &Address) -> Vec<Token> {
    let text = address.as_str();
    let route = if text.starts_with('@') { text.find(':') } else { None };
    let (route, rest) = text.split_at(route.map_or(0, |colon| colon + 1));
    let mut tokens = token::scan(route, MAX_TOKENS);
    let rest = Address::internal(rest).unwrap_or_else(|_| address.clone());
    tokens.extend(token::scan(&rest.to_external(), MAX_TOKENS));
    tokens
}

impl Rewriter {
    /// Rewrites the tokens of one address.
    pub(crate) fn rewrite(&self, context: Context, tokens: &mut Vec<Token>) {
        let (origin, domain) = match context {
            Context::Local => (&self.myorigin, &self.mydomain),
            Context::Remote => (&self.remote_domain, &self.remote_domain),
        };
        let empty = Token::Quoted(String::new());
        if tokens.is_empty() || *tokens == [empty.clone()] {
            return;
        }
        if *tokens == [AT] {
            *tokens = vec![empty];
            return;
        }
        // RFC 5321 appendix C: a source route is ignored.
        if tokens[0] == AT
            && let Some(colon) = tokens.iter().position(|t| *t == Token::Op(':'))
            && colon + 1 < tokens.len()
        {
            tokens.drain(..=colon);
        }
        if !tokens.contains(&AT) {
            self.add_domain(tokens, origin);
        }
        if self.append_dot_mydomain
            && !domain.is_empty()
            && let Some(at) = tokens.iter().rposition(|t| *t == AT)
            && at + 1 < tokens.len()
            && !tokens[at..].iter().any(|t| *t == DOT || matches!(t, Token::Literal(_)))
        {
            tokens.push(DOT);
            tokens.extend(token::scan(domain, MAX_TOKENS));
        }
        strip_last_dot(tokens);
    }

    /// For addresses without `@`.
    fn add_domain(&self, tokens: &mut Vec<Token>, origin: &str) {
        if self.swap_bangpath
            && let Some(bang) = tokens.iter().position(|t| *t == Token::Op('!'))
        {
            let mut user = tokens.split_off(bang + 1);
            tokens.pop();
            user.push(AT);
            user.append(tokens);
            *tokens = user;
        } else if self.allow_percent_hack
            && let Some(percent) = tokens.iter().rposition(|t| *t == Token::Op('%'))
        {
            tokens[percent] = AT;
        } else if self.append_at_myorigin && !origin.is_empty() {
            tokens.push(AT);
            tokens.extend(token::scan(origin, MAX_TOKENS));
        }
    }
}

/// `example.com.` loses its dot; `..` and `@.` are left to be refused.
fn strip_last_dot(tokens: &mut Vec<Token>) {
    if let [.., before, last] = tokens.as_slice()
        && *last == DOT
        && *before != DOT
        && *before != AT
    {
        tokens.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{address, routing};

    #[test]
    fn local_context() {
        let routing = routing("append_dot_mydomain = yes\n");
        for (given, expected) in [
            ("user", "user@example.test"),
            ("user@host", "user@host.example.test"),
            ("user@other.test", "user@other.test"),
            ("user@other.test.", "user@other.test"),
            ("a.b-c_d+e=f@other.test", "a.b-c_d+e=f@other.test"),
            ("a..b@other..test", "a..b@other..test"),
            ("user@", "user@"),
            ("user@[192.0.2.1]", "user@[192.0.2.1]"),
            ("user%other.test", "user@other.test"),
            ("user%a%other.test", "user%a@other.test"),
            ("other.test!user", "user@other.test"),
            ("a!b!user", "b!user@a.example.test"),
            ("user%x@other.test", "user%x@other.test"),
            ("@a,@b:user@other.test", "user@other.test"),
            ("user@a b", "user@a b.example.test"),
            ("%", "@"),
            ("two words", "two words@example.test"),
            ("", ""),
        ] {
            assert_eq!(routing.rewrite(Context::Local, &address(given)).as_str(), expected, "{given}");
        }
    }

    #[test]
    fn remote_context_and_switches() {
        for (main_cf, context, given, expected) in [
            ("", Context::Remote, "user", "user"),
            ("remote_header_rewrite_domain = invalid.test", Context::Remote, "user", "user@invalid.test"),
            ("append_at_myorigin = no", Context::Local, "user", "user"),
            ("append_dot_mydomain = no", Context::Local, "user@host", "user@host"),
            ("allow_percent_hack = no", Context::Local, "user%a.test", "user%a.test@example.test"),
            ("swap_bangpath = no", Context::Local, "a!user", "a!user@example.test"),
        ] {
            let routing = routing(main_cf);
            assert_eq!(routing.rewrite(context, &address(given)).as_str(), expected, "{main_cf}");
        }
    }
}
