//! What of an environment is kept: the rule of import_environment and export_environment (postconf(5)).

use crate::list;

/// For each name in `names` the value that `of` has for it, if any; `name=value` and `{ name = value }` set one. The order is
/// that of the list; everything that it does not name is left behind.
pub fn kept(names: &str, of: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut environment = Vec::new();
    for item in list::split(names) {
        let item = list::braced(item).unwrap_or(item);
        match item.split_once('=') {
            Some((name, value)) => environment.push((name.trim().to_owned(), value.trim().to_owned())),
            None => environment.extend(of(item).map(|value| (item.to_owned(), value))),
        }
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_kept() {
        let ours = |name: &str| (name == "TZ").then(|| "UTC".to_owned());
        let kept: Vec<String> = kept("TZ LANG, A=b {C = d e}", ours)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(kept, ["TZ=UTC", "A=b", "C=d e"]);
    }
}
