//! A mail server with a script: what it says to each command, what it shows in a handshake, when it breaks off. It writes down what it
//! hears.
//!
//! ```text
//! offer STARTTLS, SIZE 1000      keywords of the reply to EHLO; those of a session in TLS with `tls:offer`
//! tls FILES/rsa.pem max=1.2      shakes hands with this key and chain; min=, max=, ciphers=
//! wrapper                        the handshake comes first
//! on RCPT 450 4.2.0 later        another reply than 250; `\n` begins another line
//! on RCPT#2 close                only for the second one of a session; hangs up without a word
//! on tls:MAIL silence            only in TLS; says nothing more
//! on s2:connect 421 4.3.2 busy   only in the second session; instead of the greeting
//! on DATA hangup 421 4.3.0 bye   a reply, and the end
//! on EHLO raw \x00\xff           these bytes, whatever they are
//! ```
//!
//! Events are `connect`, `handshake`, the verbs, `.` for the end of data, and `text` for a line of an AUTH exchange.

use std::collections::HashMap;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::ssl::{Ssl, SslContext, SslFiletype, SslMethod, SslStream, SslVerifyMode, SslVersion};
use testkit::steady::Steady;

use super::Duplex;

/// How long a session may be without a byte.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a server does.
#[derive(Clone, Debug, Default)]
pub struct Script {
    offer: Option<String>,
    offer_in_tls: Option<String>,
    tls: Option<Tls>,
    wrapper: bool,
    /// Event and action, the later before the earlier.
    on: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
struct Tls {
    pem: String,
    min: Option<SslVersion>,
    max: Option<SslVersion>,
    ciphers: String,
}

impl Script {
    /// Reads a script of lines.
    pub fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            script.add(line)?;
        }
        Ok(script)
    }

    /// Adds one line.
    pub fn add(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "offer" => self.offer = Some(rest.to_owned()),
            "tls:offer" => self.offer_in_tls = Some(rest.to_owned()),
            "tls" => self.tls = Some(Tls::parse(rest)?),
            "wrapper" => self.wrapper = true,
            "on" => {
                let (event, action) = rest.split_once(' ').ok_or(format!("no action: {line}"))?;
                self.on.insert(0, (event.to_owned(), action.to_owned()));
            }
            _ => return Err(format!("unknown word {word}")),
        }
        Ok(())
    }

    fn context(&self) -> Option<SslContext> {
        let tls = self.tls.as_ref()?;
        let mut builder = SslContext::builder(SslMethod::tls_server()).unwrap();
        builder.set_security_level(0);
        builder.set_cipher_list(&tls.ciphers).unwrap();
        builder.set_min_proto_version(tls.min).unwrap();
        builder.set_max_proto_version(tls.max).unwrap();
        builder.set_certificate_chain_file(&tls.pem).unwrap();
        builder.set_private_key_file(&tls.pem, SslFiletype::PEM).unwrap();
        // Asked for, and whatever comes is good: it is written down.
        builder.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
        builder.set_session_id_context(b"peer").unwrap();
        Some(builder.build())
    }
}

impl Tls {
    fn parse(text: &str) -> Result<Tls, String> {
        let mut words = text.split_whitespace();
        let pem = words.next().ok_or("tls FILE")?.to_owned();
        let mut tls = Tls { pem, min: None, max: None, ciphers: "ALL:eNULL:@SECLEVEL=0".into() };
        for word in words {
            let (name, value) = word.split_once('=').ok_or(format!("NAME=VALUE, not {word}"))?;
            let version = match value {
                "1.0" => SslVersion::TLS1,
                "1.1" => SslVersion::TLS1_1,
                "1.2" => SslVersion::TLS1_2,
                _ => SslVersion::TLS1_3,
            };
            match name {
                "min" => tls.min = Some(version),
                "max" => tls.max = Some(version),
                "ciphers" => tls.ciphers = format!("{value}:@SECLEVEL=0"),
                _ => return Err(format!("unknown word {word}")),
            }
        }
        Ok(tls)
    }
}

/// A running server.
pub struct ScriptedPeer {
    heard: Arc<Mutex<Vec<String>>>,
    sessions: Arc<AtomicUsize>,
    /// Sessions that have ended.
    ended: Arc<AtomicUsize>,
    address: (String, u16),
    stopping: Arc<std::sync::atomic::AtomicBool>,
}

impl ScriptedPeer {
    /// Listens at an address; serves when this returns.
    pub fn start(address: &str, port: u16, script: Script) -> ScriptedPeer {
        let listener =
            TcpListener::bind((address, port)).unwrap_or_else(|why| panic!("{address}:{port}: {why}"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sessions = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let context = script.context().map(Arc::new);
        let script = Arc::new(script);
        let ended = Arc::new(AtomicUsize::new(0));
        let (kept, count, stops) = (Arc::clone(&heard), Arc::clone(&sessions), Arc::clone(&stopping));
        let ends = Arc::clone(&ended);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stops.load(Ordering::SeqCst) {
                    return;
                }
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let (script, context, heard) = (Arc::clone(&script), context.clone(), Arc::clone(&kept));
                let ends = Arc::clone(&ends);
                std::thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let Ok(stream) = Steady::new(stream, PATIENCE) else { return };
                    let mut session = Session {
                        script: &script,
                        context: context.as_deref(),
                        number,
                        heard: &heard,
                        in_tls: false,
                        counts: HashMap::new(),
                        rest: Vec::new(),
                    };
                    // A client that leaves early ends its own session only.
                    let _ = session.serve(stream);
                    ends.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        ScriptedPeer { heard, sessions, ended, address: (address.to_owned(), port), stopping }
    }

    /// What was said to it so far, in order, with a line for each session and handshake.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Nobody is connected.
    pub fn is_alone(&self) -> bool {
        self.ended.load(Ordering::SeqCst) == self.sessions()
    }

    /// Connections so far.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedPeer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((self.address.0.as_str(), self.address.1));
    }
}

struct Session<'a> {
    script: &'a Script,
    context: Option<&'a SslContext>,
    number: usize,
    heard: &'a Mutex<Vec<String>>,
    in_tls: bool,
    /// How often each verb came.
    counts: HashMap<String, usize>,
    /// Bytes behind the last line.
    rest: Vec<u8>,
}

/// How a session goes on.
enum Then {
    Listen,
    Content,
    Challenge,
    Handshake,
    End,
}

impl Session<'_> {
    fn note(&self, line: impl Into<String>) {
        self.heard.lock().unwrap().push(line.into());
    }

    fn serve(&mut self, stream: Steady) -> std::io::Result<()> {
        self.note(format!("-- session {} --", self.number));
        if self.script.wrapper {
            let Some(mut stream) = self.handshake(stream)? else { return Ok(()) };
            let then = self.act(&mut stream, "connect", "220 peer.test ESMTP")?;
            self.converse(&mut stream, then)?;
            let _ = stream.shutdown();
            return Ok(());
        }
        let mut stream = stream;
        let then = self.act(&mut stream, "connect", "220 peer.test ESMTP")?;
        if self.converse(&mut stream, then)? {
            self.rest.clear();
            let Some(mut stream) = self.handshake(stream)? else { return Ok(()) };
            self.converse(&mut stream, Then::Listen)?;
            let _ = stream.shutdown();
        }
        Ok(())
    }

    fn handshake(&mut self, mut stream: Steady) -> std::io::Result<Option<SslStream<Steady>>> {
        if self.action("handshake").is_some() {
            self.act(&mut stream, "handshake", "")?;
            return Ok(None);
        }
        let Some(context) = self.context else { return Ok(None) };
        let mut secured = SslStream::new(Ssl::new(context)?, stream)?;
        if secured.accept().is_err() {
            self.note("-- the handshake failed --");
            return Ok(None);
        }
        self.in_tls = true;
        let ssl = secured.ssl();
        let name = ssl.servername(openssl::ssl::NameType::HOST_NAME).map(|name| format!(", for {name}"));
        let client = ssl.peer_certificate().map(|certificate| {
            let mut names = certificate.subject_name().entries();
            let name = names.next().and_then(|entry| entry.data().to_string().ok());
            format!(", client {}", name.unwrap_or_default())
        });
        let resumed = if ssl.session_reused() { ", resumed" } else { "" };
        self.note(format!(
            "-- {}{}{}{resumed} --",
            ssl.version_str(),
            name.unwrap_or_default(),
            client.unwrap_or_default()
        ));
        Ok(Some(secured))
    }

    /// Answers until somebody leaves. True: it is time to shake hands.
    fn converse(&mut self, stream: &mut impl Duplex, mut then: Then) -> std::io::Result<bool> {
        loop {
            match then {
                Then::End => return Ok(false),
                Then::Handshake => return Ok(true),
                _ => {}
            }
            let Some(line) = self.line(stream)? else {
                self.note("-- the client left --");
                return Ok(false);
            };
            // Who expected a handshake sends no text.
            let is_command = matches!(then, Then::Listen | Then::Challenge);
            if is_command && line.contains(|c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
                self.note("-- bytes that are no text --");
                return Ok(false);
            }
            self.note(line.clone());
            then = match then {
                Then::Content if line == "." => self.act(stream, ".", "250 2.0.0 Ok: queued as PEER")?,
                Then::Content => Then::Content,
                Then::Challenge => self.act(stream, "text", "235 2.7.0 Welcome")?,
                _ => self.command(stream, &line)?,
            };
        }
    }

    fn command(&mut self, stream: &mut impl Duplex, line: &str) -> std::io::Result<Then> {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let usual = match verb.as_str() {
            "EHLO" | "LHLO" => self.greeting(),
            "HELO" => "250 peer.test".to_owned(),
            "STARTTLS" => "220 2.0.0 Ready to start TLS".into(),
            "DATA" => "354 End data with <CR><LF>.<CR><LF>".into(),
            "AUTH" => "235 2.7.0 Authentication successful".into(),
            "QUIT" => "221 2.0.0 Bye".into(),
            "MAIL" => "250 2.1.0 Ok".into(),
            "RCPT" => "250 2.1.5 Ok".into(),
            _ => "250 2.0.0 Ok".into(),
        };
        self.act(stream, &verb, &usual)
    }

    fn greeting(&self) -> String {
        let of_tls = self.script.offer_in_tls.as_ref().filter(|_| self.in_tls);
        let usual = match self.script.tls.is_some() && !self.script.wrapper && !self.in_tls {
            true => "STARTTLS, 8BITMIME",
            false => "8BITMIME",
        };
        let offer = of_tls.or(self.script.offer.as_ref()).map_or(usual, String::as_str);
        let keywords = offer.split(',').map(str::trim).filter(|word| !word.is_empty());
        let lines: Vec<&str> = std::iter::once("peer.test").chain(keywords).collect();
        let (last, others) = lines.split_last().unwrap();
        others.iter().map(|line| format!("250-{line}\\n")).collect::<String>() + &format!("250 {last}")
    }

    /// What the script says about an event, for the second command, the session, TLS.
    fn action(&self, event: &str) -> Option<&str> {
        let count = self.counts.get(event).copied().unwrap_or(1);
        let fits = |pattern: &str| {
            let mut pattern = pattern;
            if let Some((session, rest)) = pattern.split_once(':').filter(|(word, _)| word.starts_with('s')) {
                if session != format!("s{}", self.number) {
                    return false;
                }
                pattern = rest;
            }
            if let Some(rest) = pattern.strip_prefix("tls:") {
                if !self.in_tls {
                    return false;
                }
                pattern = rest;
            }
            match pattern.split_once('#') {
                Some((name, number)) => name == event && number == count.to_string(),
                None => pattern == event,
            }
        };
        self.script.on.iter().find(|(pattern, _)| fits(pattern)).map(|(_, action)| action.as_str())
    }

    fn act(&mut self, stream: &mut impl Duplex, event: &str, usual: &str) -> std::io::Result<Then> {
        *self.counts.entry(event.to_owned()).or_default() += 1;
        let action = self.action(event).unwrap_or(usual).to_owned();
        let (word, rest) = action.split_once(' ').unwrap_or((&action, ""));
        match word {
            "close" => {
                // Closing with unread bytes would reset the connection.
                if event == "handshake" {
                    let _ = stream.read(&mut [0; 4096])?;
                }
                return Ok(Then::End);
            }
            "silence" => {
                while let Some(line) = self.line(stream)? {
                    // A ClientHello is no text.
                    if event != "handshake" {
                        self.note(line);
                    }
                }
                self.note("-- the client left --");
                return Ok(Then::End);
            }
            "raw" => {
                stream.write_all(&bytes(rest))?;
                stream.flush()?;
                let shakes = event == "STARTTLS" && rest.starts_with('2');
                return Ok(if shakes { Then::Handshake } else { Then::Listen });
            }
            "hangup" => {
                reply(stream, rest)?;
                return Ok(Then::End);
            }
            _ => reply(stream, &action)?,
        }
        stream.flush()?;
        let positive = action.starts_with('2');
        Ok(match event {
            "STARTTLS" if positive => Then::Handshake,
            "DATA" if action.starts_with('3') => Then::Content,
            "AUTH" | "text" if action.starts_with('3') => Then::Challenge,
            "QUIT" => Then::End,
            _ => Then::Listen,
        })
    }

    /// The next line; nothing when the client left.
    fn line(&mut self, stream: &mut impl Duplex) -> std::io::Result<Option<String>> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return Ok(None),
                Ok(n) => self.rest.extend_from_slice(&buffer[..n]),
            }
        }
    }
}

fn reply(stream: &mut impl Write, text: &str) -> std::io::Result<()> {
    stream.write_all(format!("{}\r\n", text.replace("\\n", "\r\n")).as_bytes())
}

/// `\r`, `\n`, `\xNN`.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (byte, length) = match (byte, after) {
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b'x', a, b, ..]) => {
                let digits = [*a, *b];
                (u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap(), 3)
            }
            (byte, _) => (byte, 0),
        };
        out.push(byte);
        rest = &after[length..];
    }
    out
}
