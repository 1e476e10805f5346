//! What is different in every run, and says nothing, gets a name.

/// Words that stand for something of one subject: longest first.
pub(crate) type Names = Vec<(String, String)>;

/// A line with ids, times and places named away.
pub(crate) fn normalise(line: &str, names: &Names) -> String {
    let line = names.iter().fold(line.to_owned(), |line, (what, name)| line.replace(what, name));
    let line = sizes(&times(&entry(&line)));
    let line = ids(&line);
    // A directory of `hash_queue_depth`.
    match line.split_once("deferred/") {
        Some((head, tail)) if tail.get(1..2) == Some("/") => format!("{head}deferred/{}", &tail[2..]),
        _ => line,
    }
}

/// Sizes that depend on the length of the queue id, and ports.
fn sizes(line: &str) -> String {
    let mut line = line.to_owned();
    for before in ["message_size\": ", "_port=", "message_size: "] {
        if let Some((head, tail)) = line.split_once(before) {
            let end = tail.find(|c: char| !c.is_ascii_digit() && c != ' ').unwrap_or(tail.len());
            line = format!("{head}{before}N{}", &tail[end..]);
        }
    }
    line
}

/// A line of the log; how long things took is left out.
pub(crate) fn log_line(line: &str, names: &Names) -> String {
    let line = normalise(line, names);
    match (line.find("delay="), line.find("dsn=")) {
        (Some(from), Some(to)) if from < to => format!("{}{}", &line[..from], &line[to..]),
        _ => line,
    }
}

/// The first line of an entry of `postqueue -p`: the column where the id ends has its own width, what counts is where the size ends.
fn entry(line: &str) -> String {
    let Some((first, rest)) = line.split_once(' ') else { return line.to_owned() };
    let mark = first.trim_start_matches(|c: char| c.is_ascii_hexdigit());
    if !is_id(first.trim_end_matches(['*', '!', '#'])) || !["", "*", "!", "#", "!#", "*#"].contains(&mark) {
        return line.to_owned();
    }
    let size: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
    let Some(at) = line.find(&format!(" {size} ")).filter(|_| !size.is_empty()) else {
        return line.to_owned();
    };
    let end = at + 1 + size.len();
    // Ids have one letter more or less; what is too long for its column moves the rest.
    let column = end - first.len().saturating_sub(11);
    format!("ID{mark} size up to column {column}{}", &line[end..])
}

fn is_id(word: &str) -> bool {
    (8..=15).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
}

/// Queue ids, and numbers of as many digits, which are times.
fn ids(line: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in line.chars().chain(std::iter::once('\n')) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        out.push_str(if is_id(&word) { "ID" } else { &word });
        word.clear();
        out.push(c);
    }
    out.pop();
    out
}

/// `Sun Nov 22 16:37:47` with a year behind it or not, and `Sun, 22 Nov 2026 16:37:47 +0000 (UTC)`.
fn times(line: &str) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let mut line = line.to_owned();
    for day in DAYS {
        while let Some(at) = line.find(&format!("{day}, ")).filter(|at| line[*at..].len() >= 31) {
            let end =
                line[at..].find(" (").and_then(|zone| Some(at + zone + line[at + zone..].find(')')? + 1));
            line.replace_range(at..end.unwrap_or(line.len()), "DATE");
        }
        let is_time =
            |text: &str| text.len() >= 19 && text.as_bytes()[13] == b':' && text.as_bytes()[16] == b':';
        while let Some(at) = line.find(&format!("{day} ")).filter(|at| is_time(&line[*at..])) {
            let year = line[at + 19..].chars().skip(1).take_while(char::is_ascii_digit).count() == 4;
            line.replace_range(at..at + if year { 24 } else { 19 }, "TIME");
        }
    }
    line
}

/// A message that was delivered. The words of a notice that people read are ours (docs/deviations.md); what it says of each recipient
/// counts.
pub(crate) fn message(text: &str, names: &Names) -> Vec<String> {
    let mut shown = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        shown.push(normalise(line, names));
        if line != "Content-Description: Notification" {
            continue;
        }
        for line in lines.by_ref() {
            shown.push(normalise(line, names));
            if line.is_empty() {
                break;
            }
        }
        // The words before the first recipient.
        if let Some(line) =
            lines.by_ref().find(|line| line.starts_with(['<', '-']) && !line.starts_with("---"))
        {
            shown.push(normalise(line, names));
        }
    }
    shown
}

#[test]
fn what_says_nothing_has_a_name() {
    let names = vec![("/srv/x".to_owned(), "ROOT".to_owned())];
    for (line, expected) in [
        ("EB0AC9B013C*     331 Sun Nov 22 16:37:47  s@x", "ID* size up to column 19 TIME  s@x"),
        ("From s@x  Sun Nov 22 16:37:47 2026", "From s@x  TIME"),
        ("\tid EB0AC9B013C; Sun, 22 Nov 2026 16:37:47 +0000 (UTC)", "\tid ID; DATE"),
        ("boundary=\"EB0AC9B013C.1795365467/mx\"", "boundary=\"ID.ID/mx\""),
        ("delivered to file: /srv/x/y", "delivered to file: ROOT/y"),
    ] {
        assert_eq!(normalise(line, &names), expected);
    }
    let line = "EB0AC9B013C: to=<a@b>, relay=local, delay=0.1, delays=0/0/0.1/0, dsn=2.0.0, status=sent (x)";
    assert_eq!(log_line(line, &names), "ID: to=<a@b>, relay=local, dsn=2.0.0, status=sent (x)");
    let notice = "--B\nContent-Description: Notification\n\nDear you,\n-- me\n\n<a@b>: no\n";
    let _ = notice;
}
