//! postscreen_dnsbl_sites, and what the answers of all lists add up to.

use std::time::Duration;

use access::IpMatch;
use dns::Listing;

/// One DNS list, asked once for a client whatever the number of its filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) domain: String,
    /// Answers to match, any if `None`, and what each match counts. Negative for lists of good clients.
    filters: Vec<(Option<IpMatch>, i32)>,
}

/// Reads `domain[=filter][*weight], ...`. The error is fatal for the service.
pub(super) fn sites(value: &str) -> Result<Vec<Site>, String> {
    let mut sites: Vec<Site> = Vec::new();
    for item in config::list::split_plain(value) {
        let (rest, weight) = match item.split_once('*') {
            None => (item, 1),
            Some((rest, weight)) => {
                let parsed = weight.parse();
                let bad = |_| format!("bad DNSBL weight factor \"{weight}\" in \"{item}\"");
                (rest, parsed.map_err(bad)?)
            }
        };
        let (domain, filter) = match rest.split_once('=') {
            None => (rest, None),
            Some((domain, pattern)) => {
                let parsed = IpMatch::parse(pattern);
                (domain, Some(parsed.map_err(|why| format!("bad DNSBL filter syntax: {why} in \"{item}\""))?))
            }
        };
        if !access::is_hostname(domain) {
            return Err(format!("bad DNSBL domain name \"{domain}\" in \"{item}\""));
        }
        match sites.iter_mut().find(|site| site.domain == domain) {
            Some(site) => site.filters.push((filter, weight)),
            None => sites.push(Site { domain: domain.to_owned(), filters: vec![(filter, weight)] }),
        }
    }
    Ok(sites)
}

/// The sum of what came in so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Score {
    pub(super) total: i32,
    /// The list with the greatest weight that matched.
    pub(super) heaviest: Option<(String, i32)>,
    /// How long a bad total counts: until the first answer expires that could make it better.
    bad_for: Option<Duration>,
    /// How long a good total counts: until the first answer expires that could make it worse.
    good_for: Option<Duration>,
}

impl Score {
    /// Adds the answer of one list.
    pub(super) fn add(&mut self, site: &Site, answer: &Listing) {
        let (addresses, ttl) = match answer {
            Listing::Listed { addresses, ttl } => (addresses.as_slice(), *ttl),
            Listing::NotListed { ttl } => (&[][..], ttl.unwrap_or_default()),
            // Nothing is known: ask again as soon as it is allowed.
            Listing::Unknown(_) => (&[][..], Duration::ZERO),
        };
        let listed = !addresses.is_empty();
        for (filter, weight) in &site.filters {
            let matches = |filter: &IpMatch| addresses.iter().any(|address| filter.matches(*address));
            if listed && filter.as_ref().is_none_or(matches) {
                self.total = self.total.saturating_add(*weight);
                if self.heaviest.as_ref().is_none_or(|(_, heaviest)| heaviest < weight) {
                    self.heaviest = Some((site.domain.clone(), *weight));
                }
            }
            // What would change if the answer became another one.
            let lifetime = if listed == (*weight > 0) { &mut self.bad_for } else { &mut self.good_for };
            *lifetime = Some(lifetime.map_or(ttl, |known| known.min(ttl)));
        }
    }

    /// How long the total counts, within postscreen_dnsbl_min_ttl and postscreen_dnsbl_max_ttl.
    pub(super) fn ttl(&self, least: Duration, most: Duration) -> Duration {
        let lifetime = if self.total > 0 { self.bad_for } else { self.good_for };
        lifetime.unwrap_or_default().max(least).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_with_the_same_domain_are_asked_once() {
        let parsed = sites("a.test=127.0.0.2*3, b.test\n a.test=127.0.0.[3..4] c.test*-2").unwrap();
        let domains: Vec<_> = parsed.iter().map(|site| (site.domain.as_str(), site.filters.len())).collect();
        assert_eq!(domains, [("a.test", 2), ("b.test", 1), ("c.test", 1)]);
        assert_eq!(parsed[0].filters[0].1, 3);
        assert_eq!(parsed[2].filters[0], (None, -2));
    }

    #[test]
    fn mistakes_are_fatal() {
        for (value, expected) in [
            ("a.test*x", "bad DNSBL weight factor \"x\" in \"a.test*x\""),
            ("a.test*", "bad DNSBL weight factor"),
            ("a.test*1*2", "bad DNSBL weight factor"),
            ("a.test=127.0.0", "bad DNSBL filter syntax: need \".\""),
            ("-a.test", "bad DNSBL domain name \"-a.test\""),
            ("=127.0.0.1", "bad DNSBL domain name \"\""),
        ] {
            let error = sites(value).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }

    #[test]
    fn answers_add_up() {
        let sites = sites("bad.test=127.0.0.[2..3]*2 bad.test=127.0.0.3 other.test*4 good.test*-5").unwrap();
        let listed = |code: &[u8], ttl| Listing::Listed {
            addresses: code.iter().map(|last| std::net::Ipv4Addr::new(127, 0, 0, *last)).collect(),
            ttl: Duration::from_secs(ttl),
        };
        let clean = |ttl| Listing::NotListed { ttl: Some(Duration::from_secs(ttl)) };
        let unknown = Listing::Unknown(dns::Failure::TryAgain);
        for (answers, total, heaviest, ttl, why) in [
            ([clean(300), clean(200), clean(50)], 0, None, 200, "lists that do not know the client"),
            ([listed(&[2], 300), clean(200), clean(100)], 2, Some("bad.test"), 100, "the first filter only"),
            ([listed(&[3], 300), clean(200), clean(100)], 3, Some("bad.test"), 100, "both filters"),
            ([listed(&[9], 300), clean(200), clean(100)], 0, None, 200, "another code"),
            ([listed(&[9, 2], 300), clean(200), clean(100)], 2, Some("bad.test"), 100, "one of two codes"),
            ([clean(9), listed(&[1], 70), clean(100)], 4, Some("other.test"), 70, "no filter"),
            ([listed(&[2], 300), listed(&[1], 400), listed(&[1], 900)], 1, Some("other.test"), 300, "all"),
            ([clean(300), clean(200), listed(&[1], 250)], -5, Some("good.test"), 200, "a good client"),
            ([unknown.clone(), clean(200), clean(100)], 0, None, 60, "asked again soon"),
        ] {
            let mut score = Score::default();
            for (site, answer) in sites.iter().zip(&answers) {
                score.add(site, answer);
            }
            let named = score.heaviest.as_ref().map(|(name, _)| name.as_str());
            let found = score.ttl(Duration::from_secs(60), Duration::from_secs(3600)).as_secs();
            assert_eq!((score.total, named, found), (total, heaviest, ttl), "{why}");
        }
    }
}
