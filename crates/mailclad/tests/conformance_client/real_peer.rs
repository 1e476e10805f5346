//! Servers that are no script of ours: Exim, the distribution's Postfix, and OpenSSL's s_server, each on an address of its own. What such a
//! server says of a session in its own words is what is compared.
//!
//! Exim's package can not stand beside Postfix's: `MAILCLAD_EXIM` names the program where it was unpacked.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::support::wait_for;

/// Which server a case wants: `server exim FILES/good.pem`, and a line for each `option TEXT`.
#[derive(Clone, Debug)]
pub(crate) struct RealPeer {
    pub(crate) kind: Kind,
    /// Key and certificate.
    pub(crate) pem: String,
    /// Lines of its configuration, or arguments of s_server.
    pub(crate) options: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Exim,
    Postfix,
    /// TLS from the first byte; the dialogue behind it is ours.
    SServer,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Option<Kind> {
        match name {
            "exim" => Some(Kind::Exim),
            "postfix" => Some(Kind::Postfix),
            "s_server" => Some(Kind::SServer),
            _ => None,
        }
    }
}

/// A running server.
pub(crate) struct Running {
    kind: Kind,
    dir: PathBuf,
    child: Option<Child>,
    /// What s_server said of handshakes (true), and what was said through it.
    dialogue: Arc<Mutex<Vec<(bool, String)>>>,
}

impl Running {
    /// Serves at port 25 of `address` when this returns; `dir` is its own.
    pub(crate) fn start(peer: &RealPeer, address: &str, dir: &Path) -> Running {
        std::fs::create_dir(dir).unwrap();
        std::fs::set_permissions(dir, PermissionsExt::from_mode(0o755)).unwrap();
        let mut running =
            Running { kind: peer.kind, dir: dir.to_owned(), child: None, dialogue: Arc::default() };
        running.child = match peer.kind {
            Kind::Exim => Some(running.exim(peer, address)),
            Kind::Postfix => {
                running.postfix(peer, address);
                None
            }
            Kind::SServer => Some(running.s_server(peer, address)),
        };
        if peer.kind != Kind::SServer {
            let up = wait_for(|| TcpStream::connect((address, 25)).ok());
            assert!(up.is_some(), "{:?} does not listen at {address}", peer.kind);
        }
        running
    }

    /// What the server tells of its sessions so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        let log = |name: &str| std::fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        let words = |line: &str, wanted: &[&str]| -> String {
            let kept = line.split(' ').filter(|word| wanted.iter().any(|start| word.starts_with(start)));
            kept.collect::<Vec<_>>().join(" ")
        };
        match self.kind {
            // `<= from@site.test H=... P=esmtps X=TLS1.3:... CV=no SNI=... S=...`
            Kind::Exim => {
                let log = log("log/mainlog");
                let taken = log.lines().filter(|line| line.contains(" <= "));
                taken.map(|line| words(line, &["P=", "X=", "CV=", "DN=", "SNI=", "A="])).collect()
            }
            Kind::Postfix => {
                let log = log("mail.log");
                let told = log.lines().filter_map(|line| line.split_once("]: ").map(|(_, text)| text));
                let told = told.filter(|text| text.contains(" TLS connection established from "));
                told.map(str::to_owned).collect()
            }
            // The two streams come in an order of their own.
            Kind::SServer => {
                let lines = self.dialogue.lock().unwrap();
                // It may or may not hear the farewell of a client that leaves behind the handshake.
                let of =
                    |handshake| lines.iter().filter(move |(kind, line)| *kind == handshake && line != "QUIT");
                of(true).chain(of(false)).map(|(_, line)| line.clone()).collect()
            }
        }
    }

    /// Nobody is in the middle of a session. Exim and Postfix log what is looked at before they answer.
    pub(crate) fn is_alone(&self) -> bool {
        let dialogue = self.dialogue.lock().unwrap();
        let count = |start: &str| dialogue.iter().filter(|(_, line)| line.starts_with(start)).count();
        count("MAIL") <= count("QUIT")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).unwrap();
    }

    fn folder(&self, name: &str, owner: &str) {
        std::fs::create_dir(self.dir.join(name)).unwrap();
        self.give(name, owner);
    }

    fn give(&self, name: &str, owner: &str) {
        let given = Command::new("chown").arg(owner).arg(self.dir.join(name)).status().unwrap();
        assert!(given.success(), "there is no user {owner}");
    }

    fn exim(&self, peer: &RealPeer, address: &str) -> Child {
        let program = std::env::var("MAILCLAD_EXIM").unwrap_or_else(|_| "/usr/sbin/exim4".into());
        let root = self.dir.display();
        // Its user is compiled in, and must be able to read the key.
        for name in ["spool", "log"] {
            self.folder(name, "Debian-exim");
        }
        std::fs::copy(&peer.pem, self.dir.join("server.pem")).unwrap();
        self.give("server.pem", "Debian-exim");
        let options = peer.options.join("\n");
        self.write(
            "exim.conf",
            &format!(
                "primary_hostname = exim.test\nspool_directory = {root}/spool\nlog_file_path = {root}/log/%slog\n\
                 pid_file_path = {root}/exim.pid\ntls_certificate = {root}/server.pem\n\
                 tls_privatekey = {root}/server.pem\ndaemon_smtp_ports = 25\nlocal_interfaces = {address}\nqueue_only\n\
                 log_selector = +tls_sni +tls_certificate_verified +tls_peerdn\nrfc1413_query_timeout = 0s\nhost_lookup =\n\
                 acl_smtp_rcpt = take\nacl_smtp_data = take\n{options}\nbegin acl\ntake:\n  accept\n\
                 begin routers\nnone:\n  driver = redirect\n  data = :blackhole:\n"
            ),
        );
        Command::new(&program)
            .arg("-C")
            .arg(self.dir.join("exim.conf"))
            .arg("-bdf")
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; .ci/run installs it"))
    }

    fn postfix(&self, peer: &RealPeer, address: &str) {
        let root = self.dir.display();
        self.folder("spool", "root");
        self.folder("data", "postfix");
        let (pem, options) = (&peer.pem, peer.options.join("\n"));
        self.write(
            "main.cf",
            &format!(
                "compatibility_level = 3.6\nmyhostname = postfix.test\nmydestination =\nrelay_domains = static:all\n\
                 relay_transport = discard\nsmtpd_relay_restrictions = permit\nsmtpd_peername_lookup = no\nmynetworks = 127.0.0.0/8\n\
                 inet_protocols = ipv4\nmail_owner = postfix\nsetgid_group = postdrop\nqueue_directory = {root}/spool\n\
                 data_directory = {root}/data\nmaillog_file = {root}/mail.log\nmaillog_file_prefixes = {root}\nalias_maps =\n\
                 alias_database =\nsmtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\nsmtpd_tls_chain_files = {pem}\n\
                 smtputf8_enable = yes\n{options}\n"
            ),
        );
        self.write(
            "master.cf",
            &format!(
                "{address}:25 inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
                 tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
                 defer unix - - n - 0 bounce\ndiscard unix - - n - - discard\nanvil unix - - n - 1 anvil\n\
                 proxymap unix - - n - - proxymap\npostlog unix-dgram n - n - 1 postlogd\n"
            ),
        );
        let started =
            Command::new("/usr/sbin/postfix").arg("-c").arg(&self.dir).arg("start").output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    }

    /// It says of each handshake what it came to, and passes on what is said behind it.
    fn s_server(&self, peer: &RealPeer, address: &str) -> Child {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", &format!("{address}:25"), "-brief"])
            .args(["-cert", &peer.pem, "-key", &peer.pem])
            .args(peer.options.iter().flat_map(|line| line.split(' ')))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let (lines, heard) = std::sync::mpsc::channel();
        // What it says of handshakes comes by the second stream, what the client says by the first.
        for (handshake, stream) in [
            (false, Box::new(child.stdout.take().unwrap()) as Box<dyn std::io::Read + Send>),
            (true, Box::new(child.stderr.take().unwrap())),
        ] {
            let lines = lines.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = lines.send((handshake, line.trim_end_matches('\r').to_owned()));
                }
            });
        }
        drop(lines);
        let dialogue = Arc::clone(&self.dialogue);
        std::thread::spawn(move || {
            let mut in_data = false;
            for (handshake, line) in heard {
                let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
                let reply = match (&*line, &*verb) {
                    (".", _) if in_data => Some("250 2.0.0 Ok: queued as PEER"),
                    _ if in_data => None,
                    (_, "PROTOCOL") => Some("220 s_server.test ESMTP"),
                    (_, "EHLO" | "LHLO") => Some("250-s_server.test\r\n250-8BITMIME\r\n250 SIZE 0"),
                    (_, "MAIL" | "RCPT" | "RSET") => Some("250 2.0.0 Ok"),
                    (_, "DATA") => Some("354 End data"),
                    (_, "QUIT") => Some("221 2.0.0 Bye"),
                    _ => None,
                };
                in_data = (in_data && line != ".") || verb == "DATA";
                dialogue.lock().unwrap().push((handshake, line));
                if let Some(reply) = reply
                    && input
                        .write_all(format!("{reply}\r\n").as_bytes())
                        .and_then(|()| input.flush())
                        .is_err()
                {
                    return;
                }
            }
        });
        child
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        match self.child.as_mut() {
            Some(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            None => {
                let _ = Command::new("/usr/sbin/postfix").arg("-c").arg(&self.dir).arg("stop").output();
            }
        }
    }
}
