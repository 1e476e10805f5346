//! What clients say who log in with a token: OAUTHBEARER (RFC 7628) and its elder XOAUTH2, which has the same parts without a header.

/// The two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    OAuthBearer,
    XOAuth2,
}

/// A client's message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bearer<'a> {
    /// Who the client says it is; `None` where it leaves that to the token.
    pub(super) acting_for: Option<&'a str>,
    pub(super) token: &'a str,
}

impl Form {
    /// `n,a=USER,^Aauth=Bearer TOKEN^A^A`, or `user=USER^Aauth=Bearer TOKEN^A^A`, where ^A is the byte 1. Host and port are not
    /// looked at: TLS says which server the client meant.
    pub(super) fn parse(self, message: &str) -> Option<Bearer<'_>> {
        let mut parts = message.strip_suffix("\x01\x01")?.split('\x01');
        let acting_for = match self {
            Form::OAuthBearer => {
                let mut header = parts.next()?.split(',');
                let (flag, name, rest) = (header.next()?, header.next()?, header.next()?);
                if !matches!(flag, "n" | "y") || !rest.is_empty() || header.next().is_some() {
                    return None;
                }
                match name {
                    "" => None,
                    // A comma or an equals sign in a name would be in another form; no address has one that is a login.
                    name => Some(name.strip_prefix("a=").filter(|name| !name.contains('='))?),
                }
            }
            Form::XOAuth2 => Some(parts.next()?.strip_prefix("user=")?),
        };
        let token = parts.find_map(|part| {
            let (scheme, token) = part.strip_prefix("auth=")?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("Bearer").then_some(token)
        })?;
        Some(Bearer { acting_for, token: token.trim() }).filter(|bearer| !bearer.token.is_empty())
    }

    /// What a client is told whose token is refused (RFC 7628 section 3.2.2).
    pub(super) fn refusal(self, scope: &str) -> String {
        let status = match self {
            Form::OAuthBearer => "invalid_token",
            Form::XOAuth2 => "401",
        };
        let mut told = serde_json::json!({ "status": status, "schemes": "bearer" });
        if !scope.is_empty() {
            told["scope"] = scope.into();
        }
        told.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        for (form, message, expected) in [
            // The example of RFC 7628 section 4.1.
            (
                Form::OAuthBearer,
                "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4q\x01\x01",
                Some((Some("user@example.com"), "vF9dft4q")),
            ),
            (Form::OAuthBearer, "n,,\x01auth=bearer t\x01\x01", Some((None, "t"))),
            (Form::OAuthBearer, "p=tls-exporter,,\x01auth=Bearer t\x01\x01", None),
            (Form::OAuthBearer, "n,u,\x01auth=Bearer t\x01\x01", None),
            (Form::OAuthBearer, "n,,\x01auth=Basic t\x01\x01", None),
            (Form::OAuthBearer, "n,,\x01auth=Bearer \x01\x01", None),
            (Form::OAuthBearer, "n,,\x01auth=Bearer t\x01", None),
            (Form::OAuthBearer, "", None),
            (Form::XOAuth2, "user=a@b\x01auth=Bearer t\x01\x01", Some((Some("a@b"), "t"))),
            (Form::XOAuth2, "auth=Bearer t\x01\x01", None),
        ] {
            let expected = expected.map(|(acting_for, token)| Bearer { acting_for, token });
            assert_eq!(form.parse(message), expected, "{message:?}");
        }
        assert_eq!(Form::XOAuth2.refusal(""), r#"{"status":"401","schemes":"bearer"}"#);
        assert_eq!(
            Form::OAuthBearer.refusal("mail"),
            r#"{"status":"invalid_token","schemes":"bearer","scope":"mail"}"#
        );
    }
}
