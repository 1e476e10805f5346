//! What is different in every run, and says nothing, gets a name.

use std::path::Path;

/// Words of a subject that stand for its folder, its credentials and the service.
pub(crate) struct Names {
    pub(crate) root: String,
    pub(crate) files: String,
    pub(crate) port: u16,
}

impl Names {
    pub(crate) fn new(root: &Path, files: &Path, port: u16) -> Names {
        Names { root: root.display().to_string(), files: files.display().to_string(), port }
    }
}

/// Behind each of these stands a word that no second run has.
const BEFORE_A_WORD: &[(&str, &str)] =
    &[("queued as ", "ID"), (" id ", "ID"), ("key expiration: ", "TIME"), ("message-id=", "MESSAGE-ID")];

/// A line with ids, times, places and numbers named away.
pub(crate) fn normalise(line: &str, names: &Names) -> String {
    let mut line = line
        .replace(&names.root, "ROOT")
        .replace(&names.files, "FILES")
        .replace(&format!("127.0.0.1:{}", names.port), "SERVICE");
    for (before, name) in BEFORE_A_WORD {
        line = replace_behind(&line, before, name);
    }
    let line = date(&queue_id(&line));
    // Sessions and digests of random keys.
    line.split(' ').map(long_hex).collect::<Vec<_>>().join(" ")
}

fn replace_behind(line: &str, before: &str, name: &str) -> String {
    let Some((head, tail)) = line.split_once(before) else { return line.to_owned() };
    let end = tail.find(|c: char| !c.is_ascii_alphanumeric() && !"<>@.".contains(c)).unwrap_or(tail.len());
    match end {
        0 => line.to_owned(),
        end => format!("{head}{before}{name}{}", &tail[end..]),
    }
}

/// `4D1A23C0: client=...` in the log.
fn queue_id(line: &str) -> String {
    if let Some(text) = line.strip_prefix("warning: ") {
        return format!("warning: {}", queue_id(text));
    }
    let Some((head, tail)) = line.split_once(": ") else { return line.to_owned() };
    let (kind, id) = head.rsplit_once(' ').map_or(("", head), |(kind, id)| (kind, id));
    let is_id =
        (6..=20).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
    match is_id {
        true => format!("{kind}{}ID: {tail}", if kind.is_empty() { "" } else { " " }),
        false => line.to_owned(),
    }
}

/// The date of a Received: header: `; Sun, 22 Nov 2026 16:37:47 +0000 (UTC)`, or a line of its own.
fn date(line: &str) -> String {
    const DAYS: [&str; 7] = ["Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, ", "Sun, "];
    match DAYS.iter().filter_map(|day| line.find(day)).min() {
        Some(at) if line[at..].len() > 25 => format!("{}DATE", &line[..at]),
        _ => line.to_owned(),
    }
}

/// Digests and ids of sessions inside one word: at least 32 hexadecimal digits in a row, or 16 bytes with colons between.
fn long_hex(word: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in word.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_hexdigit() || c == ':' {
            run.push(c);
            continue;
        }
        let digits = run.chars().filter(char::is_ascii_hexdigit).count();
        let colons = run.len() - digits;
        match () {
            () if digits >= 32 && colons + 1 >= digits / 2 => out.push_str("FINGERPRINT"),
            () if digits >= 32 => out.push_str("HEX"),
            () => out.push_str(&run),
        }
        run.clear();
        out.push(c);
    }
    out.pop();
    out
}

/// What Postfix 3.12 says in other words than the release that the distribution has: applied to Postfix's side alone.
const LATER_WORDS: &[(&str, &str)] = &[
    // Section "key-exchange" of the log and of Received:: since 3.8 the library's own name of the group.
    ("key-exchange X25519", "key-exchange x25519"),
    ("key-exchange X448", "key-exchange x448"),
];

/// In front of these stands `NOQUEUE: ` since 3.9.
const LATER_NOQUEUE: &[&str] = &["lost connection after ", "timeout after ", "too many errors after "];

pub(crate) fn in_later_words(line: &str) -> String {
    let line = LATER_WORDS.iter().fold(line.to_owned(), |line, (old, new)| line.replace(old, new));
    match line.strip_prefix("log: ") {
        Some(text) if LATER_NOQUEUE.iter().any(|start| text.starts_with(start)) => {
            format!("log: NOQUEUE: {text}")
        }
        _ => line,
    }
}

/// Lines of a dump of bytes are one kind of line: `0000 16 03 01 ...`, `read from 55d6 [55d7] (5 bytes => 5 (0x5))`.
pub(crate) fn kind_of(line: &str) -> String {
    let first = line.split(' ').next().unwrap_or_default();
    let is_dump = first.len() == 4 && first.bytes().all(|byte| byte.is_ascii_hexdigit());
    match line {
        _ if is_dump => "(dump)".to_owned(),
        _ if line.starts_with("read from ") => "(read from)".to_owned(),
        _ if line.starts_with("write to ") => "(write to)".to_owned(),
        _ => line.to_owned(),
    }
}

#[test]
fn what_says_nothing_has_a_name() {
    let names = Names { root: "/srv/x".into(), files: "/srv/f".into(), port: 2525 };
    for (line, expected) in [
        ("250 2.0.0 Ok: queued as 4D1A23C0A1", "250 2.0.0 Ok: queued as ID"),
        ("4D1A23C0A1: client=localhost[127.0.0.1]", "ID: client=localhost[127.0.0.1]"),
        ("NOQUEUE: reject: RCPT", "NOQUEUE: reject: RCPT"),
        ("by mx (Postfix) with ESMTP id 4D1A23C0A1", "by mx (Postfix) with ESMTP id ID"),
        ("for <a@b>; Sun, 22 Nov 2026 16:37:47 +0000 (UTC)", "for <a@b>; DATE"),
        ("for service 127.0.0.1:2525", "for service SERVICE"),
        (
            "cert fingerprint=00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF, x",
            "cert fingerprint=FINGERPRINT, x",
        ),
        ("save session 00112233445566778899AABBCCDDEEFF&s=x", "save session HEX&s=x"),
        ("cannot read \"/srv/f/x.pem\"", "cannot read \"FILES/x.pem\""),
    ] {
        assert_eq!(normalise(line, &names), expected);
    }
}
