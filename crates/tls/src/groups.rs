//! Key exchange groups (postconf(5), tls_eecdh_auto_curves and tls_ffdhe_auto_groups): one ordered list for both sides.

use openssl::ssl::{SslContext, SslContextBuilder, SslMethod};

use crate::Notice;

/// What takes the place of a list without a usable name.
const DEFAULT: &str = "X25519:X448:prime256v1:secp384r1:secp521r1:ffdhe2048:ffdhe3072";

/// Sets the groups that the library knows, in the given order. An unknown name is left out silently, as in Postfix; with
/// no known name at all the library's own list stays.
pub(crate) fn apply(context: &mut SslContextBuilder, curves: &str, fields: &str) -> Option<Notice> {
    let mut known: Vec<&str> = Vec::new();
    let words = [curves, fields];
    for name in
        words.iter().flat_map(|list| list.split([',', ':', ' ', '\t', '\r', '\n'])).filter(|w| !w.is_empty())
    {
        if !known.iter().any(|seen| seen.eq_ignore_ascii_case(name)) && is_known(name) {
            known.push(name);
        }
    }
    if known.is_empty() {
        if words.iter().all(|list| list.trim().is_empty()) {
            return None;
        }
        // As in Postfix: its own list, or else what the library has.
        let _ = context.set_groups_list(DEFAULT);
        return Some(Notice("none of the configured key exchange groups are supported".into()));
    }
    match context.set_groups_list(&known.join(":")) {
        Ok(()) => None,
        Err(error) => Some(Notice(format!("key exchange groups \"{}\": {error}", known.join(" ")))),
    }
}

/// OpenSSL before 3.5 fails a whole list for one unknown name, so each is tried by itself.
fn is_known(name: &str) -> bool {
    SslContext::builder(SslMethod::tls()).is_ok_and(|mut probe| probe.set_groups_list(name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_groups_are_left_out() {
        for (curves, fields, complains) in [
            ("X25519 nosuchgroup prime256v1", "ffdhe2048", false),
            ("", "", false),
            ("nosuchgroup", "", true),
        ] {
            let mut context = SslContext::builder(SslMethod::tls()).unwrap();
            assert_eq!(apply(&mut context, curves, fields).is_some(), complains, "{curves}");
        }
    }
}
