//! The environment of delivery commands: nothing of ours but PATH and what export_environment names.

use crate::command::PATH;

/// PATH, and what `export_environment` keeps of the environment of this process.
pub(crate) fn of_process(export_environment: &str) -> Vec<(String, String)> {
    let mut environment = vec![("PATH".to_owned(), PATH.to_owned())];
    environment.extend(config::environment::kept(export_environment, |name| std::env::var(name).ok()));
    environment
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
    fn strange_characters_become_underscores() {
        assert_eq!(filtered("a;rm -rf $HOME", "abcdefghijklmnopqrstuvwxyz-"), "a_rm_-rf______");
    }
}
