//! DNS lists: presence, absence with its lifetime, and failure.
#![allow(clippy::unwrap_used)] // tests fail loudly

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dns::{Listing, Resolver};
use testkit::name_server::NameServer;

#[tokio::test]
async fn lists_answer_with_codes_or_with_an_absence_that_lasts() {
    let server = NameServer::start(
        "2.0.0.127.list.test 300 A 127.0.0.2\n\
         2.0.0.127.list.test 200 A 127.0.0.10\n\
         1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.test 60 A 127.0.0.3\n\
         list.test 90 SOA\n\
         2.0.0.127.broken.test SERVFAIL\n",
    );
    let resolver = Resolver::with_servers(vec![server.address]);
    let seconds = Duration::from_secs;
    let listed = |last: &[u8], ttl| Listing::Listed {
        addresses: last.iter().map(|last| Ipv4Addr::new(127, 0, 0, *last)).collect(),
        ttl: seconds(ttl),
    };
    for (address, list, expected) in [
        ("127.0.0.2", "list.test", listed(&[2, 10], 200)),
        ("2001:db8::1", "list.test", listed(&[3], 60)),
        ("127.0.0.3", "list.test", Listing::NotListed { ttl: Some(seconds(90)) }),
        ("127.0.0.3", "other.test", Listing::NotListed { ttl: None }),
        ("127.0.0.2", "broken.test", Listing::Unknown(dns::Failure::TryAgain)),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(resolver.listing(address, list).await, expected, "{address} {list}");
    }
    assert_eq!(server.asked()[0], "2.0.0.127.list.test A");
}
