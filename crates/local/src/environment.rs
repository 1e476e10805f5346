//! The environment of delivery commands: nothing of ours but PATH and what export_environment names.

use crate::command::PATH;

/// `export_environment`: names whose values are taken from our own environment, and `name=value`.
pub(crate) fn exported(
    export_environment: &str,
    ours: impl Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let mut environment = vec![("PATH".to_owned(), PATH.to_owned())];
    for item in config::list::split(export_environment) {
        let item = config::list::braced(item).unwrap_or(item);
        match item.split_once('=') {
            Some((name, value)) => environment.push((name.trim().to_owned(), value.trim().to_owned())),
            None => environment.extend(ours(item).map(|value| (item.to_owned(), value))),
        }
    }
    environment
}

/// As [`exported`], from the environment of this process.
pub(crate) fn of_process(export_environment: &str) -> Vec<(String, String)> {
    exported(export_environment, |name| std::env::var(name).ok())
}

/// Replaces by `_` every character that is not in `allowed` (command_expansion_filter): what strangers write becomes part of
/// commands and paths.
pub(crate) fn filtered(value: &str, allowed: &str) -> String {
    value.chars().map(|c| if allowed.contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_exported() {
        let ours = |name: &str| (name == "TZ").then(|| "UTC".to_owned());
        let names = |found: Vec<(String, String)>| -> Vec<String> {
            found.into_iter().skip(1).map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(names(exported("TZ LANG, A=b {C = d e}", ours)), ["TZ=UTC", "A=b", "C=d e"]);
        assert_eq!(exported("", ours), [("PATH".to_owned(), PATH.to_owned())]);
    }

    #[test]
    fn strange_characters_become_underscores() {
        assert_eq!(filtered("a;rm -rf $HOME", "abcdefghijklmnopqrstuvwxyz-"), "a_rm_-rf______");
    }
}
