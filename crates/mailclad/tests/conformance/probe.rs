//! Questions that need many handshakes, or openssl s_client.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::client::Visit;
use crate::handshake::Hello;

/// More suites than any library has: the end of a loop that goes wrong.
const ROUNDS: usize = 200;

/// How long a run of s_client may take.
const S_CLIENT_SECONDS: &str = "5";

/// `protocols`: which of TLS 1.0 to 1.3 work. `suites`: every suite of TLS 1.2 in the order in which the server picks them.
/// `groups LIST`: which groups of the list, separated by colons, work. Further words belong to the handshake.
pub(crate) fn run(visit: &mut Visit<'_>, words: &str) {
    let (what, rest) = words.split_once(' ').unwrap_or((words, ""));
    match what {
        "protocols" => {
            for version in ["1.0", "1.1", "1.2", "1.3"] {
                let hello =
                    Hello::parse(rest).with("min", version).with("max", version).with("cipher", "ALL");
                shake(visit, &hello, |facts| format!("{version}: {}", protocol(facts)));
            }
        }
        "suites" => suites(visit, &Hello::parse(rest).with("min", "1.0").with("max", "1.2")),
        "groups" => {
            let (list, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            for group in list.split(':') {
                let hello = Hello::parse(rest).with("groups", group);
                shake(visit, &hello, |facts| format!("{group}: {facts}"));
            }
        }
        other => panic!("no such probe: {other}"),
    }
}

/// One handshake in a connection of its own; `show` makes the line from its facts.
fn shake(visit: &mut Visit<'_>, hello: &Hello, show: impl Fn(&str) -> String) {
    let before = visit.lines.len();
    visit.leave();
    visit.starttls(hello);
    visit.leave();
    let mut seen = visit.lines.split_off(before);
    seen.retain(|line| !line.starts_with("S: 220 mx."));
    let seen = seen.join(" ");
    let facts = seen.strip_prefix("tls: ").unwrap_or(&seen).to_owned();
    visit.lines.push(show(&facts));
}

/// What the server picks is taken away from the next offer, until nothing is left that it accepts.
fn suites(visit: &mut Visit<'_>, hello: &Hello) {
    let mut without = String::new();
    for _ in 0..ROUNDS {
        shake(visit, &hello.with("cipher", &format!("ALL:eNULL{without}")), str::to_owned);
        let Some(facts) = visit.lines.pop() else { return };
        let mut words = facts.split(' ');
        match (words.next(), words.next()) {
            (Some(version), Some(suite)) if version.starts_with("TLSv1") => {
                without.push_str(&format!(":!{suite}"));
                visit.lines.push(format!("suite: {suite}"));
            }
            _ => {
                visit.lines.push(format!("end: {facts}"));
                return;
            }
        }
    }
}

/// Version and suite, or that there is none: a server that closes before it has read the hello may or may not get its alert through.
fn protocol(facts: &str) -> String {
    match facts.strip_prefix("no handshake: ") {
        Some("closed" | "tlsv1 alert protocol version") => "refused".to_owned(),
        Some(_) => facts.to_owned(),
        None => facts.split(' ').take(2).collect::<Vec<_>>().join(" "),
    }
}

/// What s_client shows of one or two connections. `names`: the authorities in the request for a certificate. `hint`: the lifetimes of
/// tickets. `resume`: whether a second connection resumes the session of the first. `renegotiate`: what follows a client's wish to
/// shake hands again. Further words are arguments.
pub(crate) fn s_client(visit: &mut Visit<'_>, words: &str) {
    visit.leave();
    let (what, rest) = words.split_once(' ').unwrap_or((words, ""));
    let rest = rest.replace("FILES", &visit.files.display().to_string());
    let arguments: Vec<&str> = rest.split_whitespace().collect();
    match what {
        "names" => {
            let text = connect(visit, &arguments, "quit\r\n");
            let mut inside = false;
            for line in text.lines() {
                inside = match line {
                    "Acceptable client certificate CA names" => true,
                    line if !line.contains(" = ") && !line.starts_with('C') => false,
                    _ => inside,
                };
                if inside || line == "No client certificate CA names sent" {
                    visit.lines.push(format!("s_client: {line}"));
                }
            }
        }
        "hint" => {
            let text = connect(visit, &arguments, "quit\r\n");
            let mut hints: Vec<&str> =
                text.lines().map(str::trim).filter(|line| line.contains("lifetime hint")).collect();
            let count = hints.len();
            hints.dedup();
            visit.lines.push(format!("s_client: {count} tickets {hints:?}"));
        }
        "resume" => {
            let file = tempfile::NamedTempFile::new().unwrap();
            let path = file.path().display().to_string();
            for option in ["-sess_out", "-sess_in"] {
                // A server that gives no session leaves the file empty, which s_client would not read.
                let nothing =
                    option == "-sess_in" && file.path().metadata().is_ok_and(|file| file.len() == 0);
                let session = if nothing { &[][..] } else { &[option, &path][..] };
                let text = connect(visit, &[&arguments[..], session].concat(), "quit\r\n");
                let kept =
                    text.lines().find(|line| line.starts_with("New, ") || line.starts_with("Reused, "));
                visit.lines.push(format!("s_client: {}", kept.unwrap_or("no session")));
            }
        }
        "renegotiate" => {
            let text = connect(visit, &arguments, "R\nquit\r\n");
            for line in
                text.lines().filter(|line| line.contains("renegotiation") || line.contains("RENEGOTIATING"))
            {
                let shown = line.rsplit_once("SSL routines:").map_or(line, |(_, reason)| reason);
                let shown = shown.split(":../").next().unwrap_or(shown);
                visit.lines.push(format!("s_client: {shown}"));
            }
        }
        other => panic!("no such question: {other}"),
    }
}

/// One run of s_client: what it says in the end, on both outputs.
fn connect(visit: &mut Visit<'_>, arguments: &[&str], input: &str) -> String {
    visit.begin_connection();
    let ignore_end = if input.starts_with('R') { &[][..] } else { &["-ign_eof"][..] };
    // A server that never answers shall not keep the suite.
    let mut child = Command::new("timeout")
        .args([
            S_CLIENT_SECONDS,
            "openssl",
            "s_client",
            "-connect",
            &format!("127.0.0.1:{}", visit.port),
            "-starttls",
            "smtp",
            "-name",
            "client.test",
        ])
        .args(ignore_end)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
