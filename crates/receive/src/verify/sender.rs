//! The sender of probes (`address_verify_sender`). With `address_verify_sender_ttl` its local part changes with time, so that
//! nobody can collect the address and write to it for ever.

use config::{Settings, params};
use mail::Address;
use route::{Context, Routing};

use super::record::UnixTime;

/// Digits and consonants, as in Postfix's addresses.
const ALPHABET: &[u8; 31] = b"0123456789BCDFGHJKLMNPQRSTVWXYZ";

/// The address, or its parts where it changes.
pub(super) struct ProbeSender {
    /// Null for probes with the null sender.
    address: Address,
    /// Seconds; 0 for an address that stays.
    ttl: u64,
}

impl ProbeSender {
    pub(super) fn read(settings: &Settings, routing: &Routing) -> ProbeSender {
        let text = settings.get(params::address_verify_sender).trim();
        let address = match text {
            "" | "<>" => Address::null(),
            text => Address::internal(text)
                .map_or(Address::null(), |sender| routing.rewrite(Context::Local, &sender)),
        };
        ProbeSender { address, ttl: settings.get(params::address_verify_sender_ttl).as_secs() }
    }

    /// The sender of a probe made at this time.
    pub(super) fn at(&self, time: UnixTime) -> Address {
        match time.checked_div(self.ttl) {
            Some(epoch) if !self.address.is_null() => {
                let local = format!("{}{}", self.address.local_part(), digits(epoch));
                self.address.with_local_part(&local)
            }
            _ => self.address.clone(),
        }
    }

    /// Is it the sender of probes made about this time? Servers ask back within the life of the address, or a little later.
    pub(super) fn was(&self, address: &Address, time: UnixTime) -> bool {
        let times = [time.saturating_sub(self.ttl), time, time.saturating_add(self.ttl)];
        !self.address.is_null()
            && times.iter().any(|time| self.at(*time).as_str().eq_ignore_ascii_case(address.as_str()))
    }
}

fn digits(mut number: u64) -> String {
    let mut text = Vec::new();
    loop {
        text.push(char::from(ALPHABET[(number % 31) as usize]));
        number /= 31;
        if number == 0 {
            return text.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::internal(text).unwrap()
    }

    #[test]
    fn the_address_changes_with_time() {
        let fixed = ProbeSender { address: address("double-bounce@x.test"), ttl: 0 };
        assert_eq!(fixed.at(5), fixed.address);
        assert!(fixed.was(&address("Double-Bounce@X.test"), 5) && !fixed.was(&address("other@x.test"), 5));
        let changing = ProbeSender { address: address("probe@x.test"), ttl: 100 };
        assert_eq!(changing.at(3199).as_str(), "probe10@x.test");
        for (time, expected) in [(3050, true), (3150, true), (3250, true), (3350, false), (2950, false)] {
            assert_eq!(changing.was(&address("probe10@x.test"), time), expected, "{time}");
        }
        let null = ProbeSender { address: Address::null(), ttl: 100 };
        assert!(null.at(7).is_null() && !null.was(&Address::null(), 7));
        assert_eq!(digits(0), "0");
    }
}
