//! A client that does the steps of a case and writes down what it sees.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use openssl::ssl::{ShutdownResult, SslStream};
use testkit::steady::Steady;

use crate::case::{Case, Step};
use crate::handshake::Hello;
use crate::probe;
use crate::subject::Subject;

/// The longest reply that is read, in bytes; it is a test's own server, but a loop would not end.
const REPLY_LIMIT: usize = 65_536;

/// What one case showed, and how many connections it made.
pub(crate) struct Record {
    pub(crate) lines: Vec<String>,
    pub(crate) connections: usize,
}

/// Does every step of a case on the service at `port`.
pub(crate) fn perform(case: &Case, subject: &Subject, port: u16, files: &Path) -> Record {
    let mut visit = Visit {
        case,
        subject,
        port,
        patience: Duration::from_secs(case.patience),
        files: files.to_owned(),
        lines: Vec::new(),
        connections: 0,
        connection: None,
    };
    for step in &case.steps {
        visit.step(step);
    }
    visit.leave();
    Record { lines: visit.lines, connections: visit.connections }
}

/// A case in progress.
pub(crate) struct Visit<'a> {
    case: &'a Case,
    subject: &'a Subject,
    pub(crate) port: u16,
    patience: Duration,
    pub(crate) files: PathBuf,
    pub(crate) lines: Vec<String>,
    pub(crate) connections: usize,
    connection: Option<Connection>,
}

impl Visit<'_> {
    fn step(&mut self, step: &Step) {
        let rest = &*step.rest;
        match &*step.word {
            "C:" => {
                self.lines.push(format!("C: {rest}"));
                self.send(format!("{}\r\n", self.words(rest)).as_bytes());
                self.read();
            }
            "send" => self.send(&unescape(rest)),
            "read" => self.read(),
            "bytes" => {
                let bytes = self.open().rest();
                let shown: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                self.lines.push(format!("bytes: {shown}"));
                self.connection = None;
            }
            "connect" => {
                self.leave();
                self.open();
                self.read();
            }
            "tls" => {
                self.begin();
                self.starttls(&Hello::parse(rest));
            }
            "handshake" => self.handshake(&Hello::parse(rest)),
            "drop" => self.connection = None,
            "mail" => self.mail(),
            "data" => self.data(rest),
            "delivered" => self.delivered(rest.parse().unwrap()),
            "probe" => probe::run(self, rest),
            "s_client" => probe::s_client(self, rest),
            other => panic!("no such step: {other}"),
        }
    }

    /// `FILES` in a line stands for the folder of credentials.
    fn words(&self, text: &str) -> String {
        text.replace("FILES", &self.files.display().to_string())
    }

    fn open(&mut self) -> &mut Connection {
        if self.connection.is_none() {
            self.begin_connection();
            let stream = match TcpStream::connect(("127.0.0.1", self.port)) {
                Err(_) => {
                    self.lines.push("connection refused".to_owned());
                    Stream::Refused(std::io::empty())
                }
                Ok(stream) => {
                    stream.set_nodelay(true).unwrap();
                    Stream::Plain(Steady::new(stream, self.patience).unwrap())
                }
            };
            self.connection = Some(Connection { stream, input: Vec::new(), ehlo: false });
        }
        self.connection.as_mut().unwrap()
    }

    /// Counts a connection, once the one before has ended in the log: with several processes or tasks the lines of one could come
    /// after the first lines of the next.
    pub(crate) fn begin_connection(&mut self) {
        if self.connections > 0 {
            self.subject.wait_for_ends(self.case, self.connections);
        }
        self.connections += 1;
    }

    /// A connection whose greeting was read.
    fn greeted(&mut self) -> &mut Connection {
        if self.connection.is_none() {
            self.open();
            self.read();
        }
        self.open()
    }

    fn send(&mut self, bytes: &[u8]) {
        let connection = self.greeted();
        connection.ehlo |= bytes.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"EHLO"));
        // A server that has gone shows at the next read.
        let _ = connection.stream.io().write_all(bytes);
    }

    fn read(&mut self) {
        let reply = self.open().reply();
        self.lines.extend(reply.iter().map(|line| format!("S: {line}")));
    }

    /// EHLO, unless there was one.
    fn begin(&mut self) {
        if !self.greeted().ehlo {
            self.send(b"EHLO client.test\r\n");
            self.connection.as_mut().unwrap().reply();
        }
    }

    /// STARTTLS and a handshake; true when the connection is secured.
    pub(crate) fn starttls(&mut self, hello: &Hello) -> bool {
        self.begin();
        self.send(b"STARTTLS\r\n");
        let reply = self.connection.as_mut().unwrap().reply();
        if reply.first().is_none_or(|line| line != "220 2.0.0 Ready to start TLS") {
            self.lines.push("C: STARTTLS".to_owned());
            self.lines.extend(reply.iter().map(|line| format!("S: {line}")));
            return false;
        }
        self.handshake(hello);
        self.connection.is_some()
    }

    fn handshake(&mut self, hello: &Hello) {
        let wrapper = self.connection.is_none();
        let Stream::Plain(plain) = &self.open().stream else { return };
        let (secured, facts) = hello.shake(plain.try_clone().unwrap(), &self.files);
        self.lines.push(format!("tls: {facts}"));
        match secured {
            None => self.connection = None,
            Some(stream) => {
                let connection = self.open();
                connection.stream = Stream::Tls(Box::new(stream));
                connection.input.clear();
                if wrapper {
                    self.read();
                }
            }
        }
    }

    /// A message, and the Received: header with which it arrived.
    fn mail(&mut self) {
        if self.connection.is_none() {
            self.begin();
        }
        let id = &self.case.name;
        for line in [
            "MAIL FROM:<sender@client.test>",
            "RCPT TO:<user@site.test>",
            "DATA",
            &format!("Subject: {id}\r\n\r\nbody\r\n."),
        ] {
            self.send(format!("{line}\r\n").as_bytes());
            let reply = self.open().reply();
            if reply.first().is_none_or(|line| !line.starts_with(['2', '3'])) {
                self.lines.extend(reply.iter().map(|line| format!("S: {line}")));
                return;
            }
        }
        let message = self.subject.wait_for_mail(&format!("Subject: {id}\n"));
        let header = message.split("\n\n").next().unwrap_or_default();
        let received = header.lines().skip_while(|line| !line.starts_with("Received:"));
        let received =
            received.enumerate().take_while(|(at, line)| *at == 0 || line.starts_with(['\t', ' ']));
        self.lines.extend(received.map(|(_, line)| format!("header: {line}")));
    }

    fn data(&mut self, text: &str) {
        self.send(b"DATA\r\n");
        let reply = self.open().reply();
        if reply.first().is_none_or(|line| !line.starts_with("354")) {
            self.lines.extend(reply.iter().map(|line| format!("S: {line}")));
            return;
        }
        let mut bytes = unescape(&text.replace("CASE", &self.case.name));
        bytes.extend(b"\r\n.\r\n");
        self.send(&bytes);
        self.read();
    }

    /// Messages of this case as they were delivered, in the order of their text.
    fn delivered(&mut self, count: usize) {
        let mut messages = self.subject.wait_for_mails(&format!("X-Case: {}\n", self.case.name), count);
        for message in &mut messages {
            let mut in_received = false;
            let lines = message.lines().filter(|line| {
                in_received = line.starts_with("Received:") || (in_received && line.starts_with(['\t', ' ']));
                !in_received
            });
            let shown = lines.map(|line| match line.split_once(": <2") {
                Some(("Message-Id" | "Resent-Message-Id", _)) => "Message-Id: MESSAGE-ID".to_owned(),
                _ => line.to_owned(),
            });
            *message = shown.collect::<Vec<_>>().join("\n");
        }
        messages.sort();
        for message in messages {
            self.lines.push("message:".to_owned());
            self.lines.extend(message.lines().map(|line| format!("> {line}")));
        }
    }

    /// Says good-bye as well-behaved clients do.
    pub(crate) fn leave(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            if connection.stream.io().write_all(b"QUIT\r\n").is_ok() {
                connection.reply();
            }
            connection.stream.shut();
        }
    }
}

struct Connection {
    stream: Stream,
    input: Vec<u8>,
    ehlo: bool,
}

enum Stream {
    /// Nobody listens: reads as closed.
    Refused(std::io::Empty),
    Plain(Steady),
    Tls(Box<SslStream<Steady>>),
}

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

impl Stream {
    fn io(&mut self) -> &mut dyn Duplex {
        match self {
            Stream::Refused(nothing) => nothing,
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream,
        }
    }

    /// close_notify both ways, so that neither side logs a broken session.
    fn shut(&mut self) {
        if let Stream::Tls(stream) = self
            && matches!(stream.shutdown(), Ok(ShutdownResult::Sent))
        {
            let _ = stream.shutdown();
        }
    }
}

impl Connection {
    /// The lines of a reply. What is no reply: `(closed)`, `(silence)`.
    fn reply(&mut self) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        loop {
            let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else {
                match self.more() {
                    Ok(true) if self.input.len() < REPLY_LIMIT => continue,
                    Ok(_) => lines.push("(closed)".to_owned()),
                    Err(why) => lines.push(why),
                }
                return lines;
            };
            let line: Vec<u8> = self.input.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let last = line.as_bytes().get(3) != Some(&b'-');
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// Everything until the server closes or falls silent.
    fn rest(&mut self) -> Vec<u8> {
        while self.input.len() < REPLY_LIMIT && matches!(self.more(), Ok(true)) {}
        std::mem::take(&mut self.input)
    }

    /// Reads once; false at the end.
    fn more(&mut self) -> Result<bool, String> {
        let mut buffer = [0; 4096];
        match self.stream.io().read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err("(silence)".to_owned())
            }
            // A reset: the server left bytes unread when it closed.
            Err(_) => Ok(false),
        }
    }
}

/// `\r`, `\n`, `\t` and `\xNN`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, used) = match after.as_bytes().first() {
            Some(b'r') => (b'\r', 1),
            Some(b'n') => (b'\n', 1),
            Some(b't') => (b'\t', 1),
            Some(b'x') => (u8::from_str_radix(&after[1..3], 16).unwrap(), 3),
            other => panic!("unknown escape {other:?} in {text}"),
        };
        bytes.push(byte);
        rest = &after[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[test]
fn escapes_are_bytes() {
    assert_eq!(unescape(r"a\r\n\x16\x03b"), b"a\r\n\x16\x03b");
}
