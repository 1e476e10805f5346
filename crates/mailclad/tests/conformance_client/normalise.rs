//! What is different in every run, and says nothing, gets a name.

/// Words that stand for something of one subject: longest first.
pub(crate) type Names = Vec<(String, String)>;

/// A log line with ids, times and places named away.
pub(crate) fn log_line(line: &str, names: &Names) -> String {
    let line = id_there(&message_size(&queue_id(&named(line, names))));
    // `delay=0.12, delays=0/0/0.1/0.02, tls=may, `: what TLS came to stands there since 3.11; tls_client.rs looks at it.
    match (line.find("delay="), line.find("dsn=")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &line[..from], &line[to..]),
        _ => line,
    }
}

/// What a server heard, without what depends on ids and times.
pub(crate) fn heard(lines: &[String], names: &Names) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    let mut in_received = false;
    for line in lines {
        let line = named(line, names);
        if line.starts_with("Received: ") {
            in_received = true;
            continue;
        }
        if in_received && line.starts_with(['\t', ' ']) {
            continue;
        }
        in_received = false;
        shown.push(library_error(&numbers(&size(&line))));
    }
    shown
}

fn named(line: &str, names: &Names) -> String {
    names.iter().fold(line.to_owned(), |line, (what, name)| line.replace(what, name))
}

/// `SIZE=379` depends on the length of the queue id.
fn size(line: &str) -> String {
    let Some((head, tail)) = line.split_once(" SIZE=") else { return line.to_owned() };
    let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{head} SIZE=N{rest}")
}

/// The client's port, and the message's id, of XFORWARD.
fn numbers(line: &str) -> String {
    if !line.starts_with("XFORWARD ") {
        return line.to_owned();
    }
    let word = |word: &str| match word.split_once('=') {
        Some((name @ ("PORT" | "IDENT"), _)) => format!("{name}=N"),
        _ => word.to_owned(),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// `00B25CE6187F0000:error:0A0000C7:...`: OpenSSL begins with the number of a thread.
fn library_error(line: &str) -> String {
    line.split_once(":error:").map_or_else(|| line.to_owned(), |(_, rest)| format!("error:{rest}"))
}

/// `4D1A23C0: to=<...`, and `warning: 4D1A23C0: `.
fn queue_id(line: &str) -> String {
    let is_id = |word: &str| {
        (6..=20).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b))
    };
    line.split(' ')
        .map(|word| match word.strip_suffix(':') {
            Some(id) if is_id(id) => "ID:",
            _ => word,
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// `message size 301 exceeds` likewise.
fn message_size(line: &str) -> String {
    let Some((head, tail)) = line.split_once("(message size ") else { return line.to_owned() };
    format!("{head}(message size N{}", tail.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// What a real server calls the message: `250 OK id=1xXpyG-0006oC-2q`, `250 2.0.0 Ok: queued as 4D1A23C0A1`.
fn id_there(line: &str) -> String {
    for before in ["(250 OK id=", "(250 2.0.0 Ok: queued as "] {
        if let Some((head, tail)) = line.split_once(before)
            && !tail.starts_with("PEER")
        {
            return format!("{head}{before}ID{}", tail.trim_start_matches(|c: char| c != ')'));
        }
    }
    line.to_owned()
}

/// Delivery lines that follow each other are in an order of their own: recipients are done when they are done.
pub(crate) fn sorted(mut lines: Vec<String>) -> Vec<String> {
    for group in lines.chunk_by_mut(|a, b| a.contains(", status=") && b.contains(", status=")) {
        group.sort();
    }
    lines
}

/// What Postfix 3.12 says in other words than the release that the distribution has: applied to Postfix's side alone.
const LATER_WORDS: &[(&str, &str)] = &[
    ("key-exchange X25519", "key-exchange x25519"),
    ("key-exchange X448", "key-exchange x448"),
    ("key-exchange ECDHE (secp384r1)", "key-exchange secp384r1"),
    (", issuer_CN=", ", issuer="),
    (", fingerprint=", ", cert fingerprint="),
    (", pkey_fingerprint=", ", pkey fingerprint="),
];

/// Postfix's lines in the words of the release that we follow.
pub(crate) fn in_later_words(line: &str) -> String {
    LATER_WORDS.iter().fold(line.to_owned(), |line, (old, new)| line.replace(old, new))
}

#[test]
fn what_says_nothing_has_a_name() {
    let names = vec![("127.70.1.2".to_owned(), "IP1".to_owned())];
    for (line, expected) in [
        (
            "4D1A23C0A1: to=<a@b>, relay=mx[127.70.1.2]:25, delay=0.1, delays=0/0/0.1/0, dsn=2.0.0, status=sent (x)",
            "ID: to=<a@b>, relay=mx[IP1]:25, dsn=2.0.0, status=sent (x)",
        ),
        ("4D1A23C0A1: host mx[127.70.1.2] said: x", "ID: host mx[IP1] said: x"),
        ("(250 2.0.0 Ok: queued as 4D1A)", "(250 2.0.0 Ok: queued as ID)"),
        ("(250 2.0.0 Ok: queued as PEER)", "(250 2.0.0 Ok: queued as PEER)"),
        ("x, delay=1, delays=0/0/0/1, tls=may, dsn=4.0.0, y", "x, dsn=4.0.0, y"),
    ] {
        assert_eq!(log_line(line, &names), expected);
    }
    let lines = ["MAIL FROM:<a> SIZE=33 BODY=8BITMIME", "Received: x", "\tfor y", "To: z"].map(String::from);
    assert_eq!(heard(&lines, &names), ["MAIL FROM:<a> SIZE=N BODY=8BITMIME", "To: z"]);
}
