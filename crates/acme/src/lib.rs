//! Certificates by ACME (RFC 8555): an account, an order for some names, a challenge for each, the certificate. What a challenge asks
//! for is done by the caller ([`Solver`]): a file on a Web server, a record in the DNS.
//!
//! - `jws.rs`: the account's key, and what is signed with it.
//! - `order.rs`: from the order to the certificate.
#![forbid(unsafe_code)]

mod jws;
mod order;

use std::net::IpAddr;
use std::time::Duration;

use dns::{Family, HostLookup, Resolver};
use https::{Limits, Method, Response, Url};
use serde_json::{Value, json};

pub use jws::AccountKey;
pub use order::{Challenge, Kind, Solver};

/// Answers are small; a certificate with its chain is the largest.
const LIMITS: Limits = Limits { time: Duration::from_secs(60), body: 256 * 1024 };

/// A nonce may be refused for no fault of ours (RFC 8555 section 6.5).
const MOST_NONCES: usize = 10;

/// An authority, with the account that we have there.
pub struct Client {
    web: https::Client,
    resolver: Resolver,
    key: AccountKey,
    directory: Directory,
    /// The account's URL.
    account: Option<String>,
    nonce: Option<String>,
}

struct Directory {
    new_nonce: Url,
    new_account: Url,
    new_order: Url,
    terms: Option<String>,
}

impl Client {
    /// Asks what there is at a directory's URL.
    pub async fn open(
        web: https::Client,
        resolver: Resolver,
        key: AccountKey,
        directory: &str,
    ) -> Result<Client, String> {
        let url = Url::parse(directory)?;
        let addresses = addresses(&resolver, &url).await?;
        let answer =
            web.ask(&url, &addresses, Method::Get, LIMITS).await.map_err(|why| format!("{url}: {why}"))?;
        let found = json_of(&url, &answer)?;
        let place = |name: &str| match found[name].as_str() {
            Some(text) => Url::parse(text),
            None => Err(format!("{url} is no directory of ACME: it has no \"{name}\"")),
        };
        let directory = Directory {
            new_nonce: place("newNonce")?,
            new_account: place("newAccount")?,
            new_order: place("newOrder")?,
            terms: found["meta"]["termsOfService"].as_str().map(clean),
        };
        Ok(Client { web, resolver, key, directory, account: None, nonce: None })
    }

    /// Where the authority's terms of service are.
    pub fn terms(&self) -> Option<&str> {
        self.directory.terms.as_deref()
    }

    /// Finds the account of the key, or makes one; who calls has agreed to the terms (section 7.3).
    pub async fn register(&mut self, contact: Option<&str>) -> Result<(), String> {
        let mut wanted = json!({ "termsOfServiceAgreed": true });
        if let Some(contact) = contact {
            wanted["contact"] = json!([format!("mailto:{contact}")]);
        }
        let url = self.directory.new_account.clone();
        let answer = self.post(&url, Some(&wanted)).await?;
        let account = answer.header("location").ok_or("the account has no address")?;
        self.account = Some(account.to_owned());
        Ok(())
    }

    /// A signed request, with a fresh nonce. An answer that is an error becomes one.
    async fn post(&mut self, url: &Url, payload: Option<&Value>) -> Result<Response, String> {
        let addresses = addresses(&self.resolver, url).await?;
        for _ in 0..MOST_NONCES {
            let nonce = match self.nonce.take() {
                Some(nonce) => nonce,
                None => self.new_nonce().await?,
            };
            let mut header = json!({ "alg": "ES256", "nonce": nonce, "url": url.to_string() });
            match &self.account {
                Some(account) => header["kid"] = json!(account),
                None => header["jwk"] = self.key.jwk(),
            }
            let method =
                Method::Post { kind: "application/jose+json", body: self.key.sign(&header, payload)? };
            let answer =
                self.web.ask(url, &addresses, method, LIMITS).await.map_err(|why| format!("{url}: {why}"))?;
            self.nonce = answer.header("replay-nonce").map(str::to_owned);
            if answer.status < 300 {
                return Ok(answer);
            }
            let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if problem["type"] != "urn:ietf:params:acme:error:badNonce" {
                return Err(described(url, answer.status, &problem));
            }
        }
        Err(format!("{url} refuses every nonce"))
    }

    async fn new_nonce(&self) -> Result<String, String> {
        let url = &self.directory.new_nonce;
        let addresses = addresses(&self.resolver, url).await?;
        let answer = self
            .web
            .ask(url, &addresses, Method::Head, LIMITS)
            .await
            .map_err(|why| format!("{url}: {why}"))?;
        answer.header("replay-nonce").map(str::to_owned).ok_or_else(|| format!("{url} gives no nonce"))
    }
}

async fn addresses(resolver: &Resolver, url: &Url) -> Result<Vec<IpAddr>, String> {
    resolver
        .addresses(url.host(), Family::PreferV4, HostLookup::Native, false)
        .await
        .map(|answer| answer.records)
        .map_err(|failure| failure.sentence(url.host(), "A"))
}

fn json_of(url: &Url, answer: &Response) -> Result<Value, String> {
    let value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match answer.status {
        200..=299 => Ok(value),
        status => Err(described(url, status, &value)),
    }
}

/// A problem document (RFC 7807) in one line.
fn described(url: &Url, status: u16, problem: &Value) -> String {
    let word = |name: &str| problem[name].as_str().map(clean);
    let kind = word("type").map(|kind| kind.trim_start_matches("urn:ietf:params:acme:error:").to_owned());
    let detail = word("detail").unwrap_or_else(|| "no reason given".into());
    match kind {
        Some(kind) => format!("{url} answers {status}: {kind}: {detail}"),
        None => format!("{url} answers {status}: {detail}"),
    }
}

/// It comes from somebody else, and goes to a terminal or a log.
fn clean(text: &str) -> String {
    text.chars().take(500).map(|c| if c.is_control() { '?' } else { c }).collect()
}
