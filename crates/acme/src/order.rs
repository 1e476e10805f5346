//! An order: authorizations with their challenges, the request, the certificate (RFC 8555 section 7.4).

use std::time::Duration;

use https::{Response, Url};
use openssl::sha::sha256;
use serde_json::{Value, json};

use crate::jws::encode;
use crate::{Client, clean, described, json_of};

/// How often an authority is asked whether it is done, and how long it may let us wait each time.
const MOST_QUESTIONS: u32 = 60;
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Ways to show that a name is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file on a Web server (section 8.3).
    Http01,
    /// A record in the DNS (section 8.4).
    Dns01,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Http01 => "http-01",
            Kind::Dns01 => "dns-01",
        }
    }
}

/// What is to be shown for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The name.
    pub name: String,
    /// Letters, digits, `-` and `_`; the file's name below `/.well-known/acme-challenge/`.
    pub token: String,
    /// The file's content, or the text of the record at `_acme-challenge.NAME`.
    pub value: String,
}

/// Shows what challenges ask for.
pub trait Solver {
    /// Which kind it can do.
    fn kind(&self) -> Kind;
    /// Shows it; when this returns the authority is asked to look.
    fn present(&mut self, challenge: &Challenge) -> impl Future<Output = Result<(), String>>;
    /// It is not needed any more.
    fn clean_up(&mut self, challenge: &Challenge) -> impl Future<Output = Result<(), String>>;
}

impl Client {
    /// A certificate with its chain, PEM. `request` is one for these names (PKCS #10, DER).
    pub async fn obtain(
        &mut self,
        names: &[String],
        request: &[u8],
        solver: &mut impl Solver,
    ) -> Result<String, String> {
        let identifiers: Vec<Value> =
            names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
        let url = self.directory.new_order.clone();
        let answer = self.post(&url, Some(&json!({ "identifiers": identifiers }))).await?;
        let place = Url::parse(answer.header("location").ok_or("the order has no address")?)?;
        let order = json_of(&url, &answer)?;
        let authorizations: Vec<Url> = order["authorizations"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .take(names.len())
            .map(Url::parse)
            .collect::<Result<_, String>>()?;
        for authorization in &authorizations {
            self.authorize(authorization, solver).await?;
        }
        let finalize = Url::parse(order["finalize"].as_str().ok_or("the order can not be finalized")?)?;
        self.post(&finalize, Some(&json!({ "csr": encode(request) }))).await?;
        let order = self.wait_for(&place, "order").await?;
        let certificate = Url::parse(order["certificate"].as_str().ok_or("the order has no certificate")?)?;
        let answer = self.post(&certificate, None).await?;
        String::from_utf8(answer.body).map_err(|_| format!("{certificate}: no certificate in PEM format"))
    }

    /// Shows one challenge, and takes it away whatever came of it.
    async fn authorize(&mut self, url: &Url, solver: &mut impl Solver) -> Result<(), String> {
        let answer = self.post(url, None).await?;
        let authorization = json_of(url, &answer)?;
        // Shown for an earlier certificate, and still believed.
        if authorization["status"] == "valid" {
            return Ok(());
        }
        let name = clean(authorization["identifier"]["value"].as_str().unwrap_or_default());
        let kind = solver.kind();
        let mut challenges = authorization["challenges"].as_array().into_iter().flatten();
        let found = challenges
            .find(|challenge| challenge["type"] == kind.name())
            .ok_or_else(|| format!("{name}: the authority does not offer {}", kind.name()))?;
        let token = found["token"].as_str().unwrap_or_default();
        // It becomes the name of a file and part of a command.
        if token.is_empty()
            || !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        {
            return Err(format!("{name}: the challenge's token is not of the letters that may be in one"));
        }
        let place = Url::parse(found["url"].as_str().unwrap_or_default())?;
        let shown = self.key.authorization(token);
        let value = match kind {
            Kind::Http01 => shown,
            Kind::Dns01 => encode(&sha256(shown.as_bytes())),
        };
        let challenge = Challenge { name, token: token.to_owned(), value };
        let validated = match solver.present(&challenge).await {
            Ok(()) => self.validate(&place, url).await,
            Err(why) => Err(why),
        };
        let cleaned = solver.clean_up(&challenge).await;
        validated.map_err(|why| format!("{}: {why}", challenge.name))?;
        cleaned.map_err(|why| format!("{}: {why}", challenge.name))
    }

    async fn validate(&mut self, challenge: &Url, authorization: &Url) -> Result<(), String> {
        self.post(challenge, Some(&json!({}))).await?;
        self.wait_for(authorization, "authorization").await.map(|_| ())
    }

    /// Asks until something is valid, or never will be.
    async fn wait_for(&mut self, url: &Url, what: &str) -> Result<Value, String> {
        for _ in 0..MOST_QUESTIONS {
            let answer = self.post(url, None).await?;
            let found = json_of(url, &answer)?;
            match found["status"].as_str() {
                Some("valid") => return Ok(found),
                Some("pending" | "processing" | "ready") => tokio::time::sleep(pause(&answer)).await,
                _ => return Err(failure(url, what, &found)),
            }
        }
        Err(format!("{url}: the {what} is not done in time"))
    }
}

/// `Retry-After:`, or a second.
fn pause(answer: &Response) -> Duration {
    let seconds = answer.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds).min(LONGEST_PAUSE)
}

/// The error of the object or of one of its challenges.
fn failure(url: &Url, what: &str, found: &Value) -> String {
    let of_challenges =
        found["challenges"].as_array().into_iter().flatten().map(|challenge| &challenge["error"]);
    let mut errors = std::iter::once(&found["error"]).chain(of_challenges);
    match errors.find(|error| error.is_object()) {
        Some(error) => described(url, 200, error),
        None => {
            format!("{url}: the {what} is {}", clean(found["status"].as_str().unwrap_or("without status")))
        }
    }
}
