//! A crate uses exactly the crates that its row in ARCHITECTURE.md names, and each of them stands above it: so there is no
//! circle, and the table is true.

use super::{Files, Finding};

const TABLE: &str = "ARCHITECTURE.md";

/// Made for tests: any crate's tests may use it.
const FOR_TESTS: &str = "testkit";

/// One row of the table of rooms.
#[derive(Debug, PartialEq, Eq)]
struct Room {
    name: String,
    uses: Vec<String>,
}

pub(super) fn check(files: &Files, found: &mut Vec<Finding>) {
    let rooms = rooms(files.text(TABLE).unwrap_or_default());
    for (at, room) in rooms.iter().enumerate() {
        for used in &room.uses {
            if !rooms[..at].iter().any(|above| above.name == *used) {
                found.push(Finding::new(
                    TABLE,
                    format!("`{}` uses `{used}`, which must stand above it", room.name),
                ));
            }
        }
        if !files.manifests().any(|(name, _)| name == room.name) {
            found.push(Finding::new(TABLE, format!("there is no crate `{}`", room.name)));
        }
    }
    for (name, manifest) in files.manifests() {
        match rooms.iter().find(|room| room.name == name) {
            Some(room) => compare(room, manifest, &rooms, found),
            None => found.push(Finding::new(TABLE, format!("the table of rooms lacks the crate `{name}`"))),
        }
    }
}

fn compare(room: &Room, manifest: &str, rooms: &[Room], found: &mut Vec<Finding>) {
    let file = format!("crates/{}/Cargo.toml", room.name);
    let is_room = |name: &&str| rooms.iter().any(|room| room.name == **name);
    let used: Vec<&str> = keys(manifest, "dependencies").filter(is_room).collect();
    for name in used.iter().filter(|name| !room.uses.iter().any(|allowed| allowed == *name)) {
        found.push(Finding::new(&file, format!("uses `{name}`; {TABLE} does not say so")));
    }
    for name in room.uses.iter().filter(|name| !used.contains(&name.as_str())) {
        found.push(Finding::new(&file, format!("does not use `{name}`; {TABLE} says that it does")));
    }
    let in_tests = keys(manifest, "dev-dependencies").filter(is_room);
    for name in in_tests.filter(|name| *name != FOR_TESTS && !room.uses.iter().any(|allowed| allowed == name))
    {
        found.push(Finding::new(&file, format!("its tests use `{name}`, which the crate itself does not")));
    }
}

/// The rows `| layer | `crate` | purpose | `a` `b` |`.
fn rooms(text: &str) -> Vec<Room> {
    text.lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim().strip_prefix('|')?.strip_suffix('|')?.split('|').collect();
            let [_layer, name, _purpose, uses] = cells.as_slice() else { return None };
            let name = name.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned();
            // What is between backticks: every second piece.
            let uses = uses.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            Some(Room { name, uses })
        })
        .collect()
}

/// The names that a section of a manifest lists.
fn keys<'a>(manifest: &'a str, section: &str) -> impl Iterator<Item = &'a str> {
    let head = format!("[{section}]");
    manifest
        .lines()
        .skip_while(move |line| line.trim() != head)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.split(['.', '=', ' ']).next().unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: &str = "\
| layer | crate | purpose | uses |
| --- | --- | --- | --- |
| words | `mail` | words | – |
| words | `config` | settings | – |
| doing | `queue` | keeps | `mail` `config` |
| tests | `testkit` | for tests | – |
";

    #[test]
    fn what_the_table_does_not_say_is_found() {
        let below = HOUSE.replace("words | –", "words | `queue`");
        let none = "[package]\n[dependencies]\nbytes.workspace = true\n";
        let full = "[dependencies]\nmail.workspace = true\n\nconfig = { path = \"x\" }\n";
        for (table, mail, queue, expected, reason) in [
            (HOUSE, none, full, "", "as the table says"),
            (
                HOUSE,
                none,
                "[dependencies]\nmail.workspace = true\n",
                "does not use `config`",
                "the table says too much",
            ),
            (HOUSE, "[dependencies]\nconfig.workspace = true\n", full, "uses `config`", "an arrow too many"),
            (HOUSE, "[dev-dependencies]\ntestkit.workspace = true\n", full, "", "tests use testkit"),
            (
                HOUSE,
                "[dev-dependencies]\nconfig.workspace = true\n",
                full,
                "its tests use `config`",
                "a hidden arrow",
            ),
            (
                &below,
                "[dependencies]\nqueue.workspace = true\n",
                full,
                "must stand above",
                "an arrow upwards",
            ),
        ] {
            let files = Files::of(&[
                ("ARCHITECTURE.md", table),
                ("crates/mail/Cargo.toml", mail),
                ("crates/config/Cargo.toml", none),
                ("crates/queue/Cargo.toml", queue),
                ("crates/testkit/Cargo.toml", none),
            ]);
            let mut found = Vec::new();
            check(&files, &mut found);
            match expected {
                "" => assert_eq!(found, [], "{reason}"),
                text => {
                    assert!(found.iter().any(|finding| finding.text.contains(text)), "{reason}: {found:?}")
                }
            }
        }
    }

    #[test]
    fn table_and_crates_name_the_same() {
        let files =
            Files::of(&[("ARCHITECTURE.md", "| words | `mail` | words | – |"), ("crates/x/Cargo.toml", "")]);
        let mut found = Vec::new();
        check(&files, &mut found);
        let texts: Vec<&str> = found.iter().map(|finding| finding.text.as_str()).collect();
        assert_eq!(texts, ["there is no crate `mail`", "the table of rooms lacks the crate `x`"]);
    }
}
