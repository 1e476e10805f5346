//! TLSA records as RFC 7672 uses them: which are usable, and which digests count (postconf(5), tls_dane_digests).

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;

/// A TLSA record (RFC 6698), its fields as numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsaRecord {
    /// Certificate usage: 2 (trust anchor) and 3 (end entity) are for SMTP.
    pub usage: u8,
    /// 0 for the certificate, 1 for its public key.
    pub selector: u8,
    /// 0 for the thing itself, otherwise the number of a digest.
    pub matching_type: u8,
    /// The association data.
    pub data: Vec<u8>,
}

/// RFC 7672 section 3.1: a certificate or key of the chain.
pub(crate) const TRUST_ANCHOR: u8 = 2;
/// RFC 7672 section 3.1: the server's own certificate or key.
pub(crate) const END_ENTITY: u8 = 3;

impl TlsaRecord {
    /// Can it match anything? Usages 0 and 1 are not for SMTP (RFC 7672 section 3.1.3).
    fn is_usable(&self, digests: &Digests) -> bool {
        let fits = match (self.matching_type, self.selector) {
            (0, 0) => X509::from_der(&self.data).is_ok(),
            (0, _) => PKey::public_key_from_der(&self.data).is_ok(),
            (number, _) => digests.get(number).is_some_and(|(_, digest)| digest.size() == self.data.len()),
        };
        matches!(self.usage, TRUST_ANCHOR | END_ENTITY) && self.selector <= 1 && fits
    }
}

impl std::fmt::Display for TlsaRecord {
    /// `3 1 1 HEX`, the data cut at 32 bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching_type)?;
        self.data.iter().take(32).try_for_each(|byte| write!(f, "{byte:02X}"))?;
        if self.data.len() > 32 { f.write_str("...") } else { Ok(()) }
    }
}

/// The digests that TLSA records may use, strongest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests(Vec<(u8, String)>);

impl Digests {
    /// Reads tls_dane_digests: `sha512 sha256`, or `name=number` for digests that the registry has no number for.
    pub fn parse(text: &str) -> Result<Digests, String> {
        let mut found: Vec<(u8, String)> = Vec::new();
        for word in config::list::split(text) {
            let (name, number) = match word.split_once('=') {
                Some((name, number)) => (name, number.parse().ok()),
                None if word.eq_ignore_ascii_case("sha256") => (word, Some(1)),
                None if word.eq_ignore_ascii_case("sha512") => (word, Some(2)),
                None => (word, None),
            };
            let number: u8 = match number {
                Some(number @ 1..=254) => number,
                _ => {
                    return Err(format!(
                        "tls_dane_digests: \"{word}\" needs a number from 1 to 254: name=number"
                    ));
                }
            };
            if MessageDigest::from_name(name).is_none() {
                return Err(format!("tls_dane_digests: the library has no digest \"{name}\""));
            }
            if found.iter().any(|(other, _)| *other == number) {
                return Err(format!("tls_dane_digests: the number {number} stands there twice"));
            }
            found.push((number, name.to_owned()));
        }
        Ok(Digests(found))
    }

    /// Number and digest of each, strongest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u8, MessageDigest)> {
        self.0.iter().filter_map(|(number, name)| Some((*number, MessageDigest::from_name(name)?)))
    }

    /// The rank of a digest, 0 for the strongest.
    fn get(&self, number: u8) -> Option<(usize, MessageDigest)> {
        let rank = self.0.iter().position(|(other, _)| *other == number)?;
        Some((rank, MessageDigest::from_name(&self.0[rank].1)?))
    }

    /// The records that count: usable ones, and of those with digests only the strongest for each usage and selector (RFC 7671
    /// section 9). In an order of their own, without repetition, so that equal sets are equal lists.
    pub fn usable(&self, records: &[TlsaRecord]) -> Vec<TlsaRecord> {
        let usable: Vec<&TlsaRecord> = records.iter().filter(|record| record.is_usable(self)).collect();
        let rank = |record: &TlsaRecord| self.get(record.matching_type).map(|(rank, _)| rank);
        let counts = |record: &&&TlsaRecord| {
            record.matching_type == 0
                || usable.iter().all(|other| {
                    (other.usage, other.selector) != (record.usage, record.selector)
                        || other.matching_type == 0
                        || rank(other) >= rank(record)
                })
        };
        let mut found: Vec<TlsaRecord> =
            usable.iter().filter(counts).map(|record| (*record).clone()).collect();
        found.sort_by(|a, b| {
            let key = |r: &TlsaRecord| (r.usage, r.selector, r.matching_type);
            key(b).cmp(&key(a)).then_with(|| a.data.cmp(&b.data))
        });
        found.dedup();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(usage: u8, selector: u8, matching_type: u8, length: usize) -> TlsaRecord {
        TlsaRecord { usage, selector, matching_type, data: vec![7; length] }
    }

    #[test]
    fn only_what_can_match_is_usable() {
        let digests = Digests::parse("sha512 sha256").unwrap();
        for (candidate, expected) in [
            (record(3, 1, 1, 32), true),
            (record(3, 0, 2, 64), true),
            (record(2, 1, 1, 32), true),
            // PKIX usages, unknown selectors and digests, wrong lengths, and what is no certificate or key.
            (record(0, 1, 1, 32), false),
            (record(1, 1, 1, 32), false),
            (record(4, 1, 1, 32), false),
            (record(3, 2, 1, 32), false),
            (record(3, 1, 3, 32), false),
            (record(3, 1, 255, 32), false),
            (record(3, 1, 1, 31), false),
            (record(3, 1, 1, 0), false),
            (record(3, 0, 0, 32), false),
            (record(3, 1, 0, 32), false),
        ] {
            assert_eq!(
                digests.usable(std::slice::from_ref(&candidate)).len(),
                usize::from(expected),
                "{candidate}"
            );
        }
    }

    #[test]
    fn the_strongest_digest_of_each_usage_and_selector_counts() {
        let (weak, strong) = (record(3, 1, 1, 32), record(3, 1, 2, 64));
        let (other_selector, anchor) = (record(3, 0, 1, 32), record(2, 1, 1, 32));
        let all = [weak.clone(), strong.clone(), other_selector.clone(), anchor.clone(), strong.clone()];
        let found = Digests::parse("sha512 sha256").unwrap().usable(&all);
        assert_eq!(found, [strong.clone(), other_selector.clone(), anchor.clone()]);
        let found = Digests::parse("sha256").unwrap().usable(&all);
        assert_eq!(found, [weak.clone(), other_selector, anchor]);
        assert_eq!(Digests::parse("sha256 sha512").unwrap().usable(&all[..2]), [weak]);
        assert_eq!(Digests::parse("").unwrap().usable(&all), []);
    }

    #[test]
    fn digests_have_numbers() {
        assert_eq!(
            Digests::parse("sha512, sha256 sha384=7").unwrap().iter().map(|(n, _)| n).collect::<Vec<_>>(),
            [2, 1, 7]
        );
        for text in ["sha384", "sha256=0", "sha256=255", "nosuch=9", "sha256 sha512=1"] {
            assert!(Digests::parse(text).is_err(), "{text}");
        }
    }
}
