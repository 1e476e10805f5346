//! Why there is no answer.

use thiserror::Error;

/// The reasons, told apart by what the caller may conclude.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// The name does not exist (NXDOMAIN).
    #[error("Host not found")]
    NotFound {
        /// True when the server vouched for the absence.
        secure: bool,
    },
    /// The name exists and has no record of the type.
    #[error("Host found but no data record of requested type")]
    NoData {
        /// True when the server vouched for the absence.
        secure: bool,
    },
    /// No server answered, or none could: nothing is known. Try later.
    #[error("Host not found, try again")]
    TryAgain,
    /// The text is no domain name.
    #[error("Invalid host name")]
    BadName,
    /// The replies make no sense, such as aliases without end. Treated as a temporary failure.
    #[error("Malformed or unexpected name server reply")]
    BadReply,
    /// A filter (`*_dns_reply_filter`) left nothing of the answer. What there is shall not be used, which is no absence.
    #[error("DNS reply filter drops all results")]
    Filtered,
    /// The filter could not be asked, or said something that makes no sense. Treated as a temporary failure.
    #[error("Invalid DNS reply filter syntax")]
    BadFilter,
}

impl Failure {
    /// Does the failure say for sure that there is no such record?
    pub fn is_absence(&self) -> bool {
        matches!(self, Failure::NotFound { .. } | Failure::NoData { .. } | Failure::BadName)
    }

    /// Was the absence vouched for by the server?
    pub fn is_secure(&self) -> bool {
        matches!(self, Failure::NotFound { secure: true } | Failure::NoData { secure: true })
    }

    /// The reason alone, in Postfix's words for those who give no name with it.
    pub fn reason(&self) -> String {
        match self {
            Failure::Filtered => "DNS reply filter policy".to_owned(),
            other => other.to_string(),
        }
    }

    /// Postfix's sentence about a failed look-up: `type` is `MX`, `A`, `AAAA`...
    pub fn sentence(&self, name: &str, record_type: &str) -> String {
        let what = match self {
            Failure::Filtered | Failure::BadFilter => "Error looking up",
            _ => "Host or domain name not found. Name service error for",
        };
        format!("{what} name={name} type={record_type}: {self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_is_postfix_s() {
        assert_eq!(
            Failure::NotFound { secure: false }.sentence("example.test", "MX"),
            "Host or domain name not found. Name service error for name=example.test type=MX: Host not found"
        );
        assert_eq!(
            Failure::Filtered.sentence("example.test", "MX"),
            "Error looking up name=example.test type=MX: DNS reply filter drops all results"
        );
    }
}
