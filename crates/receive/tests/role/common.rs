//! A receive role in a folder of its own, the queue's side of its link, and a client that speaks lines.

use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use config::{Configuration, HostFacts};
use link::message::NewMessage;
use link::{Link, Reply, Request, Role};
use maillog::{Destination, Log, Sink};

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What the fake queue does with messages.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    Keeps,
    IsFull,
    IsGone,
}

/// A message as the queue got it, with its whole content.
pub(crate) struct Kept {
    pub(crate) new: NewMessage,
    pub(crate) content: String,
}

/// A running role.
pub(crate) struct Running {
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) kept: mpsc::Receiver<Kept>,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) pickup: PathBuf,
    dropped: Arc<Mutex<Vec<String>>>,
    role: Option<JoinHandle<Result<(), String>>>,
    master: Option<(tokio::sync::oneshot::Sender<()>, JoinHandle<()>)>,
}

/// main.cf of all tests: mail for example.test, one known user, nobody trusted.
const BASE: &str = "compatibility_level = 3.6\nmyhostname = mx.example.test\nmydomain = example.test\n\
    myorigin = example.test\nmydestination = example.test\nlocal_recipient_maps = inline:{user=x, other=x}\n\
    smtpd_peername_lookup = no\nmynetworks = 192.0.2.0/24\nalias_maps =\n\
    smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\nsmtpd_error_sleep_time = 0\n\
    local_header_rewrite_clients =\n";

/// One service of the ordinary kind.
pub(crate) const PLAIN: &str = "smtp inet n - n - - smtpd\n";

impl Running {
    /// Starts a role; `$dir` in both files is its folder.
    pub(crate) fn start(main_cf: &str, master_cf: &str, queue: Queue, files: &[(&str, &str)]) -> Running {
        Running::start_some(main_cf, master_cf, queue, files, &[])
    }

    /// As [`Running::start`]; services at these places in master.cf are known not to start.
    pub(crate) fn start_some(
        main_cf: &str,
        master_cf: &str,
        queue: Queue,
        files: &[(&str, &str)],
        bad: &[usize],
    ) -> Running {
        Running::run(main_cf, master_cf, queue, bad, |folder| {
            for (name, text) in files {
                std::fs::write(folder.join(name), text).unwrap();
            }
        })
    }

    /// As [`Running::start`]; `fill` puts files into the folder.
    pub(crate) fn start_with(
        main_cf: &str,
        master_cf: &str,
        queue: Queue,
        fill: impl FnOnce(&Path),
    ) -> Running {
        Running::run(main_cf, master_cf, queue, &[], fill)
    }

    fn run(main_cf: &str, master_cf: &str, queue: Queue, bad: &[usize], fill: impl FnOnce(&Path)) -> Running {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        let dir = path.display().to_string();
        std::fs::create_dir(path.join("maildrop")).unwrap();
        fill(path);
        let main = format!("{BASE}queue_directory = {dir}\n{}\n", main_cf.replace("$dir", &dir));
        std::fs::write(path.join("main.cf"), main).unwrap();
        std::fs::write(path.join("master.cf"), master_cf).unwrap();
        let configuration = Configuration::read(path, HostFacts::default()).unwrap();
        let sink = Sink::open(&Destination::File { path: path.join("log"), mode: 0o600 }, "host").unwrap();
        let log = Log::new(Arc::new(sink), "postfix", "receive");
        let lines: Vec<u32> = configuration.services().iter().map(|service| service.line as u32).collect();
        let prepared = receive::prepare(configuration, log, 1, path.join("maildrop")).unwrap();
        let pickup = path.join("pickup");
        let pickup_listener = UnixListener::bind(&pickup).unwrap();
        let (master, control) = UnixStream::pair().unwrap();
        let role = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(receive::serve(prepared, control, pickup_listener))
        });
        let (kept_out, kept) = mpsc::channel();
        let dropped = Arc::new(Mutex::new(Vec::new()));
        let (queue_side, role_side) = UnixStream::pair().unwrap();
        let (bodies, taken_back) = (path.to_owned(), Arc::clone(&dropped));
        std::thread::spawn(move || fake_queue(queue_side, queue, bodies, kept_out, taken_back));
        let mut calls = vec![(Request::Peer { role: Role::Queue }, vec![OwnedFd::from(role_side)], true)];
        let mut addresses = Vec::new();
        for (at, line) in lines.into_iter().enumerate() {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            addresses.push(listener.local_addr().unwrap());
            let request = Request::Listen { service_line: line };
            calls.push((request, vec![OwnedFd::from(listener)], !bad.contains(&at)));
        }
        calls.push((Request::Begin, Vec::new(), true));
        let (began, has_begun) = mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let master = std::thread::spawn(move || play_master(master, calls, began, ended));
        has_begun.recv_timeout(PATIENCE).unwrap();
        Running { addresses, kept, directory, pickup, dropped, role: Some(role), master: Some((end, master)) }
    }

    /// Master's Drain: the role finishes what it has and ends.
    pub(crate) fn drain(&mut self) -> Result<(), String> {
        if let Some((end, master)) = self.master.take() {
            end.send(()).unwrap();
            master.join().unwrap();
        }
        self.role.take().unwrap().join().unwrap()
    }

    /// The ids whose body files were taken back.
    pub(crate) fn dropped(&self) -> Vec<String> {
        self.dropped.lock().unwrap().clone()
    }

    /// A client of the first service.
    pub(crate) fn client(&self) -> Client<TcpStream> {
        Client::new(self.connect(0))
    }

    /// A connection to a service.
    pub(crate) fn connect(&self, service: usize) -> TcpStream {
        let stream = TcpStream::connect(self.addresses[service]).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The next message that the queue got.
    pub(crate) fn next_kept(&self) -> Kept {
        self.kept.recv_timeout(PATIENCE).unwrap()
    }

    /// Waits until the log holds a text, and gives the log.
    pub(crate) fn log_with(&self, text: &str) -> String {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
            if log.contains(text) {
                return log;
            }
            assert!(std::time::Instant::now() < end, "no {text:?} in:\n{log}");
            std::thread::yield_now();
        }
    }
}

/// Master's side: these calls, the word that they are made, and Drain when it is time. The flag says which of them must
/// succeed.
fn play_master(
    socket: UnixStream,
    calls: Vec<(Request, Vec<OwnedFd>, bool)>,
    began: mpsc::Sender<()>,
    ended: tokio::sync::oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let (link, mut incoming) = Link::open(socket, "receive").unwrap();
        for (request, descriptors, succeeds) in calls {
            let named = format!("{request:?}");
            let reply = link.call(request, descriptors).await.unwrap().0;
            assert_eq!(reply == Reply::Done, succeeds, "{named}: {reply:?}");
        }
        began.send(()).unwrap();
        // A test that does not drain drops its side; then the link just ends.
        if ended.await.is_ok() {
            assert_eq!(link.call(Request::Drain, Vec::new()).await.unwrap().0, Reply::Done);
            while incoming.recv().await.is_some() {}
        }
    });
}

fn fake_queue(
    socket: UnixStream,
    queue: Queue,
    bodies: PathBuf,
    kept: mpsc::Sender<Kept>,
    dropped: Arc<Mutex<Vec<String>>>,
) {
    if queue == Queue::IsGone {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let (_link, mut calls) = Link::open(socket, "receive").unwrap();
        while let Some(Ok(incoming)) = calls.recv().await {
            match incoming.request {
                _ if queue == Queue::IsFull => incoming.call.answer(Reply::NoSpace, Vec::new()),
                Request::OpenBody { id } => {
                    let file = std::fs::File::options()
                        .create_new(true)
                        .read(true)
                        .write(true)
                        .open(bodies.join(id.as_str()))
                        .unwrap();
                    incoming.call.answer(Reply::BodyFile, vec![file.into()]);
                }
                Request::Append(new) => {
                    let id = new.message.id.to_string();
                    let bytes = match &new.body {
                        Some(bytes) => bytes.clone(),
                        None => std::fs::read(bodies.join(id)).unwrap(),
                    };
                    assert_eq!(new.message.checksum, crc32c::crc32c(&bytes));
                    assert_eq!(new.message.size, bytes.len() as u64);
                    let content = String::from_utf8_lossy(&bytes).into_owned();
                    incoming.call.answer(Reply::Kept, Vec::new());
                    let _ = kept.send(Kept { new: *new, content });
                }
                Request::DropBody { id } => {
                    dropped.lock().unwrap().push(id.to_string());
                    let _ = std::fs::remove_file(bodies.join(id.as_str()));
                    incoming.call.answer(Reply::Done, Vec::new());
                }
                _ => incoming.call.answer(Reply::Done, Vec::new()),
            }
        }
    });
}

/// Speaks lines over any stream.
pub(crate) struct Client<S: Read + Write> {
    stream: BufReader<S>,
}

impl<S: Read + Write> Client<S> {
    /// Takes a connection over; the greeting has not been read.
    pub(crate) fn new(stream: S) -> Client<S> {
        Client { stream: BufReader::new(stream) }
    }

    /// One whole reply, its lines joined by `|`; empty at the end of the connection.
    pub(crate) fn reply(&mut self) -> String {
        let mut whole = String::new();
        loop {
            let mut line = String::new();
            // A reset is an end too.
            if self.stream.read_line(&mut line).unwrap_or(0) == 0 {
                return whole;
            }
            let more = line.as_bytes().get(3) == Some(&b'-');
            whole.push_str(line.trim_end());
            if !more {
                return whole;
            }
            whole.push('|');
        }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // A server that has hung up is seen by the next reply.
        let _ = self.stream.get_mut().write_all(bytes.as_ref());
        let _ = self.stream.get_mut().flush();
    }

    /// Sends a line and reads the reply.
    pub(crate) fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// Sends lines one by one and compares the beginning of each reply.
    pub(crate) fn dialogue(&mut self, lines: &[(&str, &str)]) {
        for (line, expected) in lines {
            let reply = self.say(line);
            assert!(reply.starts_with(expected), "{line}: {reply}, not {expected}");
        }
    }

    /// Greeting to DATA, for one recipient.
    pub(crate) fn up_to_data(&mut self) {
        assert!(self.reply().starts_with("220 mx.example.test ESMTP"));
        self.dialogue(&[
            ("EHLO client.test", "250-mx.example.test"),
            ("MAIL FROM:<s@remote.test>", "250 2.1.0 Ok"),
            ("RCPT TO:<user@example.test>", "250 2.1.5 Ok"),
            ("DATA", "354 End data"),
        ]);
    }

    /// The stream below, for a handshake.
    pub(crate) fn into_inner(self) -> S {
        self.stream.into_inner()
    }
}

/// A file's content from its beginning.
pub(crate) fn content_file(text: &str) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}
