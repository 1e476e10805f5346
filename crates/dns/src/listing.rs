//! Answers of DNS lists (RFC 5782), for which an absence is as good an answer as a presence, and lives as long as its SOA
//! record says.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use domain::base::Message;
use domain::rdata::AllRecordData;

use crate::failure::Failure;

/// What a DNS list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// On the list.
    Listed {
        /// Codes in the form of addresses, as a rule 127.0.0.x; what they mean is the list's business.
        addresses: Vec<Ipv4Addr>,
        /// How long the answer may be kept.
        ttl: Duration,
    },
    /// Not on the list.
    NotListed {
        /// How long the absence may be believed (RFC 2308 section 5); `None` when the server did not say.
        ttl: Option<Duration>,
    },
    /// Nothing is known.
    Unknown(Failure),
}

/// RFC 2308 section 5: the lesser of the SOA record's own lifetime and its MINIMUM field.
pub(crate) fn absence_ttl(reply: &Message<Bytes>) -> Option<Duration> {
    let message = Message::from_octets(reply.as_slice()).ok()?;
    let authority = message.authority().ok()?;
    authority.limit_to_in::<AllRecordData<_, _>>().flatten().find_map(|record| match record.data() {
        AllRecordData::Soa(soa) => {
            let seconds = record.ttl().as_secs().min(soa.minimum().as_secs());
            Some(Duration::from_secs(u64::from(seconds)))
        }
        _ => None,
    })
}
