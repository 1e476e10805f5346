//! Dovecot's authentication protocol, version 1 (doc.dovecot.org, "Auth Protocol"), as a client: the handshake that names the
//! mechanisms, and one exchange at a time on each connection.
//!
//! A connection that completed its exchange is kept for the next one. One whose client gave up is closed, which makes the server
//! forget the exchange.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::{Endpoint, Wire};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::mechanism::{Mechanism, Properties};

/// How long the server may take for the handshake; Postfix's limit.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// How long it may take for an answer: failures are held back, and a slow user database is no failure yet.
const ANSWER_TIME: Duration = Duration::from_secs(100);
/// Longest line of the server, in bytes.
const MAX_LINE: usize = 64 * 1024;
/// Most lines of a handshake.
const MAX_HANDSHAKE: usize = 256;
/// Connections that are kept without an exchange.
const MAX_IDLE: usize = 4;
/// The minor version adds what we do not use; Postfix says 2 as well.
const GREETING: &str = "VERSION\t1\t2\n";

/// What the server hears of a client beside its mechanism.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// `smtpd_sasl_service`.
    pub(crate) service: String,
    /// The client's address and port.
    pub(crate) remote: Option<(String, u16)>,
    /// The server's.
    pub(crate) local: Option<(String, u16)>,
    /// TLS is on.
    pub(crate) secured: bool,
}

/// The server's answer to one move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A challenge, in base64.
    Continue(String),
    /// The user who is authenticated.
    Ok(String),
    /// No.
    Fail {
        /// Not the credentials' fault.
        temporary: bool,
        /// What the server says of it.
        reason: Option<String>,
        /// Who tried.
        user: Option<String>,
    },
    /// Refused, and the log knows already.
    Logged { reason: String },
}

/// The server.
pub(crate) struct Dovecot {
    endpoint: Endpoint,
    idle: Mutex<Vec<Connection>>,
    /// What the last handshake named.
    mechanisms: Mutex<Vec<Mechanism>>,
}

struct Connection {
    stream: BufReader<Box<dyn Wire>>,
    /// The number of the last exchange.
    last: u32,
}

/// An exchange between a challenge and the client's response.
pub(crate) struct Exchange {
    connection: Connection,
}

impl Dovecot {
    pub(crate) fn new(endpoint: Endpoint) -> Dovecot {
        Dovecot { endpoint, idle: Mutex::default(), mechanisms: Mutex::default() }
    }

    /// The mechanisms of the last handshake; of a first one when there was none. Empty when the server can not be reached, which
    /// the error says.
    pub(crate) async fn mechanisms(&self) -> Result<Vec<Mechanism>, String> {
        let known = lock(&self.mechanisms).clone();
        if !known.is_empty() {
            return Ok(known);
        }
        let connection = self.connect().await?;
        self.keep(connection);
        Ok(lock(&self.mechanisms).clone())
    }

    /// Begins an exchange. A connection that was kept may have died since: then once more, on a new one. The error is for the
    /// log.
    pub(crate) async fn begin(
        &self,
        mechanism: &str,
        about: &About,
        initial: Option<&str>,
    ) -> Result<(Answer, Option<Exchange>), String> {
        loop {
            let kept = lock(&self.idle).pop();
            let was_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            connection.last = connection.last.wrapping_add(1).max(1);
            let request = request(connection.last, mechanism, about, initial);
            match connection.ask(&request).await {
                Ok(answer) => return Ok(self.after(connection, answer)),
                Err(Trouble::Lost) if was_kept => {}
                Err(trouble) => return Err(trouble.text()),
            }
        }
    }

    /// The client's response to a challenge.
    pub(crate) async fn respond(
        &self,
        exchange: Exchange,
        response: &str,
    ) -> Result<(Answer, Option<Exchange>), String> {
        let mut connection = exchange.connection;
        let request = format!("CONT\t{}\t{response}\n", connection.last);
        match connection.ask(&request).await {
            Ok(answer) => Ok(self.after(connection, answer)),
            Err(trouble) => Err(trouble.text()),
        }
    }

    fn after(&self, connection: Connection, answer: Answer) -> (Answer, Option<Exchange>) {
        if matches!(answer, Answer::Continue(_)) {
            return (answer, Some(Exchange { connection }));
        }
        self.keep(connection);
        (answer, None)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let stream = tokio::time::timeout(HANDSHAKE_TIME, self.endpoint.connect()).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let failed =
            |why: String| format!("SASL: Connect to Dovecot auth socket '{}' failed: {why}", self.endpoint);
        let stream = stream.map_err(|error| failed(os_text(&error)))?;
        let mut connection = Connection { stream: BufReader::new(stream), last: 0 };
        let handshake = tokio::time::timeout(HANDSHAKE_TIME, connection.handshake()).await;
        match handshake.unwrap_or_else(|_| Err("time limit exceeded".to_owned())) {
            Ok(mechanisms) => *lock(&self.mechanisms) = mechanisms,
            Err(why) => return Err(failed(why)),
        }
        Ok(connection)
    }
}

impl Connection {
    async fn handshake(&mut self) -> Result<Vec<Mechanism>, String> {
        let greeting = format!("{GREETING}CPID\t{}\n", std::process::id());
        self.stream.write_all(greeting.as_bytes()).await.map_err(|error| os_text(&error))?;
        self.stream.flush().await.map_err(|error| os_text(&error))?;
        let mut mechanisms = Vec::new();
        for _ in 0..MAX_HANDSHAKE {
            let line = self.line().await.map_err(|error| os_text(&error))?;
            let mut words = line.split('\t');
            match words.next().unwrap_or_default() {
                "VERSION" => match words.next() {
                    Some("1") => {}
                    other => {
                        return Err(format!("protocol version mismatch ({} vs. 1)", other.unwrap_or("none")));
                    }
                },
                "MECH" => {
                    let name = words.next().unwrap_or_default();
                    let properties = words.fold(Properties::default(), Properties::with);
                    mechanisms.extend(Mechanism::new(name, properties));
                }
                "SPID" if words.next().is_none() => {
                    // auth-master names no process.
                    return Err("wrong auth socket (auth-master instead of auth-client)".into());
                }
                "DONE" => return Ok(mechanisms),
                // CUID, COOKIE, and what comes after our time.
                _ => {}
            }
        }
        Err("a handshake without an end".into())
    }

    async fn ask(&mut self, request: &str) -> Result<Answer, Trouble> {
        let asking = async {
            self.stream.write_all(request.as_bytes()).await.map_err(|_| Trouble::Lost)?;
            self.stream.flush().await.map_err(|_| Trouble::Lost)?;
            loop {
                let line = self.line().await.map_err(|_| Trouble::Lost)?;
                if let Some(answer) = answer(&line, self.last) {
                    return answer.ok_or(Trouble::Garbled);
                }
            }
        };
        tokio::time::timeout(ANSWER_TIME, asking).await.unwrap_or(Err(Trouble::Late))
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(MAX_LINE as u64).read_until(b'\n', &mut line).await?;
        match line.pop() {
            Some(b'\n') => Ok(String::from_utf8_lossy(&line).into_owned()),
            Some(_) if line.len() + 1 >= MAX_LINE => Err(io::Error::other("line too long")),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Why there is no answer.
enum Trouble {
    Lost,
    Garbled,
    Late,
}

impl Trouble {
    fn text(self) -> String {
        // What scripts over logs know.
        match self {
            Trouble::Lost => "Connection lost to authentication server".into(),
            Trouble::Garbled => "SASL: Protocol error".into(),
            Trouble::Late => "Time limit of the authentication server exceeded".into(),
        }
    }
}

/// The request that begins an exchange; the initial response has to be its last parameter.
fn request(id: u32, mechanism: &str, about: &About, initial: Option<&str>) -> String {
    let mut out = format!("AUTH\t{id}\t{mechanism}\tservice={}\tnologin", about.service);
    for (end, address, port) in [(&about.local, "lip", "lport"), (&about.remote, "rip", "rport")]
        .map(|(end, address, port)| (end.as_ref(), address, port))
    {
        let Some((ip, number)) = end else { continue };
        out.push_str(&format!("\t{address}={ip}"));
        if *number != 0 {
            out.push_str(&format!("\t{port}={number}"));
        }
    }
    if about.secured {
        out.push_str("\tsecured");
    }
    if let Some(initial) = initial {
        // RFC 4954 section 4: `=` alone is an empty response.
        out.push_str("\tresp=");
        out.push_str(if initial == "=" { "" } else { initial });
    }
    out.push('\n');
    out
}

/// Reads a line. `None`: it is not about this exchange; `Some(None)`: it makes no sense.
fn answer(line: &str, id: u32) -> Option<Option<Answer>> {
    let mut words = line.split('\t');
    let word = words.next().unwrap_or_default();
    if !matches!(word, "OK" | "CONT" | "FAIL") {
        return None;
    }
    if words.next().and_then(|text| text.parse().ok()) != Some(id) {
        return None;
    }
    let mut user = None;
    let mut reason = None;
    let mut temporary = false;
    if word == "CONT" {
        return Some(Some(Answer::Continue(words.next().unwrap_or_default().to_owned())));
    }
    for word in words {
        if let Some(text) = word.strip_prefix("user=") {
            user = Some(unescape(text));
        } else if let Some(text) = word.strip_prefix("reason=") {
            reason = Some(unescape(text));
        }
        temporary |= matches!(word, "temp" | "code=temp_fail");
    }
    Some(match (word, user) {
        ("OK", user) => user.filter(|user| !user.is_empty()).map(Answer::Ok),
        (_, user) => Some(Answer::Fail { temporary, reason, user }),
    })
}

/// Dovecot writes what would end a word as SOH and a letter.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\x01' => match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('1') => out.push('\x01'),
                Some('0') | None => {}
                Some(other) => out.push(other),
            },
            c => out.push(c),
        }
    }
    out
}

fn os_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "Connection timed out".into(),
        io::ErrorKind::UnexpectedEof => "lost connection".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests() {
        let about = About { service: "smtp".into(), ..About::default() };
        assert_eq!(request(1, "LOGIN", &about, None), "AUTH\t1\tLOGIN\tservice=smtp\tnologin\n");
        let about = About {
            remote: Some(("192.0.2.1".into(), 1025)),
            local: Some(("198.51.100.1".into(), 587)),
            secured: true,
            ..about
        };
        assert_eq!(
            request(7, "PLAIN", &about, Some("=")),
            "AUTH\t7\tPLAIN\tservice=smtp\tnologin\tlip=198.51.100.1\tlport=587\trip=192.0.2.1\trport=1025\tsecured\tresp=\n"
        );
    }

    #[test]
    fn answers() {
        let fail = |temporary, reason: Option<&str>, user: Option<&str>| {
            Some(Some(Answer::Fail {
                temporary,
                reason: reason.map(str::to_owned),
                user: user.map(str::to_owned),
            }))
        };
        for (line, expected) in [
            ("OK\t3\tuser=me@site.test\tx=y", Some(Some(Answer::Ok("me@site.test".into())))),
            ("OK\t3\tuser=a\x01tb", Some(Some(Answer::Ok("a\tb".into())))),
            // Nobody in particular is nobody.
            ("OK\t3", Some(None)),
            ("OK\t3\tuser=", Some(None)),
            ("CONT\t3\tUGFzc3dvcmQ6", Some(Some(Answer::Continue("UGFzc3dvcmQ6".into())))),
            ("CONT\t3", Some(Some(Answer::Continue(String::new())))),
            ("FAIL\t3\tuser=me\treason=No such thing", fail(false, Some("No such thing"), Some("me"))),
            ("FAIL\t3\tuser=me\ttemp", fail(true, None, Some("me"))),
            ("FAIL\t3\tcode=temp_fail", fail(true, None, None)),
            ("FAIL\t3\tcode=user_disabled", fail(false, None, None)),
            // Another exchange's, which was given up.
            ("OK\t2\tuser=other", None),
            ("OK\tx\tuser=other", None),
            ("COOKIE\t3", None),
        ] {
            assert_eq!(answer(line, 3), expected, "{line:?}");
        }
    }
}
