//! `smtpd_sasl_type = mailclad`: logins without another server, for small sites. smtpd_sasl_path names tables of user names; what
//! they hold of a password is in `secret.rs`. Mechanisms: SCRAM-SHA-256, PLAIN and LOGIN.

use std::time::Duration;

use openssl::base64::{decode_block, encode_block};
use openssl::rand::rand_bytes;
use tables::{Key, Maps};

use super::dovecot::Answer;
use super::mechanism::{Mechanism, Properties};
use super::secret::Secret;

/// Whoever guesses waits so long for each answer.
const PENALTY: Duration = Duration::from_secs(2);

/// The users of one service.
pub(crate) struct Users {
    maps: Maps,
    /// Makes salts for names that nobody has.
    pepper: [u8; 32],
    penalty: Duration,
}

/// An exchange that waits for the client.
#[derive(Debug)]
pub(crate) enum Exchange {
    Plain,
    LoginName,
    LoginPassword {
        user: String,
    },
    ScramFirst,
    ScramFinal {
        user: String,
        secret: Box<Secret>,
        nonce: String,
        header: String,
        messages: String,
    },
    /// Our own proof was sent; an empty answer ends it.
    ScramEnd {
        user: String,
    },
}

/// What comes next: an answer, and the exchange that goes on.
pub(super) type Moved = Result<(Answer, Option<Exchange>), String>;

impl Users {
    pub(super) fn new(maps: Maps) -> Result<Users, String> {
        let mut pepper = [0; 32];
        rand_bytes(&mut pepper).map_err(|error| error.to_string())?;
        Ok(Users { maps, pepper, penalty: PENALTY })
    }

    /// The mechanisms, in the order in which clients should prefer them.
    pub(super) fn mechanisms() -> Vec<Mechanism> {
        let of = |name, words: &[&str]| {
            let properties = words.iter().fold(Properties::default(), |all, word| all.with(word));
            Mechanism::new(name, properties)
        };
        let all = [
            of("SCRAM-SHA-256", &["dictionary", "mutual-auth"]),
            of("PLAIN", &["plaintext"]),
            of("LOGIN", &["plaintext"]),
        ];
        all.into_iter().flatten().collect()
    }

    /// AUTH, with the initial response in base64.
    pub(super) async fn begin(&self, mechanism: &str, initial: Option<&str>) -> Moved {
        let (exchange, challenge) = match mechanism {
            "PLAIN" => (Exchange::Plain, ""),
            "LOGIN" => (Exchange::LoginName, "Username:"),
            "SCRAM-SHA-256" => (Exchange::ScramFirst, ""),
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
            Exchange::ScramFirst => self.scram_first(&response).await,
            Exchange::ScramFinal { user, secret, nonce, header, messages } => {
                match scram_final(&secret, &nonce, &header, &messages, &response)? {
                    Some(proof) => {
                        let challenge = encode_block(proof.as_bytes());
                        Ok((Answer::Continue(challenge), Some(Exchange::ScramEnd { user })))
                    }
                    None => Ok(self.refuse(Some(&user), "authentication failure").await),
                }
            }
            Exchange::ScramEnd { user } if response.is_empty() => Ok((Answer::Ok(user), None)),
            Exchange::ScramEnd { user } => Ok(self.refuse(Some(&user), "malformed response").await),
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

    /// `n,,n=USER,r=NONCE` (RFC 5802 section 7).
    async fn scram_first(&self, message: &str) -> Moved {
        let Some(first) = ScramFirst::parse(message) else {
            return Ok(self.refuse(None, "malformed SCRAM message").await);
        };
        let mut own = [0; 18];
        rand_bytes(&mut own).map_err(|error| error.to_string())?;
        let secret = self.secret_of(&first.user).await?;
        let nonce = format!("{}{}", first.nonce, encode_block(&own));
        let server_first = secret.server_first(&nonce);
        let exchange = Exchange::ScramFinal {
            messages: format!("{},{server_first}", first.bare),
            header: first.header,
            user: first.user,
            secret: Box::new(secret),
            nonce,
        };
        Ok((Answer::Continue(encode_block(server_first.as_bytes())), Some(exchange)))
    }

    /// The user's secret, or one that fits nothing. The error is a table's, or that of an entry that makes no sense.
    async fn secret_of(&self, user: &str) -> Result<Secret, String> {
        let found = match user.is_empty() {
            true => None,
            false => self.maps.find(user, Key::Full).await.into_result()?,
        };
        match found {
            Some(text) => {
                text.parse().map_err(|why| format!("{}: entry of {user}: {why}", self.maps.parameter()))
            }
            None => Secret::of_nobody(user, &self.pepper),
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

struct ScramFirst {
    user: String,
    nonce: String,
    /// `n,,`
    header: String,
    bare: String,
}

impl ScramFirst {
    /// Channel bindings are not offered, so none may be asked for; an identity to act for must be the user's own.
    fn parse(message: &str) -> Option<ScramFirst> {
        let mut parts = message.splitn(3, ',');
        let (binding, acting_for, bare) = (parts.next()?, parts.next()?, parts.next()?);
        let mut attributes = bare.split(',');
        let user = attributes.next()?.strip_prefix("n=")?.replace("=2C", ",").replace("=3D", "=");
        let nonce = attributes.next()?.strip_prefix("r=")?;
        let acts_for_itself = match acting_for.strip_prefix("a=") {
            Some(name) => name.replace("=2C", ",").replace("=3D", "=") == user,
            None => acting_for.is_empty(),
        };
        let valid = matches!(binding, "n" | "y") && acts_for_itself && (8..=256).contains(&nonce.len());
        valid.then(|| ScramFirst {
            nonce: nonce.to_owned(),
            header: format!("{binding},{acting_for},"),
            bare: bare.to_owned(),
            user,
        })
    }
}

/// `c=HEADER,r=NONCE,p=PROOF`: our own proof when the client's is good.
fn scram_final(
    secret: &Secret,
    nonce: &str,
    header: &str,
    messages: &str,
    response: &str,
) -> Result<Option<String>, String> {
    let Some((without_proof, proof)) = response.rsplit_once(",p=") else { return Ok(None) };
    let expected = format!("c={},r={nonce}", encode_block(header.as_bytes()));
    let Some(proof) = decode_block(proof).ok().filter(|_| without_proof == expected) else { return Ok(None) };
    secret.prove(&format!("{messages},{without_proof}"), &proof)
}

#[cfg(test)]
mod tests {
    use tables::{Flags, Tables};

    use super::*;

    fn users(table: &str) -> Users {
        let maps = Maps::open(&Tables::silent(), "smtpd_sasl_path", table, Flags::default());
        Users { penalty: Duration::ZERO, ..Users::new(maps).unwrap() }
    }

    fn table() -> String {
        format!("inline:{{ {{ me = {} }}, {{ broken = secret }} }}", Secret::new("pass word").unwrap())
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
            let moved = users.begin("PLAIN", Some(&encode_block(response.as_bytes()))).await;
            assert_eq!(shown(moved), expected, "{response:?}");
        }
        assert_eq!(shown(users.begin("PLAIN", Some("!")).await), "fail invalid base64 or UTF-8 ");
        let (asked, exchange) = users.begin("LOGIN", None).await.unwrap();
        assert_eq!(shown(Ok((asked, None))), "continue Username:");
        let (asked, exchange) = users.respond(exchange.unwrap(), &encode_block(b"me")).await.unwrap();
        assert_eq!(shown(Ok((asked, None))), "continue Password:");
        assert_eq!(shown(users.respond(exchange.unwrap(), &encode_block(b"pass word")).await), "ok me");
        let failing = super::tests::users("fail:x");
        assert!(
            shown(failing.begin("PLAIN", Some(&encode_block(b"\0a\0b"))).await).starts_with("error fail:x")
        );
    }

    /// What a client says that knows the password (RFC 5802 section 3).
    fn client_final(password: &str, server_first: &str) -> String {
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
        let without_proof = format!("c=biws,r={nonce}");
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
            let moved = users.begin("SCRAM-SHA-256", Some(&encode_block(message.as_bytes()))).await;
            assert!(shown(moved).starts_with(expected), "{message}");
        }
        let first = encode_block(b"n,,n=me,r=12345678");
        let (asked, exchange) = users.begin("SCRAM-SHA-256", Some(&first)).await.unwrap();
        let server_first = shown(Ok((asked, None))).replacen("continue ", "", 1);
        let last = encode_block(client_final("pass word", &server_first).as_bytes());
        let (asked, exchange) = users.respond(exchange.unwrap(), &last).await.unwrap();
        assert!(shown(Ok((asked, None))).starts_with("continue v="));
        assert_eq!(shown(users.respond(exchange.unwrap(), "").await), "ok me");
        for last in ["c=biws,r=12345678,p=AAAA", "c=biws,r=x", "", "c=eSws,r=x,p=AAAA"] {
            let (_, exchange) = users.begin("SCRAM-SHA-256", Some(&first)).await.unwrap();
            let moved = users.respond(exchange.unwrap(), &encode_block(last.as_bytes())).await;
            assert_eq!(shown(moved), "fail authentication failure me", "{last}");
        }
    }
}
