//! No dead files: every source file is a target of its crate, or a `mod` of a file that is reached.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::source::code;
use super::{Files, Finding};

pub(super) fn check(files: &Files, found: &mut Vec<Finding>) {
    let mut reached: HashSet<PathBuf> = HashSet::new();
    let mut waiting: Vec<PathBuf> =
        files.rust().map(|(path, _)| path).filter(|path| is_target(path)).map(Path::to_owned).collect();
    while let Some(path) = waiting.pop() {
        let Some((_, text)) = files.rust().find(|(known, _)| *known == path) else { continue };
        if reached.insert(path.clone()) {
            waiting.extend(modules(&path, text));
        }
    }
    for (path, _) in files.rust().filter(|(path, _)| !reached.contains(*path)) {
        found.push(Finding::new(path, "is part of no target: no `mod` names it"));
    }
}

/// The files that cargo compiles by their place.
fn is_target(path: &Path) -> bool {
    let names: Vec<&str> = path.iter().filter_map(|name| name.to_str()).collect();
    matches!(
        names.as_slice(),
        ["crates", _, "build.rs"]
            | ["crates", _, "src", "lib.rs" | "main.rs"]
            | ["crates", _, "src", "bin", _]
            | ["crates", _, "tests" | "benches" | "examples", _]
            | ["crates", _, "tests" | "benches" | "examples", _, "main.rs"]
    )
}

/// The files that the `mod` lines of a file may mean; those that do not exist are harmless.
fn modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let own_name = path.file_stem().unwrap_or_default();
    let inside = match is_target(path) || own_name == "mod" {
        true => folder.to_owned(),
        false => folder.join(own_name),
    };
    let code = code(text);
    // A macro that declares modules is given their names in a list, one in each line.
    let by_macro = code.lines().filter_map(declared).any(|name| name.starts_with('$'));
    let listed = code.lines().filter(|_| by_macro).filter_map(|line| line.trim().strip_suffix(','));
    let mut files = Vec::new();
    for name in code.lines().filter_map(declared).chain(listed) {
        files.push(inside.join(format!("{name}.rs")));
        files.push(inside.join(name).join("mod.rs"));
    }
    // `#[path = "..."]`: the literal is blank in the code, so it is read from the text.
    for (_, line) in
        code.lines().zip(text.lines()).filter(|(code, _)| code.trim_start().starts_with("#[path"))
    {
        files.extend(line.split('"').nth(1).map(|named| folder.join(named)));
    }
    files
}

/// The name in `mod name;`, whoever may see it.
fn declared(line: &str) -> Option<&str> {
    let words: Vec<&str> = line.trim().strip_suffix(';')?.split_whitespace().collect();
    match words.as_slice() {
        [.., before, "mod", name] if before.starts_with("pub") || before.ends_with([')', ']']) => Some(name),
        ["mod", name] => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_nothing_names_are_found() {
        let files = Files::of(&[
            ("crates/a/build.rs", ""),
            ("crates/a/src/lib.rs", "mod one;\npub(super) mod two;\n// mod dead;\n#[allow(x)] mod three;\n"),
            ("crates/a/src/one.rs", "mod below;\n"),
            (
                "crates/a/src/one/below.rs",
                "macro_rules! all { ($($x:ident,)*) => { $(\nmod $x;\n)* } }\nall! {\n    listed,\n}\n",
            ),
            ("crates/a/src/one/below/listed.rs", ""),
            ("crates/a/src/two/mod.rs", "#[path = \"odd_name.rs\"]\npub mod beside;\n"),
            ("crates/a/src/two/odd_name.rs", ""),
            ("crates/a/src/three.rs", ""),
            ("crates/a/src/dead.rs", "mod worse;\n"),
            ("crates/a/src/dead/worse.rs", ""),
            ("crates/a/tests/suite.rs", "mod support;\n"),
            ("crates/a/tests/support/mod.rs", ""),
            ("crates/a/src/lost/mod.rs", ""),
        ]);
        let mut found = Vec::new();
        check(&files, &mut found);
        let names: Vec<&str> = found.iter().filter_map(|finding| finding.file.to_str()).collect();
        assert_eq!(names, ["crates/a/src/dead.rs", "crates/a/src/dead/worse.rs", "crates/a/src/lost/mod.rs"]);
    }
}
