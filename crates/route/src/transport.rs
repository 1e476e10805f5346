//! transport(5): what overrides transport and next hop for a recipient or a domain.

use mail::Address;
use tables::address_search::Order;
use tables::domain_search::ParentStyle;
use tables::{Lookup, Maps};

use crate::routing::{Failed, Routing};

/// transport_maps with its way of matching parents.
pub(crate) struct TransportMaps {
    maps: Maps,
    style: ParentStyle,
}

impl TransportMaps {
    pub(crate) fn new(maps: Maps, style: ParentStyle) -> Self {
        TransportMaps { maps, style }
    }
}

/// A transport and where it shall go. The text of `next_hop` means what the transport makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) transport: String,
    pub(crate) next_hop: String,
}

impl Hop {
    /// `transport`, `transport:` or `transport:next_hop`, as parameters have it; without a next hop the one given.
    pub(crate) fn parse(text: &str, next_hop: &str) -> Hop {
        let (transport, explicit) = text.split_once(':').unwrap_or((text, ""));
        let next_hop = if explicit.is_empty() { next_hop } else { explicit };
        Hop { transport: transport.to_owned(), next_hop: next_hop.to_owned() }
    }

    /// Applies the value of a transport table.
    pub(crate) fn apply(&mut self, value: &str, recipient_domain: &str) {
        let (transport, next_hop) = value.split_once(':').unwrap_or((value, ""));
        if !transport.is_empty() {
            self.transport = transport.to_owned();
            // Another transport reads its next hop in another way, so main.cf's does not stay.
            self.next_hop = match transport {
                "error" | "retry" => "Address is undeliverable".to_owned(),
                _ => recipient_domain.to_owned(),
            };
        }
        if !next_hop.is_empty() {
            self.next_hop = next_hop.to_owned();
        }
    }
}

impl Routing {
    /// Looks up a recipient in transport_maps: address, domain and parents, then `*`.
    pub(crate) async fn apply_transport_maps(
        &self,
        transport_maps: &TransportMaps,
        recipient: &Address,
        recipient_domain: &str,
        hop: &mut Hop,
    ) -> Result<(), Failed> {
        let TransportMaps { maps, style } = transport_maps;
        if maps.is_empty() {
            return Ok(());
        }
        if let Some(found) = self.search_in_order(maps, recipient, Order::transport(*style)).await? {
            hop.apply(&found.value, recipient_domain);
            return Ok(());
        }
        match maps.find("*", tables::Key::Full).await {
            Lookup::Found(value) => hop.apply(&value, recipient_domain),
            Lookup::Absent => {}
            Lookup::Failed(reason) => return Err(Failed { reason }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_transport_tables() {
        //   value                  transport and next hop afterwards
        for (value, transport, next_hop) in [
            ("lmtp:unix:/run/lmtp", "lmtp", "unix:/run/lmtp"),
            ("smtp:[mx.test]:2525", "smtp", "[mx.test]:2525"),
            ("smtp:", "smtp", "d.test"),
            ("smtp", "smtp", "d.test"),
            (":other.test", "before", "other.test"),
            (":", "before", "hop"),
            ("error:4.7.0 not now", "error", "4.7.0 not now"),
            ("error:", "error", "Address is undeliverable"),
            ("retry", "retry", "Address is undeliverable"),
        ] {
            let mut hop = Hop { transport: "before".into(), next_hop: "hop".into() };
            hop.apply(value, "d.test");
            assert_eq!((hop.transport.as_str(), hop.next_hop.as_str()), (transport, next_hop), "{value}");
        }
    }
}
