//! A whole mail system in a temporary folder, and a client that speaks to it. Everything stays on loopback.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)] // each test binary uses its part, and has no other way out

pub mod peer;
pub mod simple_peer;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use testkit::authority::{Authority, KeyKind};
use testkit::steady::Steady;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A configured mail system.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub port: u16,
    pub wrapper_port: u16,
    child: Option<Child>,
}

impl Site {
    /// Writes a configuration with a certificate of `authority` for localhost, and `extra` lines of main.cf. The domain site.test is
    /// delivered to Maildirs below `mail/`.
    pub fn new(authority: &Authority, extra: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let (port, wrapper_port) = (free_port(), free_port());
        let site = Site { dir, port, wrapper_port, child: None };
        let issued = authority.issue("localhost", KeyKind::EcdsaP256);
        site.write("server.pem", &(issued.key_pem + &issued.certificate_pem));
        site.write("ca.pem", &authority.certificate_pem);
        let is_root = uid() == 0;
        // nobody's number where tests run as root: nothing is ever delivered as root.
        let (owner, uid) = if is_root { ("nobody", 65534) } else { ("unused", uid()) };
        let root = site.dir.path().display().to_string();
        let main = format!(
            "compatibility_level = 3.12\n\
             myhostname = mx.site.test\n\
             mydestination =\n\
             mynetworks = 127.0.0.0/8\n\
             inet_protocols = ipv4\n\
             mail_owner = {owner}\n\
             queue_directory = {root}/spool\n\
             data_directory = {root}/data\n\
             maillog_file = {root}/mail.log\n\
             maillog_file_prefixes = {root}\n\
             alias_maps =\n\
             virtual_mailbox_domains = site.test\n\
             virtual_mailbox_maps = inline:{{ {{ user@site.test = user/ }}, {{ other@site.test = other/ }} }}\n\
             virtual_mailbox_base = {root}/mail\n\
             virtual_uid_maps = static:{uid}\n\
             virtual_gid_maps = static:{uid}\n\
             virtual_minimum_uid = 1\n\
             smtpd_tls_chain_files = {root}/server.pem\n\
             smtpd_tls_security_level = may\n\
             smtpd_tls_loglevel = 1\n\
             smtpd_tls_received_header = yes\n\
             smtp_tls_CAfile = {root}/ca.pem\n\
             smtp_tls_loglevel = 1\n\
             {}\n",
            extra.replace("DIR", &root)
        );
        site.write("main.cf", &main);
        site.write("master.cf", &master_cf(port, wrapper_port));
        std::fs::create_dir(site.dir.path().join("mail")).unwrap();
        std::fs::set_permissions(site.dir.path().join("mail"), PermissionsExt::from_mode(0o777)).unwrap();
        site
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let mode = if name == "server.pem" { 0o600 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    /// Starts master in the foreground and waits until the port answers.
    pub fn start(mut self) -> Site {
        self.restart();
        self
    }

    /// As `start`, for a port that greets nobody: waits for the connection only.
    pub fn start_unheard(mut self) -> Site {
        self.launch();
        let port = self.port;
        let ready = wait_for(|| TcpStream::connect(("127.0.0.1", port)).ok());
        assert!(ready.is_some(), "the system does not answer:\n{}", self.log());
        self
    }

    pub fn restart(&mut self) {
        self.launch();
        self.wait_for_greeting();
    }

    fn launch(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_mailclad"))
            .args(["postfix", "-c"])
            .arg(self.dir.path())
            .arg("start-fg")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
    }

    fn wait_for_greeting(&self) {
        let port = self.port;
        let ready = wait_for(|| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).ok()?;
            (&greeting == b"220").then_some(())
        });
        assert!(ready.is_some(), "the system does not answer:\n{}", self.log());
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = child.id() as i32;
            let _ = Command::new("kill").arg(pid.to_string()).status();
            let _ = child.wait();
        }
    }

    /// Ends master as a power cut would. Its children are left to end by themselves.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Runs a command of ours on this site.
    pub fn run(&self, words: &[&str], input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mailclad"))
            .args(words)
            .env("MAIL_CONFIG", self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("mail.log")).unwrap_or_default()
    }

    /// Waits until a log line contains all of `parts`.
    pub fn wait_for_log(&self, parts: &[&str]) -> String {
        let found = wait_for(|| {
            let log = self.log();
            log.lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        });
        found.unwrap_or_else(|| panic!("no line with {parts:?} in\n{}", self.log()))
    }

    /// Waits for a listing by `postqueue -p` that is as wanted: the log tells of an attempt before the store knows of it.
    pub fn wait_for_queue(&self, wanted: impl Fn(&str) -> bool) -> String {
        let mut last = String::new();
        let found = wait_for(|| {
            last = String::from_utf8_lossy(&self.run(&["postqueue", "-p"], "").stdout).into_owned();
            wanted(&last).then_some(())
        });
        assert!(found.is_some(), "the queue is not as wanted:\n{last}\n{}", self.log());
        last
    }

    /// The messages in a Maildir.
    pub fn mailbox(&self, name: &str) -> Vec<String> {
        let dir = self.dir.path().join("mail").join(name).join("new");
        let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
        let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths
            .iter()
            .filter_map(|path| std::fs::read(path).ok())
            .map(|b| String::from_utf8_lossy(&b).into_owned())
            .collect()
    }

    /// Waits for a message that contains `part`.
    pub fn wait_for_mail(&self, name: &str, part: &str) -> String {
        let found = wait_for(|| self.mailbox(name).into_iter().find(|message| message.contains(part)));
        found.unwrap_or_else(|| panic!("no mail with {part:?} for {name}:\n{}", self.log()))
    }

    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The process of a role.
    pub fn pid_of(&self, role: &str) -> Option<String> {
        let pattern = format!("^mailclad-{role} .*{}$", self.dir.path().display());
        let output = Command::new("pgrep").args(["-n", "-f", &pattern]).output().ok()?;
        let pid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        (!pid.is_empty()).then_some(pid)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

pub fn uid() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap())
}

/// A master.cf with one plain and one wrapper-mode service.
pub fn master_cf(port: u16, wrapper_port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd\n\
         127.0.0.1:{wrapper_port} inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes -o syslog_name=postfix/smtps\n\
         pickup unix n - n 60 1 pickup\n\
         cleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\n\
         rewrite unix - - n - - trivial-rewrite\n\
         bounce unix - - n - 0 bounce\n\
         smtp unix - - n - - smtp\n\
         relay unix - - n - - smtp\n\
         error unix - - n - - error\n\
         retry unix - - n - - error\n\
         discard unix - - n - - discard\n\
         local unix - n n - - local\n\
         virtual unix - n n - - virtual\n\
         lmtp unix - - n - - lmtp\n"
    )
}

/// A port that nobody listens on. From below the range that the system takes for outgoing connections: one of those could
/// otherwise have it when the server comes to bind it.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (std::process::id().wrapping_mul(131) + step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port as u16)).is_ok() {
            return port as u16;
        }
    }
}

/// Asks until there is an answer, or patience ends. There is no event to wait for across processes.
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A client in the middle of a dialogue.
pub struct Client {
    stream: Option<BufReader<Box<dyn Duplex>>>,
}

pub trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

impl Client {
    pub fn connect(port: u16) -> Client {
        Client::through(port, "")
    }

    /// One that waits longer than anybody else.
    pub fn patient(port: u16) -> Client {
        Client::waiting(port, "", PATIENCE * 5)
    }

    /// Behind a proxy that says this before the client's own words.
    pub fn through(port: u16, proxy: &str) -> Client {
        Client::waiting(port, proxy, PATIENCE)
    }

    fn waiting(port: u16, proxy: &str, patience: Duration) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut stream = Steady::new(stream, patience).unwrap();
        stream.write_all(proxy.as_bytes()).unwrap();
        let mut client = Client { stream: Some(BufReader::new(Box::new(stream))) };
        client.expect("220");
        client
    }

    /// Wrapper mode.
    pub fn connect_tls(port: u16, ca: &Path) -> Client {
        let stream = Steady::new(TcpStream::connect(("127.0.0.1", port)).unwrap(), PATIENCE).unwrap();
        let mut client = Client { stream: Some(BufReader::new(secured(stream, ca))) };
        client.expect("220");
        client
    }

    /// Sends a line and gives the whole reply.
    pub fn say(&mut self, line: &str) -> String {
        self.stream.as_mut().unwrap().get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.reply()
    }

    pub fn reply(&mut self) -> String {
        let mut text = String::new();
        loop {
            let mut line = String::new();
            if self.stream.as_mut().unwrap().read_line(&mut line).unwrap_or(0) == 0 {
                return text;
            }
            text.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return text;
            }
        }
    }

    pub fn expect(&mut self, code: &str) {
        let reply = self.reply();
        assert!(reply.starts_with(code), "expected {code}: {reply}");
    }

    pub fn must(&mut self, line: &str, code: &str) -> String {
        let reply = self.say(line);
        assert!(reply.starts_with(code), "{line}: expected {code}: {reply}");
        reply
    }

    /// STARTTLS with verification of the server's certificate for localhost.
    pub fn starttls(mut self, ca: &Path) -> Client {
        self.must("STARTTLS", "220 2.0.0 Ready to start TLS");
        let stream = self.stream.take().unwrap().into_inner();
        Client { stream: Some(BufReader::new(secured(stream, ca))) }
    }

    /// Content with LF line ends, and the end of data; reads nothing.
    pub fn send_lines(&mut self, text: &[u8]) {
        let mut wire = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            wire.extend_from_slice(line);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
        self.stream.as_mut().unwrap().get_mut().write_all(&wire).unwrap();
    }

    /// A whole message; gives the reply to its end.
    pub fn send(&mut self, from: &str, to: &[&str], body: &str) -> String {
        self.must(&format!("MAIL FROM:<{from}>"), "250");
        for to in to {
            self.must(&format!("RCPT TO:<{to}>"), "250");
        }
        self.must("DATA", "354");
        self.say(&format!("{}\r\n.", body.replace('\n', "\r\n")))
    }
}

fn secured<S: Read + Write + 'static>(stream: S, ca: &Path) -> Box<dyn Duplex> {
    use openssl::ssl::{SslConnector, SslMethod};
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_ca_file(ca).unwrap();
    match builder.build().connect("localhost", stream) {
        Ok(stream) => Box::new(stream),
        Err(_) => panic!("handshake failed"),
    }
}
