//! The mechanisms of a client: PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM (RFC 5802, RFC 7677), XOAUTH2, OAUTHBEARER (RFC 7628)
//! and EXTERNAL.

use config::list;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use rsasl::prelude::{Mechname, SASLClient, SASLConfig, Session, State};
use rsasl::validate::NoValidation;
use tables::base64;

use super::Credentials;

/// In the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    ScramSha256,
    ScramSha1,
    CramMd5,
    Plain,
    Login,
    OAuthBearer,
    XOAuth2,
    External,
}

/// A mechanism and what it is good for.
struct Row {
    mechanism: Mechanism,
    name: &'static str,
    /// The words of smtp_sasl_security_options that it satisfies. All of them take a name.
    satisfies: &'static [&'static str],
    /// Only where smtp_sasl_mechanism_filter asks for it: the password is a token there, or there is none.
    on_request: bool,
}

const fn row(mechanism: Mechanism, name: &'static str, satisfies: &'static [&'static str]) -> Row {
    Row { mechanism, name, satisfies, on_request: false }
}

const SCRAM: &[&str] = &["noplaintext", "noanonymous", "noactive", "mutual_auth"];

const MECHANISMS: &[Row] = &[
    row(Mechanism::ScramSha256, "SCRAM-SHA-256", SCRAM),
    row(Mechanism::ScramSha1, "SCRAM-SHA-1", SCRAM),
    row(Mechanism::CramMd5, "CRAM-MD5", &["noplaintext", "noanonymous"]),
    row(Mechanism::Plain, "PLAIN", &["noanonymous"]),
    row(Mechanism::Login, "LOGIN", &["noanonymous"]),
    Row { on_request: true, ..row(Mechanism::OAuthBearer, "OAUTHBEARER", &["noanonymous", "nodictionary"]) },
    Row { on_request: true, ..row(Mechanism::XOAuth2, "XOAUTH2", &["noanonymous", "nodictionary"]) },
    Row {
        on_request: true,
        ..row(Mechanism::External, "EXTERNAL", &["noplaintext", "noanonymous", "noactive", "nodictionary"])
    },
];

impl Mechanism {
    /// The best one that is offered and satisfies `options`. `filtered`: the administrator has chosen among the offered ones.
    pub(super) fn pick(options: &str, offered: &[String], filtered: bool, in_tls: bool) -> Option<Mechanism> {
        let demands = list::split(options);
        let fits = |row: &&Row| {
            offered.iter().any(|word| word.eq_ignore_ascii_case(row.name))
                && demands
                    .iter()
                    .all(|demand| row.satisfies.iter().any(|word| word.eq_ignore_ascii_case(demand)))
                && (filtered || !row.on_request)
                // What a certificate proves was proved in the handshake.
                && (in_tls || row.mechanism != Mechanism::External)
        };
        MECHANISMS.iter().find(fits).map(|row| row.mechanism)
    }

    fn name(self) -> &'static str {
        MECHANISMS.iter().find(|row| row.mechanism == self).map_or("", |row| row.name)
    }
}

/// One exchange.
pub(crate) struct Exchange {
    mechanism: Mechanism,
    pub(crate) credentials: Credentials,
    /// Whom to act for: the user itself, or nothing.
    authzid: Option<String>,
    asked: u8,
    scram: Option<Session<NoValidation>>,
    /// The server has proved what the mechanism asks of it.
    proved: bool,
}

impl Exchange {
    /// Nothing when the name or the password can not be used with the mechanism.
    pub(super) fn begin(
        mechanism: Mechanism,
        credentials: Credentials,
        sends_authzid: bool,
    ) -> Option<Exchange> {
        let authzid = sends_authzid.then(|| credentials.user.clone());
        let is_scram = matches!(mechanism, Mechanism::ScramSha256 | Mechanism::ScramSha1);
        let scram = match is_scram {
            true => {
                let Credentials { user, password } = credentials.clone();
                let config = SASLConfig::with_credentials(authzid.clone(), user, password).ok()?;
                let name = Mechname::parse(mechanism.name().as_bytes()).ok()?;
                Some(SASLClient::new(config).start_suggested(&[name]).ok()?)
            }
            false => None,
        };
        Some(Exchange { mechanism, credentials, authzid, asked: 0, scram, proved: !is_scram })
    }

    /// The mechanism and the initial response, for AUTH.
    pub(crate) fn first(&mut self) -> (&'static str, Option<String>) {
        let Credentials { user, password } = &self.credentials;
        let initial = match self.mechanism {
            Mechanism::Plain => {
                let authzid = self.authzid.as_deref().unwrap_or_default();
                Some(base64::encode(format!("{authzid}\0{user}\0{password}").as_bytes()))
            }
            Mechanism::XOAuth2 => {
                Some(base64::encode(format!("user={user}\x01auth=Bearer {password}\x01\x01").as_bytes()))
            }
            Mechanism::OAuthBearer => {
                // RFC 5801 section 4: `,` and `=` in a name are written otherwise.
                let user = user.replace('=', "=3D").replace(',', "=2C");
                Some(base64::encode(format!("n,a={user},\x01auth=Bearer {password}\x01\x01").as_bytes()))
            }
            // RFC 4954 section 4: `=` is an empty response.
            Mechanism::External => Some(match user.is_empty() {
                true => "=".into(),
                false => base64::encode(user.as_bytes()),
            }),
            Mechanism::ScramSha256 | Mechanism::ScramSha1 => self.step(None),
            Mechanism::Login | Mechanism::CramMd5 => None,
        };
        (self.mechanism.name(), initial)
    }

    /// The answer to a challenge; `*` gives up.
    pub(crate) fn respond(&mut self, challenge: &str) -> String {
        self.asked += 1;
        let answer = match (self.mechanism, self.asked) {
            (Mechanism::Login, 1) => Some(base64::encode(self.credentials.user.as_bytes())),
            (Mechanism::Login, 2) => Some(base64::encode(self.credentials.password.as_bytes())),
            (Mechanism::CramMd5, 1) => self.cram_md5(challenge),
            // The challenge says what is wrong with the token; an empty answer asks for the refusal.
            (Mechanism::XOAuth2, 1) => Some(String::new()),
            (Mechanism::OAuthBearer, 1) => Some(base64::encode(b"\x01")),
            (Mechanism::ScramSha256 | Mechanism::ScramSha1, 1..=3) => {
                base64::decode(challenge).and_then(|bytes| self.step(Some(&bytes)))
            }
            _ => None,
        };
        answer.unwrap_or_else(|| "*".into())
    }

    /// The server said yes. Has it proved that it knows the password, where the mechanism asks for that?
    pub(crate) fn is_proved(&self) -> bool {
        self.proved
    }

    fn step(&mut self, input: Option<&[u8]>) -> Option<String> {
        let mut out = Vec::new();
        let state = self.scram.as_mut()?.step(input, &mut out).ok()?;
        self.proved = matches!(state, State::Finished(_));
        Some(base64::encode(&out))
    }

    fn cram_md5(&self, challenge: &str) -> Option<String> {
        let Credentials { user, password } = &self.credentials;
        let challenge = base64::decode(challenge)?;
        let key = PKey::hmac(password.as_bytes()).ok()?;
        let digest = Signer::new(MessageDigest::md5(), &key).ok()?.sign_oneshot_to_vec(&challenge).ok()?;
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(base64::encode(format!("{user} {hex}").as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn a_password_is_shown_only_where_that_is_allowed() {
        for (options, offered, filtered, expected) in [
            ("noanonymous", "LOGIN plain", false, Some(Mechanism::Plain)),
            ("noplaintext, noanonymous", "LOGIN PLAIN", false, None),
            ("noplaintext, noanonymous", "PLAIN CRAM-MD5", false, Some(Mechanism::CramMd5)),
            ("noanonymous", "PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256", false, Some(Mechanism::ScramSha256)),
            ("mutual_auth", "PLAIN CRAM-MD5 SCRAM-SHA-1", false, Some(Mechanism::ScramSha1)),
            ("forward_secrecy", "PLAIN SCRAM-SHA-256", false, None),
            ("", "LOGIN", false, Some(Mechanism::Login)),
            ("noanonymous", "XOAUTH2", false, None),
            ("noanonymous", "XOAUTH2", true, Some(Mechanism::XOAuth2)),
            ("noanonymous", "OAUTHBEARER XOAUTH2", true, Some(Mechanism::OAuthBearer)),
            ("noanonymous", "GSSAPI NTLM", false, None),
        ] {
            let found = Mechanism::pick(options, &words(offered), filtered, true);
            assert_eq!(found, expected, "{options}: {offered}");
        }
        assert_eq!(Mechanism::pick("", &words("EXTERNAL"), true, true), Some(Mechanism::External));
        assert_eq!(Mechanism::pick("", &words("EXTERNAL"), true, false), None, "nothing was proved");
    }

    fn exchange(mechanism: Mechanism, user: &str, password: &str) -> Exchange {
        Exchange::begin(mechanism, Credentials::new(user, password), false).unwrap()
    }

    fn shown(text: &str) -> String {
        String::from_utf8(base64::decode(text).unwrap()).unwrap()
    }

    #[test]
    fn what_goes_to_the_server() {
        let mut plain = exchange(Mechanism::Plain, "me", "a:b");
        assert_eq!(plain.first(), ("PLAIN", Some("AG1lAGE6Yg==".into())));
        let mut login = exchange(Mechanism::Login, "me", "a:b");
        assert_eq!(login.first(), ("LOGIN", None));
        assert_eq!([login.respond(""), login.respond(""), login.respond("")], ["bWU=", "YTpi", "*"]);
        // The example of RFC 2195 section 2.
        let mut cram = exchange(Mechanism::CramMd5, "tim", "tanstaaftanstaaf");
        assert_eq!(cram.first(), ("CRAM-MD5", None));
        let challenge = base64::encode(b"<1896.697170952@postoffice.reston.mci.net>");
        assert_eq!(shown(&cram.respond(&challenge)), "tim b913a602c7eda7a495b4e6e7334d3890");
        assert_eq!(cram.respond(&challenge), "*");
        assert_eq!(exchange(Mechanism::CramMd5, "tim", "x").respond("no base64!"), "*");
        let (_, token) = exchange(Mechanism::XOAuth2, "me@x.test", "token").first();
        assert_eq!(shown(&token.unwrap()), "user=me@x.test\u{1}auth=Bearer token\u{1}\u{1}");
        let (_, token) = exchange(Mechanism::OAuthBearer, "a,b", "token").first();
        assert_eq!(shown(&token.unwrap()), "n,a=a=2Cb,\u{1}auth=Bearer token\u{1}\u{1}");
        assert_eq!(exchange(Mechanism::External, "", "").first(), ("EXTERNAL", Some("=".into())));
    }

    #[test]
    fn scram_wants_a_proof_from_the_server() {
        let mut scram = exchange(Mechanism::ScramSha256, "user", "pencil");
        let (name, first) = scram.first();
        assert_eq!(name, "SCRAM-SHA-256");
        let first = shown(&first.unwrap());
        let nonce = first.split_once("r=").unwrap().1;
        assert!(first.starts_with("n,,n=user,r="), "{first}");
        let challenge = format!("r={nonce}server,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let proof = shown(&scram.respond(&base64::encode(challenge.as_bytes())));
        assert!(proof.starts_with(&format!("c=biws,r={nonce}server,p=")), "{proof}");
        assert!(!scram.is_proved());
        let wrong = base64::encode(format!("v={}", base64::encode(&[0; 32])).as_bytes());
        assert_eq!(scram.respond(&wrong), "*");
        assert!(!scram.is_proved());
        // Somebody else's nonce.
        let mut scram = exchange(Mechanism::ScramSha1, "user", "pencil");
        scram.first();
        assert_eq!(scram.respond(&base64::encode(b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")), "*");
    }
}
