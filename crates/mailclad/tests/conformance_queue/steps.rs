//! What one case does on one subject, and what it shows.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::normalise::{self, Names};
use crate::subject::Subject;
use crate::support::{Client, peer};

/// The lines that the case showed.
pub(crate) fn perform(subject: &Subject, case: &Case, at: usize) -> Vec<String> {
    let log_before = subject.log().len();
    let names = subject.names(case, at);
    let mut run = Run { subject, case, names, log_before, ids: Vec::new(), wanted: 0, shown: Vec::new() };
    let mut mail = Mail::new(case);
    for step in &case.steps {
        let rest = run.subject.put(&step.rest, case, at);
        match step.word.as_str() {
            "from" => mail.from = rest,
            "mail" => mail.options = format!(" {rest}"),
            "rcpt" => mail.recipient_options = format!(" {rest}"),
            "message" => mail.text = rest,
            "send" => run.send(&std::mem::replace(&mut mail, Mail::new(case)), &rest),
            "talk" => {
                let mut client = run.subject.connect();
                rest.split(" | ").for_each(|line| _ = client.say(line));
                client.say("QUIT");
            }
            "wait" => {
                run.wanted = rest.parse().unwrap();
                run.wait();
            }
            "notices" => run.notices(rest.parse().unwrap()),
            // The age of messages is what the case is about.
            "later" => std::thread::sleep(Duration::from_millis(rest.parse::<u64>().unwrap() * 1000 + 100)),
            "flush" => {
                run.settle();
                run.subject.run("postqueue -f");
            }
            "run" => run.command(&rest),
            _ => run.file(&rest),
        }
    }
    if !case.steps.iter().any(|step| step.word == "wait") {
        run.wait();
    }
    run.finish()
}

/// How long deliveries of one case may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Asks until there is an answer, or patience ends. There is no event to wait for across processes.
fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
            answer => return answer,
        }
    }
}

/// What a `send` sends.
struct Mail {
    from: String,
    options: String,
    recipient_options: String,
    text: String,
}

impl Mail {
    fn new(case: &Case) -> Mail {
        Mail {
            from: case.sender(),
            options: String::new(),
            recipient_options: String::new(),
            text: "From: from@site.test\\nTo: to@site.test\\nSubject: x\\nDate: Mon, 1 Jan 2024 00:00:00 +0000\\n\
                   Message-Id: <x@site.test>\\n\\ntext"
                .to_owned(),
        }
    }
}

struct Run<'a> {
    subject: &'a Subject,
    case: &'a Case,
    names: Names,
    /// Where the log of this case begins.
    log_before: usize,
    ids: Vec<String>,
    /// Deliveries to wait for.
    wanted: usize,
    shown: Vec<String>,
}

impl Run<'_> {
    fn send(&mut self, mail: &Mail, to: &str) {
        let mut client = self.subject.connect();
        let from = mail.from.trim_matches(['<', '>']);
        let domain = self.case.domain();
        self.say(&mut client, &format!("MAIL FROM:<{from}>{}", mail.options));
        for to in to.split_whitespace() {
            let to = if to.contains('@') { to.to_owned() } else { format!("{to}@{domain}") };
            let accepted = self.say(&mut client, &format!("RCPT TO:<{to}>{}", mail.recipient_options));
            self.wanted += usize::from(accepted);
        }
        if !self.say(&mut client, "DATA") {
            return;
        }
        client.send_lines(&peer::bytes(&mail.text));
        let reply = client.reply();
        match reply.split_once("queued as ") {
            Some((_, id)) => self.ids.push(id.trim().to_owned()),
            None => self.shown.push(reply.trim().to_owned()),
        }
        client.must("QUIT", "221");
    }

    /// A command; true when it was not refused. Refusals are shown.
    fn say(&mut self, client: &mut Client, command: &str) -> bool {
        let reply = client.say(command);
        let accepted = reply.starts_with(['2', '3']);
        if !accepted {
            self.shown.push(format!("{command}: {}", reply.trim()));
        }
        accepted
    }

    /// All that was logged until now is in the log: Postfix's goes through a process of its own, which gets to it when it can.
    fn catch_up(&self) {
        let mark = format!("end-of-{}", self.case.name);
        self.subject.run(&format!("postlog -t postfix/mark {mark}"));
        let _ = wait_for(|| self.subject.log().contains(&mark).then_some(()));
    }

    fn lines(&self) -> Vec<String> {
        let log = self.subject.log();
        log[self.log_before..].lines().map(str::to_owned).collect()
    }

    fn wait(&mut self) {
        let wanted = self.wanted;
        let is_own = |line: &String| self.ids.iter().any(|id| line.contains(id.as_str()));
        let tried = || self.lines().iter().filter(|line| line.contains(", status=") && is_own(line)).count();
        if wait_for(|| (tried() >= wanted).then_some(())).is_none() {
            self.shown.push(format!("({} deliveries in place of {wanted})", tried()));
            self.wanted = 0;
        }
    }

    fn notices(&mut self, count: usize) {
        let folder = self.subject.notices(self.case);
        let found = wait_for(|| Some(maildir(&folder)).filter(|found| found.len() >= count));
        let found = found.unwrap_or_else(|| maildir(&folder));
        self.show("notice", &found);
        self.wanted = 0;
    }

    /// Postfix has a message in the active queue for a moment after it has logged what became of it, and in others before.
    fn settle(&mut self) {
        let is_over = |lines: &[String], id: &String| {
            let ends = [", status=", ": removed", ": hold: ", ": discard: "];
            lines.iter().any(|line| line.contains(id.as_str()) && ends.iter().any(|end| line.contains(end)))
        };
        let all_over = || {
            let lines = self.lines();
            self.ids.iter().all(|id| is_over(&lines, id))
        };
        let is_at_rest = || {
            let listing = self.subject.run("postqueue -j").0;
            !["incoming", "active"].iter().any(|queue| listing.contains(&format!("\"{queue}\"")))
        };
        if wait_for(|| (all_over() && is_at_rest()).then_some(())).is_none() {
            self.shown.push("(no rest)".to_owned());
        }
    }

    fn command(&mut self, command: &str) {
        let put = |text: String, (at, id): (usize, &String)| text.replace(&format!("ID{}", at + 1), id);
        let command = self.ids.iter().enumerate().fold(command.to_owned(), put);
        self.settle();
        let (text, status) = self.subject.run(&command);
        self.shown.push(format!("$ {}", normalise::normalise(&command, &self.names)));
        self.shown.extend(text.lines().map(|line| normalise::normalise(line, &self.names)));
        self.shown.push(format!("exit {status}"));
    }

    fn file(&mut self, path: &str) {
        self.wait();
        let path = self.subject.home(self.case).join(path);
        match path.is_dir() {
            true => self.show("message", &maildir(&path)),
            false => match std::fs::read(&path) {
                Ok(bytes) => self.show("file", &[String::from_utf8_lossy(&bytes).into_owned()]),
                Err(_) => self.shown.push("(no file)".to_owned()),
            },
        }
    }

    fn show(&mut self, word: &str, texts: &[String]) {
        let mut texts: Vec<Vec<String>> =
            texts.iter().map(|text| normalise::message(text, &self.names)).collect();
        texts.sort();
        for text in texts {
            self.shown.push(format!("--- {word}"));
            self.shown.extend(text);
        }
    }

    /// Messages of the case, notices and forwarded ones among them, that are neither done nor waiting for another day.
    fn unsettled(&self) -> Vec<String> {
        let (mut begun, mut settled) = (Vec::new(), Vec::new());
        for line in self.lines() {
            let Some((head, text)) = line.split_once("]: ") else { continue };
            let Some((id, rest)) = text.split_once(": ") else { continue };
            if head.contains("/qmgr[") && rest.contains("(queue active)") {
                begun.push(id.to_owned());
            }
            for before in ["notification: ", "forwarded as "] {
                begun.extend(rest.split_once(before).map(|(_, id)| id.trim_end_matches(')').to_owned()));
            }
            if rest == "removed" || rest.contains("status=deferred") {
                settled.push(id.to_owned());
            }
        }
        begun.retain(|id| !settled.contains(id));
        begun
    }

    /// What the log says, and an empty queue for the next case.
    fn finish(mut self) -> Vec<String> {
        // A notice is begun while the message that it is about is active still.
        self.settle();
        if wait_for(|| self.unsettled().is_empty().then_some(())).is_none() {
            self.shown.push("(no end)".to_owned());
        }
        self.settle();
        self.catch_up();
        self.subject.run("postsuper -d ALL");
        let own = format!(" case/{}/", self.case.name);
        let mut log: Vec<String> = Vec::new();
        for line in self.lines() {
            let Some((head, text)) = line.split_once("]: ") else { continue };
            let is_wanted = head.contains(&own)
                || ["qmgr", "bounce", "box", "error", "retry", "discard"].iter().any(|name| {
                    head.contains(&format!(" postfix/{name}[")) && !text.contains("(queue active)")
                });
            if is_wanted && (!self.case.only_deliveries || text.contains(", status=")) {
                log.push(format!("log: {}", normalise::log_line(text, &self.names)));
            }
        }
        // Processes write when they get to it.
        log.sort();
        self.shown.extend(log);
        self.shown
    }
}

/// The messages of a Maildir; a file that is just being moved there is whole.
fn maildir(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path.join("new")) else { return Vec::new() };
    let files = entries.flatten().filter_map(|entry| std::fs::read(entry.path()).ok());
    files.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}
