//! `smtpd_sasl_type = mailclad`: logins without another server. smtpd_sasl_path names tables of user names; what they hold of a
//! password is in `secret.rs`. Tokens of an issuer (smtpd_sasl_oauth_issuer) need no table.
//!
//! - `scram.rs`: SCRAM-SHA-256, and SCRAM-SHA-256-PLUS, which is tied to the TLS connection. PLAIN and LOGIN are here.
//! - `bearer.rs`: OAUTHBEARER and XOAUTH2; `token.rs`: what makes a token good; `issuer_keys.rs`: the issuer's keys.

mod bearer;
mod issuer_keys;
mod scram;
pub(crate) mod secret;
mod token;

use std::time::Duration;

use openssl::base64::{decode_block, encode_block};
use openssl::rand::rand_bytes;
use tables::{Key, Maps};
use tls::channel_binding::Bindings;

use super::dovecot::Answer;
use super::mechanism::{Mechanism, Properties};
use secret::Secret;
use token::Judged;
pub(crate) use token::Tokens;

/// Whoever guesses waits so long for each answer.
const PENALTY: Duration = Duration::from_secs(2);

/// The mechanism that needs a channel binding.
pub(crate) const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The users of one service.
pub(crate) struct Users {
    /// `None`: nobody has a password.
    maps: Option<Maps>,
    /// `None`: tokens are not accepted.
    tokens: Option<Tokens>,
    /// Makes salts for names that nobody has.
    pepper: [u8; 32],
    penalty: Duration,
}

/// The connection of a login.
pub(crate) struct Channel {
    /// `None` without TLS.
    pub(crate) bindings: Option<Bindings>,
    /// [`PLUS`] was offered.
    pub(crate) offers_plus: bool,
}

/// An exchange that waits for the client.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    LoginName,
    LoginPassword {
        user: String,
    },
    Scram(scram::Exchange),
    /// A token is to come.
    Token(bearer::Form),
    /// The client was told that its token is refused, and answers once more, or leaves.
    TokenRefused {
        user: Option<String>,
        reason: String,
    },
}

impl Exchange {
    /// Why it will fail, and whose it is: already known, and for the log, while the client is still to be heard.
    pub(crate) fn refusal(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Exchange::TokenRefused { user, reason } => Some((reason, user.as_deref())),
            _ => None,
        }
    }
}

/// What comes next: an answer, and the exchange that goes on.
pub(super) type Moved = Result<(Answer, Option<Exchange>), String>;

impl Users {
    pub(super) fn new(maps: Option<Maps>, tokens: Option<Tokens>) -> Result<Users, String> {
        let mut pepper = [0; 32];
        rand_bytes(&mut pepper).map_err(|error| error.to_string())?;
        Ok(Users { maps, tokens, pepper, penalty: PENALTY })
    }

    /// The mechanisms, in the order in which clients should prefer them.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        let of = |name, words: &[&str]| {
            let properties = words.iter().fold(Properties::default(), |all, word| all.with(word));
            Mechanism::new(name, properties)
        };
        let with_password = [
            of(PLUS, &["dictionary", "mutual-auth"]).map(Mechanism::in_tls_only),
            of("SCRAM-SHA-256", &["dictionary", "mutual-auth"]),
            of("PLAIN", &["plaintext"]),
            of("LOGIN", &["plaintext"]),
        ];
        // RFC 7628 section 3: whoever hears a token has the rights of its owner.
        let with_token = [
            of("OAUTHBEARER", &["plaintext"]).map(Mechanism::in_tls_only),
            of("XOAUTH2", &["plaintext"]).map(Mechanism::in_tls_only),
        ];
        let with_password = with_password.into_iter().filter(|_| self.maps.is_some());
        let with_token = with_token.into_iter().filter(|_| self.tokens.is_some());
        with_password.chain(with_token).flatten().collect()
    }

    /// AUTH, with the initial response in base64.
    pub(super) async fn begin(&self, mechanism: &str, channel: Channel, initial: Option<&str>) -> Moved {
        let (exchange, challenge) = match mechanism {
            "PLAIN" => (Exchange::Plain, ""),
            "LOGIN" => (Exchange::LoginName, "Username:"),
            "SCRAM-SHA-256" => (Exchange::Scram(scram::Exchange::unbound(channel.offers_plus)), ""),
            PLUS => match channel.bindings.filter(|bindings| !bindings.is_empty()) {
                Some(bindings) => (Exchange::Scram(scram::Exchange::bound(bindings)), ""),
                None => return Ok(fail(None, "this connection has no channel binding")),
            },
            "OAUTHBEARER" => (Exchange::Token(bearer::Form::OAuthBearer), ""),
            "XOAUTH2" => (Exchange::Token(bearer::Form::XOAuth2), ""),
            _ => return Ok(fail(None, "Invalid authentication mechanism")),
        };
        match initial {
            // RFC 4954 section 4: `=` is an empty response.
            Some("=") => self.respond(exchange, "").await,
            Some(initial) => self.respond(exchange, initial).await,
            None => Ok((Answer::Continue(encode_block(challenge.as_bytes())), Some(exchange))),
        }
    }

    /// The client's next response, in base64.
    pub(super) async fn respond(&self, exchange: Exchange, response: &str) -> Moved {
        let Some(response) = decode_block(response).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        else {
            return Ok(self.refuse(None, "invalid base64 or UTF-8").await);
        };
        match exchange {
            Exchange::Plain => {
                let mut words = response.split('\0');
                match (words.next(), words.next(), words.next(), words.next()) {
                    (Some(acting_for), Some(user), Some(password), None)
                        if acting_for.is_empty() || acting_for == user =>
                    {
                        self.check(user, password).await
                    }
                    _ => Ok(self.refuse(None, "malformed response").await),
                }
            }
            Exchange::LoginName => {
                let challenge = encode_block(b"Password:");
                Ok((Answer::Continue(challenge), Some(Exchange::LoginPassword { user: response })))
            }
            Exchange::LoginPassword { user } => self.check(&user, &response).await,
            Exchange::Scram(exchange) => self.scram(exchange, &response).await,
            Exchange::Token(form) => self.token(form, &response).await,
            // Whatever it says.
            Exchange::TokenRefused { reason, .. } => {
                tokio::time::sleep(self.penalty).await;
                Ok((Answer::Logged { reason }, None))
            }
        }
    }

    /// A password in the clear.
    async fn check(&self, user: &str, password: &str) -> Moved {
        let (secret, password) = (self.secret_of(user).await?, password.to_owned());
        // Deriving takes a processor for a while.
        let derived = tokio::task::spawn_blocking(move || secret.is_of(password.as_bytes()));
        match derived.await.map_err(|error| error.to_string())?? {
            true => Ok((Answer::Ok(user.to_owned()), None)),
            false => Ok(self.refuse(Some(user), "authentication failure").await),
        }
    }

    async fn scram(&self, exchange: scram::Exchange, response: &str) -> Moved {
        let (next, challenge) = match exchange {
            scram::Exchange::First(binding) => {
                let Some(first) = scram::First::parse(response, binding) else {
                    return Ok(self.refuse(None, "malformed SCRAM message").await);
                };
                let secret = self.secret_of(&first.user).await?;
                first.answer(secret)?
            }
            scram::Exchange::Final(exchange) => match exchange.prove(response)? {
                Ok(next) => next,
                Err(user) => return Ok(self.refuse(Some(&user), "authentication failure").await),
            },
            scram::Exchange::End { user } if response.is_empty() => return Ok((Answer::Ok(user), None)),
            scram::Exchange::End { user } => {
                return Ok(self.refuse(Some(&user), "malformed response").await);
            }
        };
        Ok((Answer::Continue(encode_block(challenge.as_bytes())), Some(Exchange::Scram(next))))
    }

    async fn token(&self, form: bearer::Form, response: &str) -> Moved {
        let (Some(tokens), Some(bearer)) = (&self.tokens, form.parse(response)) else {
            return Ok(self.refuse(None, "malformed response").await);
        };
        let (user, reason) = match tokens.judge(bearer.token).await? {
            Judged::Good(user) if bearer.acting_for.is_none_or(|name| name == user) => {
                return Ok((Answer::Ok(user), None));
            }
            Judged::Good(user) => {
                let reason = format!("the token is not for {:.100}", bearer.acting_for.unwrap_or_default());
                (Some(user), reason)
            }
            Judged::Bad(why) => (bearer.acting_for.map(str::to_owned), why),
        };
        let challenge = encode_block(form.refusal(tokens.scope()).as_bytes());
        Ok((Answer::Continue(challenge), Some(Exchange::TokenRefused { user, reason })))
    }

    /// The user's secret, or one that fits nothing. The error is a table's, or that of an entry that makes no sense.
    async fn secret_of(&self, user: &str) -> Result<Secret, String> {
        match &self.maps {
            Some(maps) if !user.is_empty() => match maps.find(user, Key::Full).await.into_result()? {
                Some(text) => {
                    text.parse().map_err(|why| format!("{}: entry of {user}: {why}", maps.parameter()))
                }
                None => Secret::of_nobody(user, &self.pepper),
            },
            _ => Secret::of_nobody(user, &self.pepper),
        }
    }

    async fn refuse(&self, user: Option<&str>, reason: &str) -> (Answer, Option<Exchange>) {
        tokio::time::sleep(self.penalty).await;
        fail(user, reason)
    }
}

fn fail(user: Option<&str>, reason: &str) -> (Answer, Option<Exchange>) {
    let (user, reason) = (user.map(str::to_owned), Some(reason.to_owned()));
    (Answer::Fail { temporary: false, reason, user }, None)
}

#[cfg(test)]
mod tests {
    use tables::{Flags, Tables};

    use super::*;

    fn users(table: &str) -> Users {
        let maps = Maps::open(&Tables::silent(), "smtpd_sasl_path", table, Flags::default());
        Users { penalty: Duration::ZERO, ..Users::new(Some(maps), None).unwrap() }
    }

    fn table() -> String {
        format!("inline:{{ {{ me = {} }}, {{ broken = secret }} }}", Secret::new("pass word").unwrap())
    }

    fn clear() -> Channel {
        Channel { bindings: None, offers_plus: false }
    }

    fn secured() -> Channel {
        Channel { bindings: Some(Bindings::of(vec![("tls-exporter", b"same".to_vec())])), offers_plus: true }
    }

    /// The answer in words.
    fn shown(moved: Moved) -> String {
        match moved {
            Ok((Answer::Ok(user), _)) => format!("ok {user}"),
            Ok((Answer::Continue(text), _)) => {
                format!("continue {}", String::from_utf8(decode_block(&text).unwrap()).unwrap())
            }
            Ok((Answer::Fail { reason, user, .. }, _)) => {
                format!("fail {} {}", reason.unwrap_or_default(), user.unwrap_or_default())
            }
            Ok((Answer::Logged { reason }, _)) => format!("fail {reason}"),
            Err(why) => format!("error {why}"),
        }
    }

    #[tokio::test]
    async fn passwords_in_the_clear() {
        let users = users(&table());
        for (response, expected) in [
            ("\0me\0pass word", "ok me"),
            ("me\0me\0pass word", "ok me"),
            ("other\0me\0pass word", "fail malformed response "),
            ("\0me\0pass", "fail authentication failure me"),
            ("\0nobody\0x", "fail authentication failure nobody"),
            ("\0\0", "fail authentication failure "),
            ("me", "fail malformed response "),
            (
                "\0broken\0secret",
                "error smtpd_sasl_path: entry of broken: is not SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY; \
                 make one with mailclad passwd",
            ),
        ] {
            let moved = users.begin("PLAIN", clear(), Some(&encode_block(response.as_bytes()))).await;
            assert_eq!(shown(moved), expected, "{response:?}");
        }
        assert_eq!(shown(users.begin("PLAIN", clear(), Some("!")).await), "fail invalid base64 or UTF-8 ");
        let (asked, exchange) = users.begin("LOGIN", clear(), None).await.unwrap();
        assert_eq!(shown(Ok((asked, None))), "continue Username:");
        let (asked, exchange) = users.respond(exchange.unwrap(), &encode_block(b"me")).await.unwrap();
        assert_eq!(shown(Ok((asked, None))), "continue Password:");
        assert_eq!(shown(users.respond(exchange.unwrap(), &encode_block(b"pass word")).await), "ok me");
        let failing = super::tests::users("fail:x");
        assert!(
            shown(failing.begin("PLAIN", clear(), Some(&encode_block(b"\0a\0b"))).await)
                .starts_with("error fail:x")
        );
    }

    /// What a client says that knows the password (RFC 5802 section 3).
    fn client_final(password: &str, server_first: &str, bound_to: &[u8]) -> String {
        let value =
            |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        let (nonce, salt) = (value("r="), decode_block(&value("s=")).unwrap());
        let mut salted = [0; 32];
        let digest = openssl::hash::MessageDigest::sha256();
        let iterations = value("i=").parse().unwrap();
        openssl::pkcs5::pbkdf2_hmac(password.as_bytes(), &salt, iterations, digest, &mut salted).unwrap();
        let hmac = |key: &[u8], data: &str| {
            let key = openssl::pkey::PKey::hmac(key).unwrap();
            let mut signer = openssl::sign::Signer::new(digest, &key).unwrap();
            signer.sign_oneshot_to_vec(data.as_bytes()).unwrap()
        };
        let client_key = hmac(&salted, "Client Key");
        let without_proof = format!("c={},r={nonce}", encode_block(bound_to));
        let message = format!("n=me,r=12345678,{server_first},{without_proof}");
        let signature = hmac(&openssl::sha::sha256(&client_key), &message);
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(a, b)| a ^ b).collect();
        format!("{without_proof},p={}", encode_block(&proof))
    }

    #[tokio::test]
    async fn scram_messages() {
        let users = users(&table());
        for (message, expected) in [
            ("n,,n=me,r=12345678", "continue r=12345678"),
            ("y,a=me,n=me,r=12345678", "continue r=12345678"),
            ("n,,n=nobody,r=12345678", "continue r=12345678"),
            ("p=tls-exporter,,n=me,r=12345678", "fail malformed SCRAM message "),
            ("n,a=you,n=me,r=12345678", "fail malformed SCRAM message "),
            ("n,,m=x,n=me,r=12345678", "fail malformed SCRAM message "),
            ("n,,n=me,r=short", "fail malformed SCRAM message "),
            ("", "fail malformed SCRAM message "),
        ] {
            let moved = users.begin("SCRAM-SHA-256", clear(), Some(&encode_block(message.as_bytes()))).await;
            assert!(shown(moved).starts_with(expected), "{message}");
        }
        let first = encode_block(b"n,,n=me,r=12345678");
        let (asked, exchange) = users.begin("SCRAM-SHA-256", clear(), Some(&first)).await.unwrap();
        let server_first = shown(Ok((asked, None))).replacen("continue ", "", 1);
        let last = encode_block(client_final("pass word", &server_first, b"n,,").as_bytes());
        let (asked, exchange) = users.respond(exchange.unwrap(), &last).await.unwrap();
        assert!(shown(Ok((asked, None))).starts_with("continue v="));
        assert_eq!(shown(users.respond(exchange.unwrap(), "").await), "ok me");
        for last in ["c=biws,r=12345678,p=AAAA", "c=biws,r=x", "", "c=eSws,r=x,p=AAAA"] {
            let (_, exchange) = users.begin("SCRAM-SHA-256", clear(), Some(&first)).await.unwrap();
            let moved = users.respond(exchange.unwrap(), &encode_block(last.as_bytes())).await;
            assert_eq!(shown(moved), "fail authentication failure me", "{last}");
        }
    }

    #[tokio::test]
    async fn a_login_is_tied_to_its_connection() {
        let users = users(&table());
        let refused = "fail malformed SCRAM message ";
        for (mechanism, channel, message, expected) in [
            (PLUS, secured(), "p=tls-exporter,,n=me,r=12345678", "continue r=12345678"),
            (PLUS, secured(), "p=tls-unique,,n=me,r=12345678", refused),
            (PLUS, secured(), "n,,n=me,r=12345678", refused),
            (PLUS, secured(), "y,,n=me,r=12345678", refused),
            (
                PLUS,
                clear(),
                "p=tls-exporter,,n=me,r=12345678",
                "fail this connection has no channel binding ",
            ),
            ("SCRAM-SHA-256", secured(), "n,,n=me,r=12345678", "continue r=12345678"),
            // RFC 5802 section 6: somebody has hidden the better mechanism from this client.
            ("SCRAM-SHA-256", secured(), "y,,n=me,r=12345678", refused),
            ("SCRAM-SHA-256", secured(), "p=tls-exporter,,n=me,r=12345678", refused),
        ] {
            let moved = users.begin(mechanism, channel, Some(&encode_block(message.as_bytes()))).await;
            assert!(shown(moved).starts_with(expected), "{mechanism}: {message}");
        }
        // Between two connections the value is another.
        for (bound_to, expected) in [("same", "continue v="), ("other", "fail authentication failure me")] {
            let first = "p=tls-exporter,,n=me,r=12345678";
            let (asked, exchange) =
                users.begin(PLUS, secured(), Some(&encode_block(first.as_bytes()))).await.unwrap();
            let server_first = shown(Ok((asked, None))).replacen("continue ", "", 1);
            let bound_to = format!("p=tls-exporter,,{bound_to}");
            let last = client_final("pass word", &server_first, bound_to.as_bytes());
            let moved = users.respond(exchange.unwrap(), &encode_block(last.as_bytes())).await;
            assert!(shown(moved).starts_with(expected), "{bound_to}");
        }
    }

    #[tokio::test]
    async fn a_refused_token_is_explained_before_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let mut key = josekit::jwk::Jwk::generate_ed_key(josekit::jwk::alg::ed::EdCurve::Ed25519).unwrap();
        let mut set = josekit::jwk::JwkSet::new();
        set.push_key(key.to_public_key().unwrap());
        std::fs::write(dir.path().join("keys"), set.to_string()).unwrap();
        let main = format!(
            "smtpd_sasl_oauth_issuer = https://id.test\nsmtpd_sasl_oauth_audience = mail\n\
             smtpd_sasl_oauth_keys = {}/keys\nsmtpd_sasl_oauth_user_claim = sub\nsmtpd_sasl_oauth_scope = send",
            dir.path().display()
        );
        let main = config::MainCf::parse("main.cf", main.as_bytes()).unwrap();
        let settings = config::Settings::load(&main, &[], &config::HostFacts::default()).unwrap();
        let resolver = std::sync::Arc::new(dns::Resolver::from_system());
        let tokens = Tokens::open(&settings, &resolver).unwrap();
        let users = Users { penalty: Duration::ZERO, ..Users::new(None, tokens).unwrap() };
        let names: Vec<String> = users.mechanisms().into_iter().map(|mechanism| mechanism.name).collect();
        assert_eq!(names, ["OAUTHBEARER", "XOAUTH2"], "nobody has a password");
        key.set_key_id("k");
        let mut payload = josekit::jwt::JwtPayload::new();
        payload.set_issuer("https://id.test");
        payload.set_audience(vec!["mail"]);
        payload.set_subject("me");
        payload.set_expires_at(&(std::time::SystemTime::now() + Duration::from_secs(60)));
        payload.set_claim("scope", Some("send".into())).unwrap();
        let signer = josekit::jws::EdDSA.signer_from_jwk(&key).unwrap();
        let mut header = josekit::jws::JwsHeader::new();
        header.set_token_type("JWT");
        let unnamed = josekit::jwt::encode_with_signer(&payload, &header, &signer).unwrap();
        // A signer writes the name of its key, which the set does not know.
        for (mechanism, message, expected) in [
            (
                "OAUTHBEARER",
                format!("n,a=me,\x01auth=Bearer {unnamed}\x01\x01"),
                "the token has no signature of the issuer",
            ),
            (
                "XOAUTH2",
                format!("user=me\x01auth=Bearer {unnamed}\x01\x01"),
                "the token has no signature of the issuer",
            ),
        ] {
            let moved = users.begin(mechanism, secured(), Some(&encode_block(message.as_bytes()))).await;
            let (asked, exchange) = moved.unwrap();
            assert!(shown(Ok((asked, None))).contains("\"scope\":\"send\""), "{mechanism}");
            let exchange = exchange.unwrap();
            assert_eq!(exchange.refusal(), Some((expected, Some("me"))));
            assert_eq!(shown(users.respond(exchange, "AQ==").await), format!("fail {expected}"));
        }
        let _ = key.set_parameter("kid", None);
        let signer = josekit::jws::EdDSA.signer_from_jwk(&key).unwrap();
        let token = josekit::jwt::encode_with_signer(&payload, &header, &signer).unwrap();
        for (acting_for, expected) in [("a=me", "ok me"), ("", "ok me"), ("a=you", "continue")] {
            let message = format!("n,{acting_for},\x01auth=Bearer {token}\x01\x01");
            let moved = users.begin("OAUTHBEARER", secured(), Some(&encode_block(message.as_bytes()))).await;
            assert!(shown(moved).starts_with(expected), "{acting_for}");
        }
    }
}
