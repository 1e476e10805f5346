//! The keys that tokens are verified with: a JSON Web Key Set (RFC 7517) in a file, or where the issuer publishes it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use config::{Settings, params};
use dns::{Family, HostLookup, Resolver};
use https::{Client, Limits, Method, Url};
use josekit::jwk::{Jwk, JwkSet};
use josekit::jws::{self, JwsVerifier};
use josekit::jwt::{self, JwtPayload};
use tokio::sync::Mutex;

/// Largest set of keys, in bytes.
const MOST_BYTES: usize = 256 * 1024;
/// Most keys of a set.
const MOST_KEYS: usize = 100;
/// Longest token, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;
/// For the whole exchange with the issuer's Web server, while a client waits for its login.
const PATIENCE: Duration = Duration::from_secs(10);
/// Published keys are fetched again after this time,
const FRESH: Duration = Duration::from_secs(3600);
/// and for a key that nobody knows, or after a failure, no sooner than this.
const PAUSE: Duration = Duration::from_secs(60);

/// Where keys come from, and those that are known.
pub(super) struct IssuerKeys {
    source: Source,
    known: Mutex<Known>,
}

enum Source {
    File(PathBuf),
    Web(Box<Web>),
}

/// Where the issuer publishes them.
struct Web {
    url: Url,
    client: Client,
    resolver: Arc<Resolver>,
    family: Family,
}

#[derive(Default)]
struct Known {
    keys: Option<Arc<Keys>>,
    /// When the Web server was asked last.
    asked: Option<Instant>,
    /// The file's modification time and size.
    stamp: Option<(SystemTime, u64)>,
    /// Why the last attempt failed.
    failure: Option<String>,
}

impl IssuerKeys {
    /// smtpd_sasl_oauth_keys. The error is fatal for the service.
    pub(super) fn open(settings: &Settings, resolver: &Arc<Resolver>) -> Result<IssuerKeys, String> {
        let (name, value) =
            (params::smtpd_sasl_oauth_keys.name(), settings.get(params::smtpd_sasl_oauth_keys));
        let source = if value.starts_with('/') {
            Source::File(value.into())
        } else if value.starts_with("https:") {
            let url = Url::parse(value).map_err(|why| format!("{name} = {value}: {why}"))?;
            let file = settings.get(params::https_CAfile);
            let client = Client::new(Some(file).filter(|file| !file.is_empty()).map(std::path::Path::new))
                .map_err(|why| format!("https_CAfile = {file}: {why}"))?;
            let family = match settings.get(params::inet_protocols) {
                "ipv4" => Family::V4,
                "ipv6" => Family::V6,
                _ => Family::PreferV6,
            };
            Source::Web(Box::new(Web { url, client, resolver: Arc::clone(resolver), family }))
        } else {
            return Err(format!(
                "{name} = {value}: with smtpd_sasl_oauth_issuer it names the issuer's keys, a file or an https: address of a JSON Web Key \
                 Set (the issuer's openid-configuration has it as jwks_uri)"
            ));
        };
        let keys = IssuerKeys { source, known: Mutex::default() };
        if let Source::File(path) = &keys.source {
            // A mistake is told at the start; whether the file is right is asked again at each login.
            read(path).map_err(|why| format!("{name} = {value}: {why}"))?;
        }
        Ok(keys)
    }

    /// The content of a token with the issuer's signature; `None` for any other. The error says why there are no keys.
    pub(super) async fn verify(&self, token: &str) -> Result<Option<JwtPayload>, String> {
        if token.len() > LONGEST_TOKEN {
            return Ok(None);
        }
        let keys = self.keys(false).await?;
        if let Some(payload) = keys.verify(token) {
            return Ok(Some(payload));
        }
        // The issuer may have changed its keys.
        match &self.source {
            Source::Web(_) if keys.lacks_key_of(token) => Ok(self.keys(true).await?.verify(token)),
            _ => Ok(None),
        }
    }

    async fn keys(&self, newer: bool) -> Result<Arc<Keys>, String> {
        // Logins that come meanwhile wait for the same answer.
        let mut known = self.known.lock().await;
        match &self.source {
            Source::File(path) => {
                let stamp = std::fs::metadata(path)
                    .and_then(|found| Ok((found.modified()?, found.len())))
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                if known.stamp != Some(stamp) {
                    let keys = read(path)?;
                    *known = Known { keys: Some(Arc::new(keys)), stamp: Some(stamp), ..Known::default() };
                }
            }
            Source::Web(web) => {
                let age = known.asked.map(|asked| asked.elapsed());
                let wait =
                    if known.keys.is_none() || known.failure.is_some() || newer { PAUSE } else { FRESH };
                if age.is_none_or(|age| age >= wait) {
                    known.asked = Some(Instant::now());
                    match web.fetch().await {
                        Ok(keys) => {
                            known.keys = Some(Arc::new(keys));
                            known.failure = None;
                        }
                        // The keys from before were the issuer's, and stay so.
                        Err(why) => known.failure = Some(why),
                    }
                }
            }
        }
        let failure = known.failure.clone().unwrap_or_default();
        known.keys.clone().ok_or_else(|| format!("smtpd_sasl_oauth_keys: {failure}"))
    }
}

fn read(path: &std::path::Path) -> Result<Keys, String> {
    use std::io::Read;
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_end(&mut text))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Keys::parse(&text).map_err(|why| format!("{}: {why}", path.display()))
}

impl Web {
    async fn fetch(&self) -> Result<Keys, String> {
        let asked = tokio::time::timeout(PATIENCE, self.ask()).await;
        let asked = asked.unwrap_or_else(|_elapsed| Err("no answer in time".into()));
        asked.map_err(|why| format!("{}: {why}", self.url.host()))
    }

    async fn ask(&self) -> Result<Keys, String> {
        let addresses = self
            .resolver
            .addresses(self.url.host(), self.family, HostLookup::DnsThenNative, false)
            .await
            .map_err(|failure| failure.to_string())?;
        let limits = Limits { time: PATIENCE, body: MOST_BYTES };
        let asked = self.client.ask(&self.url, &addresses.records, Method::Get, limits).await;
        let answer = asked.map_err(|failure| failure.to_string())?;
        match answer.status {
            200 => Keys::parse(&answer.body),
            status => Err(format!("status {status}")),
        }
    }
}

/// A set of keys, ready to verify with, by their names.
#[derive(Debug)]
struct Keys(Vec<(Option<String>, Box<dyn JwsVerifier>)>);

impl Keys {
    fn parse(text: &[u8]) -> Result<Keys, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("more than {MOST_BYTES} bytes are no set of keys"));
        }
        let set = JwkSet::from_bytes(text).map_err(|error| format!("no JSON Web Key Set: {error}"))?;
        let keys: Vec<_> = set.keys().into_iter().take(MOST_KEYS).flat_map(verifiers).collect();
        match keys.is_empty() {
            true => Err("the set has no key that verifies signatures of tokens".into()),
            false => Ok(Keys(keys)),
        }
    }

    fn verify(&self, token: &str) -> Option<JwtPayload> {
        let fitting = jwt::decode_with_verifier_selector(token, |header| {
            let fits = |(name, key): &&(Option<String>, Box<dyn JwsVerifier>)| {
                // The algorithm is the key's, never the token's choice: `none` and keys of the wrong kind do not come up.
                header.key_id().is_none_or(|wanted| name.as_deref() == Some(wanted))
                    && header.algorithm() == Some(key.algorithm().name())
            };
            Ok(self.0.iter().find(fits).map(|(_, key)| key.as_ref()))
        });
        fitting.ok().map(|(payload, _header)| payload)
    }

    /// Does the token name a key that is not here?
    fn lacks_key_of(&self, token: &str) -> bool {
        let Ok(header) = jwt::decode_header(token) else { return false };
        let name = header.claim("kid").and_then(|kid| kid.as_str());
        name.is_some_and(|name| !self.0.iter().any(|(known, _)| known.as_deref() == Some(name)))
    }
}

/// What a key can verify. Keys for secrets (`oct`) are left out: a set is public.
fn verifiers(key: &Jwk) -> Vec<(Option<String>, Box<dyn JwsVerifier>)> {
    fn boxed<T: JwsVerifier + 'static>(made: Result<T, josekit::JoseError>) -> Option<Box<dyn JwsVerifier>> {
        made.ok().map(|verifier| Box::new(verifier) as Box<dyn JwsVerifier>)
    }
    if key.key_use().is_some_and(|purpose| purpose != "sig") {
        return Vec::new();
    }
    // The library would demand the name in each token, where RFC 7515 section 4.1.4 leaves it out.
    let name = key.key_id().map(str::to_owned);
    let key = &{
        let mut unnamed = key.clone();
        let _ = unnamed.set_parameter("kid", None);
        unnamed
    };
    let made = match (key.key_type(), key.curve()) {
        ("RSA", _) => vec![
            boxed(jws::RS256.verifier_from_jwk(key)),
            boxed(jws::RS384.verifier_from_jwk(key)),
            boxed(jws::RS512.verifier_from_jwk(key)),
            boxed(jws::PS256.verifier_from_jwk(key)),
            boxed(jws::PS384.verifier_from_jwk(key)),
            boxed(jws::PS512.verifier_from_jwk(key)),
        ],
        ("EC", Some("P-256")) => vec![boxed(jws::ES256.verifier_from_jwk(key))],
        ("EC", Some("P-384")) => vec![boxed(jws::ES384.verifier_from_jwk(key))],
        ("EC", Some("P-521")) => vec![boxed(jws::ES512.verifier_from_jwk(key))],
        ("OKP", Some("Ed25519")) => vec![boxed(jws::EdDSA.verifier_from_jwk(key))],
        _ => Vec::new(),
    };
    made.into_iter().flatten().map(|verifier| (name.clone(), verifier)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use josekit::jwk::alg::ec::EcCurve;
    use josekit::jwk::alg::ed::EdCurve;
    use testkit::authority::{Authority, KeyKind};
    use testkit::web_server::{Answer, WebServer};

    use super::*;

    /// Public keys by their names. The private ones have no names: a signer would write them into its tokens.
    fn set(keys: &[(&Jwk, &str)]) -> String {
        let mut set = JwkSet::new();
        for (key, name) in keys {
            let mut public = key.to_public_key().unwrap();
            public.set_key_id(*name);
            set.push_key(public);
        }
        set.to_string()
    }

    fn token(signer: &dyn jws::JwsSigner, name: Option<&str>) -> String {
        let mut header = jws::JwsHeader::new();
        if let Some(name) = name {
            header.set_key_id(name);
        }
        let mut payload = JwtPayload::new();
        payload.set_subject("me");
        jwt::encode_with_signer(&payload, &header, signer).unwrap()
    }

    #[test]
    fn signatures() {
        let rsa = Jwk::generate_rsa_key(2048).unwrap();
        let ec = Jwk::generate_ec_key(EcCurve::P256).unwrap();
        let ed = Jwk::generate_ed_key(EdCurve::Ed25519).unwrap();
        let other = Jwk::generate_ec_key(EcCurve::P256).unwrap();
        let text = set(&[(&rsa, "r"), (&ec, "e"), (&ed, "d")]);
        let keys = Keys::parse(text.as_bytes()).unwrap();
        let rs = jws::RS256.signer_from_jwk(&rsa).unwrap();
        let ps = jws::PS512.signer_from_jwk(&rsa).unwrap();
        let es = jws::ES256.signer_from_jwk(&ec).unwrap();
        let eddsa = jws::EdDSA.signer_from_jwk(&ed).unwrap();
        let foreign = jws::ES256.signer_from_jwk(&other).unwrap();
        // The public key taken for a shared secret.
        let public = rsa.to_public_key().unwrap().to_string();
        let confused = jws::HS256.signer_from_bytes(public.as_bytes()).unwrap();
        for (what, token, expected) in [
            ("RS256", token(&rs, Some("r")), true),
            ("PS512", token(&ps, Some("r")), true),
            ("ES256", token(&es, Some("e")), true),
            ("EdDSA", token(&eddsa, Some("d")), true),
            ("no name", token(&es, None), true),
            ("a name of another key", token(&es, Some("r")), false),
            ("an unknown name", token(&es, Some("x")), false),
            ("somebody else's key", token(&foreign, Some("e")), false),
            ("HS256", token(&confused, Some("r")), false),
            (
                "no signature",
                jwt::encode_unsecured(&JwtPayload::new(), &jws::JwsHeader::new()).unwrap(),
                false,
            ),
            ("nothing", String::new(), false),
            ("no token", "a.b.c".into(), false),
        ] {
            assert_eq!(keys.verify(&token).is_some(), expected, "{what}");
        }
        let good = token(&es, Some("e"));
        let (start, signature) = good.rsplit_once('.').unwrap();
        let (header, _) = start.split_once('.').unwrap();
        assert!(
            keys.verify(&format!("{header}.eyJzdWIiOiJ5b3UifQ.{signature}")).is_none(),
            "another content"
        );
        assert!(keys.lacks_key_of(&token(&es, Some("x"))) && !keys.lacks_key_of(&good));
        let secret = r#"{"keys":[{"kty":"oct","k":"c2VjcmV0","alg":"HS256"}]}"#;
        assert!(Keys::parse(secret.as_bytes()).unwrap_err().contains("no key that verifies"));
        assert!(Keys::parse(b"{}").unwrap_err().contains("no JSON Web Key Set"));
    }

    #[tokio::test]
    async fn keys_are_fetched_when_they_are_needed() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new("Keys");
        let file = dir.path().join("ca.pem");
        std::fs::write(&file, &authority.certificate_pem).unwrap();
        let (old, new) =
            (Jwk::generate_ec_key(EcCurve::P256).unwrap(), Jwk::generate_ec_key(EcCurve::P256).unwrap());
        let texts = [set(&[(&old, "old")]), set(&[(&new, "new")])];
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let web = WebServer::start(&authority.issue("127.0.0.1", KeyKind::EcdsaP256), move |_| {
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => Answer::new(500, ""),
                1 => Answer::new(200, texts[0].clone()),
                2 => Answer::new(200, texts[1].clone()),
                _ => Answer::new(500, ""),
            }
        });
        let url = Url::parse(&format!("https://127.0.0.1:{}/keys", web.address.port())).unwrap();
        let client = Client::new(Some(&file)).unwrap();
        let resolver = Arc::new(Resolver::from_system());
        let web = Web { url, client, resolver, family: Family::V4 };
        let keys = IssuerKeys { source: Source::Web(Box::new(web)), known: Mutex::default() };
        let by = |key: &Jwk, name| token(&jws::ES256.signer_from_jwk(key).unwrap(), Some(name));
        // A minute later, as far as the keys know.
        let later = async || known_back(&keys).await;
        assert_eq!(
            keys.verify(&by(&old, "old")).await.unwrap_err(),
            "smtpd_sasl_oauth_keys: 127.0.0.1: status 500",
            "no keys: come again"
        );
        assert!(keys.verify(&by(&old, "old")).await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1, "not asked at each login");
        later().await;
        assert!(keys.verify(&by(&old, "old")).await.unwrap().is_some());
        assert!(keys.verify(&by(&new, "new")).await.unwrap().is_none());
        assert_eq!(asked.load(Ordering::SeqCst), 2, "nor at each unknown key");
        later().await;
        assert!(keys.verify(&by(&new, "new")).await.unwrap().is_some(), "the issuer has another key");
        later().await;
        assert!(keys.verify(&by(&old, "old")).await.unwrap().is_none());
        assert!(keys.verify(&by(&new, "new")).await.unwrap().is_some(), "a failure takes nothing away");
        assert_eq!(asked.load(Ordering::SeqCst), 4);
    }

    async fn known_back(keys: &IssuerKeys) {
        let mut known = keys.known.lock().await;
        known.asked = known.asked.and_then(|asked| asked.checked_sub(PAUSE));
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let key = Jwk::generate_ec_key(EcCurve::P256).unwrap();
        std::fs::write(&path, set(&[(&key, "k")])).unwrap();
        let keys = IssuerKeys { source: Source::File(path.clone()), known: Mutex::default() };
        let token = token(&jws::ES256.signer_from_jwk(&key).unwrap(), Some("k"));
        assert!(keys.verify(&token).await.unwrap().is_some());
        let other = Jwk::generate_rsa_key(2048).unwrap();
        std::fs::write(&path, set(&[(&other, "o")])).unwrap();
        assert!(keys.verify(&token).await.unwrap().is_none());
        std::fs::write(&path, "damaged").unwrap();
        assert!(keys.verify(&token).await.unwrap_err().contains("no JSON Web Key Set"));
        std::fs::remove_file(&path).unwrap();
        assert!(keys.verify(&token).await.is_err());
    }
}
