//! The outcome of one lookup.

/// What a table says about a key. A failure is never an absence: who can not know must defer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Lookup {
    /// The value, never checked for meaning here.
    Found(String),
    /// The table is sound and does not hold the key.
    Absent,
    /// The table could not be asked. The reason goes to the log; the peer hears of a temporary error only.
    Failed(String),
}

impl Lookup {
    /// The value, if there is one, or the reason of a failure as the error.
    pub fn into_result(self) -> Result<Option<String>, String> {
        match self {
            Lookup::Found(value) => Ok(Some(value)),
            Lookup::Absent => Ok(None),
            Lookup::Failed(reason) => Err(reason),
        }
    }
}

impl From<Option<String>> for Lookup {
    fn from(value: Option<String>) -> Self {
        value.map_or(Lookup::Absent, Lookup::Found)
    }
}

impl From<Result<Option<String>, String>> for Lookup {
    fn from(result: Result<Option<String>, String>) -> Self {
        match result {
            Ok(value) => value.into(),
            Err(reason) => Lookup::Failed(reason),
        }
    }
}
