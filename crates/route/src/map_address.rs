//! One step of address mapping: what a table gives for an address, as addresses in standard form
//! (canonical(5), virtual(5), generic(5)).

use mail::Address;
use mail::token::MAX_TOKENS;
use tables::Maps;

use crate::rewrite::Context;
use crate::routing::{Failed, Routing};
use mail::header_address::AddressList;

impl Routing {
    /// Looks an address up; `None` when no table has it. With `propagate` the extension that the key lacked is
    /// added to each result. A result `@domain` keeps the user.
    pub(crate) async fn map_address(
        &self,
        maps: &Maps,
        address: &Address,
        propagate: bool,
    ) -> Result<Option<Vec<Address>>, Failed> {
        let Some(found) = self.search(maps, address).await? else { return Ok(None) };
        let mut value = found.value;
        if value.starts_with('@') {
            let local = address.local_part();
            // Without the extension, which may be added again below.
            let user = local.strip_suffix(found.extension.as_str()).unwrap_or(local);
            value =
                Address::internal(format!("{user}{value}")).map_or(value, |address| address.to_external());
        }
        let results = AddressList::parse(&value, MAX_TOKENS).addresses();
        if results.is_empty() {
            let parameter = maps.parameter();
            let reason = format!("{parameter} lookup of {address} returns non-address result \"{value}\"");
            return Err(Failed { reason });
        }
        let extension = if propagate { found.extension.as_str() } else { "" };
        Ok(Some(results.iter().map(|result| self.finish(result, extension)).collect()))
    }

    /// Standard form, with the extension.
    fn finish(&self, result: &Address, extension: &str) -> Address {
        let result = self.rewrite(Context::Local, result);
        match extension {
            "" => result,
            extension => result.with_local_part(&format!("{}{extension}", result.local_part())),
        }
    }
}

#[cfg(test)]
mod tests {
    use tables::{Flags, Tables};

    use super::*;
    use crate::routing::tests::{address, now, routing};

    #[test]
    fn results_extensions_and_errors() {
        let routing = routing("");
        //   table                               address         propagate  results
        for (table, given, propagate, expected) in [
            ("inline:{a@x.test=b}", "a@x.test", true, Ok(Some("b@example.test"))),
            ("inline:{a@x.test=b}", "a+e@x.test", true, Ok(Some("b+e@example.test"))),
            ("inline:{a@x.test=b}", "a+e@x.test", false, Ok(Some("b@example.test"))),
            ("inline:{a+e@x.test=b}", "a+e@x.test", true, Ok(Some("b@example.test"))),
            ("inline:{@x.test=@y.test}", "a+e@x.test", true, Ok(Some("a+e@y.test"))),
            ("inline:{a@x.test=@y.test}", "a+e@x.test", true, Ok(Some("a+e@y.test"))),
            ("inline:{a@x.test=@y.test}", "a+e@x.test", false, Ok(Some("a@y.test"))),
            ("inline:{ {a@x.test = b, c@y.test} }", "a@x.test", true, Ok(Some("b@example.test c@y.test"))),
            ("inline:{a@x.test=b}", "z@x.test", true, Ok(None)),
            ("inline:{ {a@x.test = ,} }", "a@x.test", true, Err(())),
            ("fail:x", "a@x.test", true, Err(())),
        ] {
            let maps = Maps::open(&Tables::silent(), "p", table, Flags::default());
            let found = now(routing.map_address(&maps, &address(given), propagate)).map_err(|_| ());
            let found = found.map(|f| f.map(|f| f.iter().map(Address::as_str).collect::<Vec<_>>().join(" ")));
            assert_eq!(
                found.as_ref().map(Option::as_deref),
                expected.as_ref().map(|e| *e),
                "{table} {given}"
            );
        }
    }
}
