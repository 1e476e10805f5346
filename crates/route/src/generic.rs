//! generic(5): addresses of mail that leaves for the Internet, mapped by the SMTP client (smtp_generic_maps).

use mail::Address;

use crate::routing::{Failed, Routing};

impl Routing {
    /// Are there any generic maps?
    pub fn has_generic_maps(&self) -> bool {
        !self.generic_maps.is_empty()
    }

    /// What remote servers shall see for an address of envelope or header; once, not recursively.
    pub async fn generic(&self, address: &Address) -> Result<Address, Failed> {
        if address.is_null() || self.generic_maps.is_empty() {
            return Ok(address.clone());
        }
        let found = self.map_address(&self.generic_maps, address, self.propagates("generic")).await?;
        Ok(found.and_then(|results| results.into_iter().next()).unwrap_or_else(|| address.clone()))
    }
}

#[cfg(test)]
mod tests {
    use crate::routing::tests::{address, now, routing};

    #[test]
    fn one_step_only() {
        let routing = routing("smtp_generic_maps = inline:{a@local.test=b@isp.test,b@isp.test=c@isp.test}\n");
        for (given, expected) in [("a@local.test", "b@isp.test"), ("x@local.test", "x@local.test"), ("", "")]
        {
            assert_eq!(now(routing.generic(&address(given))).unwrap().as_str(), expected);
        }
    }
}
