//! What makes a token good: a JSON Web Token (RFC 7519) that the issuer signed, for this server, in its time, with the rights that are
//! asked for. The library reads and verifies; what is demanded is here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use config::{Settings, params};
use dns::Resolver;
use josekit::jwt::JwtPayload;
use serde_json::Value;

use super::issuer_keys::IssuerKeys;

/// How far the issuer's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);
/// Longest name that a token may give its owner, in bytes.
const LONGEST_NAME: usize = 320;

/// What tokens are judged by.
pub(crate) struct Tokens {
    demands: Demands,
    keys: IssuerKeys,
}

/// smtpd_sasl_oauth_issuer and its relatives.
struct Demands {
    issuer: String,
    audience: String,
    /// Separated by blanks.
    scope: String,
    user_claim: String,
}

/// The judgement of a token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// Whose it is.
    Good(String),
    /// Why not, for the log and the client. Repeats nothing of the token.
    Bad(String),
}

impl Tokens {
    /// `None` while there is no issuer. The error is fatal for the service: half a setting would accept too much.
    pub(crate) fn open(settings: &Settings, resolver: &Arc<Resolver>) -> Result<Option<Tokens>, String> {
        let issuer = settings.get(params::smtpd_sasl_oauth_issuer);
        if issuer.is_empty() {
            return Ok(None);
        }
        let audience = settings.get(params::smtpd_sasl_oauth_audience);
        if audience.is_empty() {
            return Err(format!(
                "smtpd_sasl_oauth_issuer = {issuer}, but smtpd_sasl_oauth_audience is empty: tokens for any other server would be \
                 accepted; name what the issuer calls this server"
            ));
        }
        let demands = Demands {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            scope: settings.get(params::smtpd_sasl_oauth_scope).to_owned(),
            user_claim: settings.get(params::smtpd_sasl_oauth_user_claim).to_owned(),
        };
        Ok(Some(Tokens { demands, keys: IssuerKeys::open(settings, resolver)? }))
    }

    /// What a token has to be good for.
    pub(super) fn scope(&self) -> &str {
        &self.demands.scope
    }

    /// The error says that the keys are not to be had at the moment.
    pub(super) async fn judge(&self, token: &str) -> Result<Judged, String> {
        Ok(match self.keys.verify(token).await? {
            Some(payload) => self.demands.judge(&payload, SystemTime::now()),
            None => Judged::Bad("the token has no signature of the issuer".into()),
        })
    }
}

impl Demands {
    fn judge(&self, payload: &JwtPayload, now: SystemTime) -> Judged {
        let bad = |why: &str| Judged::Bad(why.to_owned());
        if payload.issuer() != Some(&self.issuer) {
            return bad("the token is of another issuer");
        }
        if !payload.audience().is_some_and(|all| all.contains(&self.audience.as_str())) {
            return bad("the token is for another server");
        }
        match payload.expires_at() {
            None => return bad("the token does not say when it expires"),
            Some(end) if end + LEEWAY <= now => return bad("the token has expired"),
            Some(_) => {}
        }
        if payload.not_before().is_some_and(|begin| begin > now + LEEWAY) {
            return bad("the token is not valid yet");
        }
        // RFC 8693 section 4.2: words separated by blanks; some issuers write a list.
        let granted: Vec<&str> = match payload.claim("scope").or_else(|| payload.claim("scp")) {
            Some(Value::String(words)) => words.split(' ').collect(),
            Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !self.scope.split_whitespace().all(|wanted| granted.contains(&wanted)) {
            return bad("the token lacks a scope");
        }
        if self.user_claim == "email" && payload.claim("email_verified") == Some(&Value::Bool(false)) {
            return bad("the issuer has not verified the address in the token");
        }
        match payload.claim(&self.user_claim).and_then(Value::as_str) {
            Some(user)
                if (1..=LONGEST_NAME).contains(&user.len())
                    && !user.contains(|c: char| c.is_control() || c.is_whitespace()) =>
            {
                Judged::Good(user.to_owned())
            }
            _ => Judged::Bad(format!("the token has no usable claim {}", self.user_claim)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demands() {
        let demands = Demands {
            issuer: "https://id.test".into(),
            audience: "mail".into(),
            scope: "smtp send".into(),
            user_claim: "email".into(),
        };
        let good = serde_json::json!({
            "iss": "https://id.test", "aud": ["web", "mail"], "exp": 1000, "nbf": 900, "scope": "send smtp more", "email": "me@x.test"
        });
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(950);
        for (name, value, expected) in [
            ("", Value::Null, Ok("me@x.test")),
            ("aud", "mail".into(), Ok("me@x.test")),
            ("scp", "unused".into(), Ok("me@x.test")),
            ("scope", serde_json::json!(["smtp", "send"]), Ok("me@x.test")),
            ("exp", 891.into(), Ok("me@x.test")),
            ("email_verified", true.into(), Ok("me@x.test")),
            ("iss", "https://other.test".into(), Err("the token is of another issuer")),
            ("iss", Value::Null, Err("the token is of another issuer")),
            ("aud", "web".into(), Err("the token is for another server")),
            ("aud", Value::Null, Err("the token is for another server")),
            ("exp", Value::Null, Err("the token does not say when it expires")),
            ("exp", 890.into(), Err("the token has expired")),
            ("nbf", 1011.into(), Err("the token is not valid yet")),
            ("scope", "smtp".into(), Err("the token lacks a scope")),
            ("scope", Value::Null, Err("the token lacks a scope")),
            ("email_verified", false.into(), Err("the issuer has not verified the address in the token")),
            ("email", "a\nb".into(), Err("the token has no usable claim email")),
            ("email", 7.into(), Err("the token has no usable claim email")),
            ("email", Value::Null, Err("the token has no usable claim email")),
        ] {
            let mut claims = good.as_object().unwrap().clone();
            match &value {
                Value::Null => claims.remove(name),
                value => claims.insert(name.to_owned(), value.clone()),
            };
            let judged = demands.judge(&JwtPayload::from_map(claims).unwrap(), now);
            let expected = match expected {
                Ok(user) => Judged::Good(user.into()),
                Err(why) => Judged::Bad(why.into()),
            };
            assert_eq!(judged, expected, "{name} = {value}");
        }
    }
}
