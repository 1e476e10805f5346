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

    /// Postfix's sentence about a failed look-up: `type` is `MX`, `A`, `AAAA`...
    pub fn sentence(&self, name: &str, record_type: &str) -> String {
        format!(
            "Host or domain name not found. Name service error for name={name} type={record_type}: {self}"
        )
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
    }
}
