//! One result of TLS with a server, in the form of libtlsrpt's datagrams (protocol version 1), which collectors such as tlsrpt-reporter
//! read, and which our own counts are kept in.

use serde::{Deserialize, Serialize};

/// Texts of a policy beyond this many bytes are left out.
const MOST_POLICY: usize = 8 * 1024;

/// Longest text of any other kind, in characters.
const MOST_TEXT: usize = 1024;

/// One result: a final word about one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    #[serde(rename = "dpv")]
    version: String,
    /// The domain that mail was for.
    #[serde(rename = "d")]
    pub domain: String,
    /// Its record, which says who wants reports.
    #[serde(rename = "pr")]
    pub record: String,
    /// One, as written here.
    pub policies: Vec<Outcome>,
}

/// What came of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which policy.
    #[serde(flatten)]
    pub policy: Policy,
    /// What went wrong; nothing when all went well.
    #[serde(rename = "failure-details", default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
    #[serde(rename = "t")]
    failure_count: u32,
    #[serde(rename = "f")]
    failed: u8,
}

/// A policy, as reports name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Policy {
    /// Whose.
    #[serde(rename = "policy-type")]
    pub kind: PolicyKind,
    /// The domain that has it.
    #[serde(rename = "policy-domain", default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Its text.
    #[serde(rename = "policy-string", default, skip_serializing_if = "Vec::is_empty")]
    pub strings: Vec<String>,
    /// Patterns of mail exchangers, for MTA-STS.
    #[serde(rename = "mx-host", default, skip_serializing_if = "Vec::is_empty")]
    pub mx: Vec<String>,
}

impl Policy {
    /// No policy.
    pub fn none() -> Policy {
        Policy { kind: PolicyKind::None, domain: None, strings: Vec::new(), mx: Vec::new() }
    }
}

/// Kinds of policies, by their numbers in datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub enum PolicyKind {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// Neither.
    None,
}

impl PolicyKind {
    /// `policy-type` of a report.
    pub fn name(self) -> &'static str {
        match self {
            PolicyKind::Tlsa => "tlsa",
            PolicyKind::Sts => "sts",
            PolicyKind::None => "no-policy-found",
        }
    }
}

impl From<PolicyKind> for u16 {
    fn from(kind: PolicyKind) -> u16 {
        match kind {
            PolicyKind::Tlsa => 1,
            PolicyKind::Sts => 2,
            PolicyKind::None => 9,
        }
    }
}

impl TryFrom<u16> for PolicyKind {
    type Error = String;

    fn try_from(number: u16) -> Result<PolicyKind, String> {
        match number {
            1 => Ok(PolicyKind::Tlsa),
            2 => Ok(PolicyKind::Sts),
            9 => Ok(PolicyKind::None),
            _ => Err(format!("{number} is no type of policy")),
        }
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind.
    #[serde(rename = "c")]
    pub kind: FailureKind,
    /// Our address.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub sending_ip: Option<String>,
    /// The server's name.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub mx_name: Option<String>,
    /// What it calls itself.
    #[serde(rename = "h", default, skip_serializing_if = "Option::is_none")]
    pub mx_helo: Option<String>,
    /// The server's address.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    pub mx_ip: Option<String>,
    /// What helps those who look into it.
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub information: Option<String>,
    /// A word or a sentence about the reason.
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

macro_rules! kinds {
    ($($kind:ident = $number:literal, $name:literal;)*) => {
        /// Kinds of failures (RFC 8460 section 4.3), by their numbers in datagrams.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "u16", into = "u16")]
        #[allow(missing_docs, reason = "the names are those of the RFC")]
        pub enum FailureKind { $($kind),* }

        impl FailureKind {
            /// `result-type` of a report.
            pub fn name(self) -> &'static str {
                match self { $(FailureKind::$kind => $name),* }
            }

            /// The kind of that name.
            pub fn from_name(name: &str) -> Option<FailureKind> {
                match name { $($name => Some(FailureKind::$kind),)* _ => None }
            }
        }

        impl From<FailureKind> for u16 {
            fn from(kind: FailureKind) -> u16 {
                match kind { $(FailureKind::$kind => $number),* }
            }
        }

        impl TryFrom<u16> for FailureKind {
            type Error = String;

            fn try_from(number: u16) -> Result<FailureKind, String> {
                match number { $($number => Ok(FailureKind::$kind),)* _ => Err(format!("{number} is no type of failure")) }
            }
        }
    };
}

kinds! {
    StarttlsNotSupported = 201, "starttls-not-supported";
    CertificateHostMismatch = 202, "certificate-host-mismatch";
    CertificateNotTrusted = 203, "certificate-not-trusted";
    CertificateExpired = 204, "certificate-expired";
    ValidationFailure = 205, "validation-failure";
    StsPolicyFetchError = 301, "sts-policy-fetch-error";
    StsPolicyInvalid = 302, "sts-policy-invalid";
    StsWebpkiInvalid = 303, "sts-webpki-invalid";
    TlsaInvalid = 304, "tlsa-invalid";
    DnssecInvalid = 305, "dnssec-invalid";
    DaneRequired = 306, "dane-required";
}

impl Event {
    /// A result about one policy. Texts that are too long are cut.
    pub fn new(domain: &str, record: &str, mut policy: Policy, failure: Option<Failure>) -> Event {
        let mut room = MOST_POLICY;
        policy.strings.retain(|line| {
            room = room.saturating_sub(line.len() + 3);
            room > 0
        });
        let mut failures: Vec<Failure> = failure.into_iter().collect();
        for failure in &mut failures {
            let Failure { kind: _, sending_ip: _, mx_ip: _, mx_name, mx_helo, information, reason } = failure;
            for text in [mx_name, mx_helo, information, reason].into_iter().flatten() {
                *text = text.chars().take(MOST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
            }
        }
        let failed = u8::from(!failures.is_empty());
        Event {
            version: "1".into(),
            domain: domain.to_owned(),
            record: record.to_owned(),
            policies: vec![Outcome { policy, failure_count: u32::from(failed), failed, failures }],
        }
    }

    /// One line of JSON, without its end.
    pub fn to_json(&self) -> String {
        // Text in maps and lists is always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Event::to_json`] wrote.
    pub fn parse(line: &str) -> Option<Event> {
        serde_json::from_str(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_have_the_form_of_the_library() {
        let failure = Failure {
            kind: FailureKind::CertificateExpired,
            sending_ip: Some("192.0.2.1".into()),
            mx_name: Some("mx.test".into()),
            mx_helo: None,
            mx_ip: Some("192.0.2.2".into()),
            information: None,
            reason: Some("certificate\nhas expired".into()),
        };
        let policy = Policy {
            kind: PolicyKind::Sts,
            domain: Some("d.test".into()),
            strings: vec!["version: STSv1".into(), "mode: testing".into()],
            mx: vec!["*.test".into()],
        };
        let event = Event::new("d.test", "v=TLSRPTv1; rua=mailto:r@d.test", policy, Some(failure));
        assert_eq!(
            event.to_json(),
            "{\"dpv\":\"1\",\"d\":\"d.test\",\"pr\":\"v=TLSRPTv1; rua=mailto:r@d.test\",\"policies\":[{\"policy-type\":2,\
             \"policy-domain\":\"d.test\",\"policy-string\":[\"version: STSv1\",\"mode: testing\"],\"mx-host\":[\"*.test\"],\
             \"failure-details\":[{\"c\":204,\"s\":\"192.0.2.1\",\"n\":\"mx.test\",\"r\":\"192.0.2.2\",\
             \"f\":\"certificate has expired\"}],\"t\":1,\"f\":1}]}"
        );
        assert_eq!(Event::parse(&event.to_json()), Some(event));
        let event = Event::new("d.test", "v=TLSRPTv1;rua=x", Policy::none(), None);
        assert_eq!(
            event.to_json(),
            "{\"dpv\":\"1\",\"d\":\"d.test\",\"pr\":\"v=TLSRPTv1;rua=x\",\"policies\":[{\"policy-type\":9,\"t\":0,\"f\":0}]}"
        );
        assert_eq!(Event::parse(&event.to_json()), Some(event));
        assert_eq!(Event::parse("{\"dpv\":\"1\"}"), None);
        assert_eq!(FailureKind::from_name("tlsa-invalid"), Some(FailureKind::TlsaInvalid));
    }

    #[test]
    fn a_large_policy_is_cut() {
        let policy = Policy { strings: vec!["x".repeat(1000); 100], ..Policy::none() };
        assert_eq!(Event::new("d", "r", policy, None).policies[0].policy.strings.len(), 8);
    }
}
