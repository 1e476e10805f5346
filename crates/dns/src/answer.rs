//! One answer.

use std::time::Duration;

use crate::record::{Data, Rr};

/// Records of one type, with what is known about how they came. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<T> {
    /// The records, in the order of the reply.
    pub records: Vec<T>,
    /// True when the server vouched (AD) for every reply that was needed, the aliases' included.
    pub secure: bool,
    /// How long the answer may be kept: the least lifetime of its records and aliases.
    pub ttl: Duration,
    /// The aliases that were followed, first the name that was asked for; empty when there was none.
    pub aliases: Vec<String>,
    /// The name that has the records. Differs from the name that was asked for when there were aliases.
    pub name: String,
}

impl Answer<Rr> {
    /// The same answer with its records turned into something else; what gives nothing is left out.
    pub(crate) fn select<U>(&self, select: impl Fn(&Data) -> Option<U>) -> Answer<U> {
        Answer {
            records: self.records.iter().filter_map(|record| select(&record.data)).collect(),
            secure: self.secure,
            ttl: self.ttl,
            aliases: self.aliases.clone(),
            name: self.name.clone(),
        }
    }
}
