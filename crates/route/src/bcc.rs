//! Copies that the administrator asked for: always_bcc, sender_bcc_maps, recipient_bcc_maps.

use mail::Address;
use tables::Maps;

use crate::canonical::Place;
use crate::rewrite::Context;
use crate::routing::{Failed, Routing};

impl Routing {
    /// The recipient of a copy of every message.
    pub async fn always_bcc(&self) -> Result<Option<Address>, Failed> {
        match self.always_bcc.as_str() {
            "" => Ok(None),
            text => self.bcc_address(text).await,
        }
    }

    /// The recipient of a copy of everything from a sender in final form.
    pub async fn sender_bcc(&self, sender: &Address) -> Result<Option<Address>, Failed> {
        self.mapped_bcc(&self.sender_bcc_maps, sender).await
    }

    /// The recipient of a copy of everything to a recipient as it is before virtual aliases.
    pub async fn recipient_bcc(&self, recipient: &Address) -> Result<Option<Address>, Failed> {
        self.mapped_bcc(&self.recipient_bcc_maps, recipient).await
    }

    async fn mapped_bcc(&self, maps: &Maps, address: &Address) -> Result<Option<Address>, Failed> {
        if address.is_null() {
            return Ok(None);
        }
        match self.search(maps, address).await? {
            Some(found) => self.bcc_address(&found.value).await,
            None => Ok(None),
        }
    }

    /// Standard form and canonical maps, as for any recipient.
    async fn bcc_address(&self, text: &str) -> Result<Option<Address>, Failed> {
        let address = Address::external(text)
            .map_err(|why| Failed { reason: format!("bad bcc address \"{text}\": {why}") })?;
        let address = self.rewrite(Context::Local, &address);
        self.canonicalize(Place::EnvelopeRecipient, &address).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::tests::{address, now, routing};

    #[test]
    fn copies() {
        let routing = routing(
            "always_bcc = archive\nsender_bcc_maps = inline:{@s.test=watch@w.test}\n\
             recipient_bcc_maps = inline:{u@r.test=copy}\n",
        );
        let text = |found: Result<Option<Address>, Failed>| found.unwrap().map(|a| a.as_str().to_owned());
        assert_eq!(text(now(routing.always_bcc())).as_deref(), Some("archive@example.test"));
        assert_eq!(text(now(routing.sender_bcc(&address("x@s.test")))).as_deref(), Some("watch@w.test"));
        assert_eq!(text(now(routing.sender_bcc(&address("")))), None);
        assert_eq!(
            text(now(routing.recipient_bcc(&address("u+e@r.test")))).as_deref(),
            Some("copy@example.test")
        );
        assert_eq!(text(now(routing.recipient_bcc(&address("v@r.test")))), None);
    }
}
