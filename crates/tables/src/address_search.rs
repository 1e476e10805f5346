//! The order in which mail addresses are looked up: virtual(5), canonical(5), transport(5), access(5), and the
//! address extension that a lookup leaves unmatched.
//!
//! Each key is tried in external (quoted) form first and then, when that differs, in internal form.

use mail::Address;

use crate::domain_search::{self, ParentStyle};
use crate::maps::{Key, Maps};

/// Which keys are tried after the full address, which always comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// `user@domain` when the address has an extension.
    pub without_extension: bool,
    /// `user+ext` and `user`, when the domain is local.
    pub local_part_if_local: bool,
    /// `@domain`.
    pub at_domain: bool,
    /// `domain`, and its parents in this style.
    pub domain: Option<ParentStyle>,
    /// `user+ext@` and `user@`.
    pub local_part_at: bool,
}

impl Order {
    /// virtual(5), canonical(5), relocated(5), generic(5), sender-dependent maps and all maps of recipients.
    pub const DEFAULT: Order = Order {
        without_extension: true,
        local_part_if_local: true,
        at_domain: true,
        domain: None,
        local_part_at: false,
    };

    /// transport(5), before its `*`.
    pub const fn transport(style: ParentStyle) -> Order {
        Order {
            without_extension: true,
            local_part_if_local: false,
            at_domain: false,
            domain: Some(style),
            local_part_at: false,
        }
    }

    /// access(5) for mail addresses.
    pub const fn access(style: ParentStyle) -> Order {
        Order {
            without_extension: true,
            local_part_if_local: false,
            at_domain: false,
            domain: Some(style),
            local_part_at: true,
        }
    }
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The table's value.
    pub value: String,
    /// The part of the address's extension, delimiter included, that the matching key lacked; empty when the key had
    /// it, and for `@domain` and `domain` keys.
    pub extension: String,
}

/// What a search needs to know besides the address.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// recipient_delimiter.
    pub delimiters: &'a str,
    /// True when the address's domain is $myorigin or a local one. Only asked with `local_part_if_local`.
    pub domain_is_local: bool,
}

/// Searches `maps` for an address. `Ok(None)` is an absence, the error the reason of a failure.
pub async fn find(
    maps: &Maps,
    address: &Address,
    order: Order,
    context: Context<'_>,
) -> Result<Option<Found>, String> {
    if maps.is_empty() {
        return Ok(None);
    }
    let whole = address.as_str();
    let (local, domain) = match whole.rsplit_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (whole, None),
    };
    let split = if order.without_extension { split_extension(local, context.delimiters) } else { None };
    let (bare, extension) = split.unwrap_or((local, ""));
    let has_extension = split.is_some();
    let found = |value: String, extension: &str| Ok(Some(Found { value, extension: extension.to_owned() }));

    if let Some(value) = ask(maps, Forms::new(local, domain), Key::Full).await? {
        return found(value, "");
    }
    if has_extension && let Some(value) = ask(maps, Forms::new(bare, domain), Key::Partial).await? {
        return found(value, extension);
    }
    let Some(domain) = domain else { return Ok(None) };
    if order.local_part_if_local && context.domain_is_local {
        if let Some(value) = ask(maps, Forms::new(local, None), Key::Partial).await? {
            return found(value, "");
        }
        if has_extension && let Some(value) = ask(maps, Forms::new(bare, None), Key::Partial).await? {
            return found(value, extension);
        }
    }
    if order.at_domain
        && let Some(value) = maps.find(&format!("@{domain}"), Key::Partial).await.into_result()?
    {
        return found(value, "");
    }
    if let Some(style) = order.domain {
        for key in domain_search::keys(domain, style) {
            if let Some(value) = maps.find(key, Key::Partial).await.into_result()? {
                return found(value, "");
            }
        }
    }
    if order.local_part_at {
        if let Some(value) = ask(maps, Forms::new(local, Some("")), Key::Partial).await? {
            return found(value, "");
        }
        if has_extension && let Some(value) = ask(maps, Forms::new(bare, Some("")), Key::Partial).await? {
            return found(value, extension);
        }
    }
    Ok(None)
}

/// The forms of a key.
struct Forms {
    /// Quoted, where that differs from the internal form; asked for first.
    external: Option<String>,
    internal: String,
}

impl Forms {
    fn new(local: &str, domain: Option<&str>) -> Forms {
        let with_domain = |local: &str| match domain {
            Some(domain) => [local, "@", domain].concat(),
            None => local.to_owned(),
        };
        let internal = with_domain(local);
        if mail::address::is_dot_atom(local) {
            return Forms { external: None, internal };
        }
        // A bare local part may hold an `@` of its own: quoted with a stand-in domain, which is taken off again.
        let stand_in = Address::internal(format!("{local}@x")).map(|address| address.to_external());
        let external = stand_in.map(|quoted| with_domain(&quoted[..quoted.len() - 2]));
        Forms { external: external.ok().filter(|external| *external != internal), internal }
    }
}

async fn ask(maps: &Maps, forms: Forms, kind: Key) -> Result<Option<String>, String> {
    if let Some(external) = &forms.external
        && let Some(value) = maps.find(external, kind).await.into_result()?
    {
        return Ok(Some(value));
    }
    maps.find(&forms.internal, kind).await.into_result()
}

/// Splits a local part at the first of the delimiter characters: `user+ext` gives `user` and `+ext`. `None` when there
/// is none, and for the names that Postfix never splits: postmaster, mailer-daemon and double-bounce, and owner-list
/// and list-request when `-` is a delimiter. A local part that begins with a delimiter is not split either.
pub fn split_extension<'a>(local: &'a str, delimiters: &str) -> Option<(&'a str, &'a str)> {
    for reserved in ["postmaster", "mailer-daemon", "double-bounce"] {
        if local.eq_ignore_ascii_case(reserved) {
            return None;
        }
    }
    if delimiters.contains('-') && is_owner_or_request(local) {
        return None;
    }
    let at = local.find(|c| delimiters.contains(c))?;
    (at > 0).then(|| local.split_at(at))
}

/// `owner-list` and `list-request` belong to the list's owner (owner_request_special).
fn is_owner_or_request(local: &str) -> bool {
    let lower = local.to_ascii_lowercase();
    lower.starts_with("owner-") || lower.ends_with("-request")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::tests::now;
    use crate::map::{Flags, Tables};

    fn search(
        table: &str,
        address: &str,
        order: Order,
        local: bool,
    ) -> Result<Option<(String, String)>, String> {
        let maps = Maps::open(&Tables::silent(), "p", table, Flags::default());
        let address = Address::internal(address).unwrap();
        let context = Context { delimiters: "+", domain_is_local: local };
        now(find(&maps, &address, order, context)).map(|f| f.map(|f| (f.value, f.extension)))
    }

    #[test]
    fn the_default_order() {
        let all = "inline:{u+e@d=1,u@d=2,u+e=3,u=4,@d=5}";
        //   table                        address  local  value and extension
        for (table, address, local, expected) in [
            (all, "u+e@d", true, Some(("1", ""))),
            (all, "U+E@D", true, Some(("1", ""))),
            ("inline:{u@d=2,u+e=3,u=4,@d=5}", "u+e@d", true, Some(("2", "+e"))),
            ("inline:{u+e=3,u=4,@d=5}", "u+e@d", true, Some(("3", ""))),
            ("inline:{u=4,@d=5}", "u+e@d", true, Some(("4", "+e"))),
            ("inline:{u=4,@d=5}", "u+e@d", false, Some(("5", ""))),
            ("inline:{@d=5}", "u+e@d", true, Some(("5", ""))),
            ("inline:{u=4}", "u@d", false, None),
            ("inline:{d=6}", "u@d", true, None),
            ("regexp:{{/^u@d$/ 7}}", "u+e@d", true, None),
            ("regexp:{{/^u\\+e@d$/ 7}}", "u+e@d", true, Some(("7", ""))),
            ("inline:{ {\"a b\"@d = 8} }", "a b@d", false, Some(("8", ""))),
            ("inline:{ {a b@d = 8} }", "a b@d", false, Some(("8", ""))),
            ("inline:{u=4}", "u", true, Some(("4", ""))),
        ] {
            let found = search(table, address, Order::DEFAULT, local).unwrap();
            let found = found.as_ref().map(|(value, extension)| (value.as_str(), extension.as_str()));
            assert_eq!(found, expected, "{table} {address}");
        }
        assert!(search("inline:{@d=5} fail:x", "u@d", Order::DEFAULT, true).is_err());
    }

    #[test]
    fn transport_and_access_orders() {
        let dot = Order::transport(ParentStyle::DotParent);
        let access = Order::access(ParentStyle::MatchParent);
        for (order, table, address, expected) in [
            (dot, "inline:{u@a.b=1,a.b=2,.b=3}", "u+e@a.b", Some("1")),
            (dot, "inline:{a.b=2,.b=3}", "u@a.b", Some("2")),
            (dot, "inline:{.b=3}", "u@a.b", Some("3")),
            (dot, "inline:{b=3}", "u@a.b", None),
            (dot, "inline:{@a.b=3}", "u@a.b", None),
            (access, "inline:{b=3,u@=4}", "u@a.b", Some("3")),
            (access, "inline:{u@=4}", "u+e@a.b", Some("4")),
            (access, "inline:{u+e@=4}", "u+e@a.b", Some("4")),
        ] {
            let found = search(table, address, order, false).unwrap();
            assert_eq!(found.map(|(value, _)| value).as_deref(), expected, "{table} {address}");
        }
    }

    #[test]
    fn extensions() {
        for (local, delimiters, expected) in [
            ("user+ext", "+", Some(("user", "+ext"))),
            ("user+a+b", "+", Some(("user", "+a+b"))),
            ("user-a+b", "+-", Some(("user", "-a+b"))),
            ("user", "+", None),
            ("+ext", "+", None),
            ("+a+b", "+", None),
            ("user+", "+", Some(("user", "+"))),
            ("Postmaster", "m", None),
            ("user+ext", "", None),
            ("owner-list", "-", None),
            ("list-request", "-", None),
            ("owner-list+x", "+", Some(("owner-list", "+x"))),
            ("MAILER-DAEMON", "-", None),
            ("double-bounce", "-", None),
            ("\u{e9}+x", "+", Some(("\u{e9}", "+x"))),
        ] {
            assert_eq!(split_extension(local, delimiters), expected, "{local}");
        }
    }
}
