//! The order in which a domain name and its parents are looked up.

/// How parents are asked for; chosen by parent_domain_matches_subdomains, which lists the parameters of the first
/// kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentStyle {
    /// `example.com` also stands for its sub-domains.
    MatchParent,
    /// Sub-domains are meant by `.example.com` only.
    DotParent,
}

impl ParentStyle {
    /// The style of one parameter, given the value of parent_domain_matches_subdomains.
    pub fn of(parameter: &str, parent_domain_matches_subdomains: &str) -> Self {
        let listed = config::list::split(parent_domain_matches_subdomains)
            .iter()
            .any(|name| name.eq_ignore_ascii_case(parameter));
        if listed { ParentStyle::MatchParent } else { ParentStyle::DotParent }
    }
}

/// The keys for a domain, most specific first: the name itself, then each parent, with its dot when the style says so.
/// The top-level domain is included.
pub fn keys(domain: &str, style: ParentStyle) -> impl Iterator<Item = &str> {
    let mut next = (!domain.is_empty()).then_some(domain);
    std::iter::from_fn(move || {
        let key = next?;
        let after = key.char_indices().nth(1).map_or(key.len(), |(at, _)| at);
        next = key[after..].find('.').map(|dot| after + dot).and_then(|dot| {
            let parent = match style {
                ParentStyle::DotParent => &key[dot..],
                ParentStyle::MatchParent => &key[dot + 1..],
            };
            (!parent.is_empty()).then_some(parent)
        });
        Some(key)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents() {
        for (domain, style, expected) in [
            ("a.b.c", ParentStyle::DotParent, &["a.b.c", ".b.c", ".c"][..]),
            ("a.b.c", ParentStyle::MatchParent, &["a.b.c", "b.c", "c"]),
            ("a", ParentStyle::DotParent, &["a"]),
            ("", ParentStyle::DotParent, &[]),
            ("a.", ParentStyle::MatchParent, &["a."]),
            ("a.", ParentStyle::DotParent, &["a.", "."]),
            (".a.b", ParentStyle::DotParent, &[".a.b", ".b"]),
            ("\u{e9}.b", ParentStyle::DotParent, &["\u{e9}.b", ".b"]),
        ] {
            assert_eq!(keys(domain, style).collect::<Vec<_>>(), expected, "{domain}");
        }
    }

    #[test]
    fn the_style_is_chosen_by_name() {
        let listed = "debug_peer_list, relay_domains smtpd_access_maps";
        assert_eq!(ParentStyle::of("relay_domains", listed), ParentStyle::MatchParent);
        assert_eq!(ParentStyle::of("transport_maps", listed), ParentStyle::DotParent);
    }
}
