//! A mail system in a folder of its own: Debian's Postfix, or Mailclad, with the same main.cf and master.cf on the same file system.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::load::{self, Load};
use super::processes;

/// Which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Postfix,
    Mailclad,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Postfix => "Postfix",
            Kind::Mailclad => "Mailclad",
        }
    }
}

/// A running system; it stops when it is dropped.
pub(crate) struct Subject {
    pub(crate) kind: Kind,
    pub(crate) dir: PathBuf,
    /// Ports with an RSA and with an ECDSA certificate.
    pub(crate) rsa: u16,
    pub(crate) ecdsa: u16,
    program: PathBuf,
}

/// How long a system may take to start, stop, or deliver.
const PATIENCE: Duration = Duration::from_secs(120);

impl Subject {
    /// Writes the configuration and starts it.
    pub(crate) fn start(
        kind: Kind,
        base: &Path,
        program: &Path,
        ports: (u16, u16),
        relay: u16,
        certificates: &[(&str, String)],
    ) -> Result<Subject, String> {
        let dir = base.join(kind.name().to_lowercase());
        let subject = Subject { kind, dir, rsa: ports.0, ecdsa: ports.1, program: program.to_owned() };
        subject.write(relay, certificates).map_err(|error| format!("{}: {error}", subject.dir.display()))?;
        subject.run(&["start"])?;
        subject.wait_for("it to accept mail", || {
            std::net::TcpStream::connect(("127.0.0.1", subject.rsa)).is_ok()
        })?;
        Ok(subject)
    }

    fn write(&self, relay: u16, certificates: &[(&str, String)]) -> std::io::Result<()> {
        let dir = self.dir.display();
        for name in ["", "etc", "data", "spool", "mail"] {
            let path = self.dir.join(name);
            fs::create_dir_all(&path)?;
            let mode = if name == "mail" { 0o777 } else { 0o755 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
        // data_directory belongs to the mail system's user.
        let _ = Command::new("chown").arg("postfix").arg(self.dir.join("data")).status();
        for (name, text) in certificates {
            let path = self.dir.join("etc").join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        }
        let main = format!(
            "compatibility_level = 3.6\nmyhostname = bench.test\nmydestination =\ninet_interfaces = 127.0.0.1\n\
             inet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nmail_owner = postfix\nqueue_directory = {dir}/spool\n\
             data_directory = {dir}/data\ncommand_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\n\
             maillog_file = {dir}/mail.log\nmaillog_file_prefixes = {dir}\nalias_maps =\nalias_database =\n\
             smtpd_client_connection_count_limit = 0\nmessage_size_limit = 100000000\nvirtual_mailbox_limit = 0\n\
             smtpd_tls_security_level = may\nsmtpd_tls_session_cache_database = btree:{dir}/data/smtpd_scache\n\
             smtp_tls_security_level = encrypt\nsmtp_tls_connection_reuse = yes\n\
             smtp_tls_session_cache_database = btree:{dir}/data/smtp_scache\n\
             relay_domains = discard.test, relay.test, held.test\ndefer_transports = hold\n\
             default_process_limit = 11000\nlocal_recipient_maps =\nrelay_recipient_maps =\n\
             transport_maps = inline:{{ {{discard.test = discard:}}, {{relay.test = smtp:[127.0.0.1]:{relay}}}, {{held.test = hold:}} }}\n\
             virtual_mailbox_domains = maildir.test\nvirtual_mailbox_maps = static:box/\n\
             virtual_mailbox_base = {dir}/mail\nvirtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n"
        );
        fs::write(self.dir.join("etc/main.cf"), main)?;
        let master = format!(
            "127.0.0.1:{} inet n - n - - smtpd\n  -o smtpd_tls_chain_files={dir}/etc/rsa.pem\n\
             127.0.0.1:{} inet n - n - - smtpd\n  -o smtpd_tls_chain_files={dir}/etc/ecdsa.pem\n{SERVICES}",
            self.rsa, self.ecdsa
        );
        fs::write(self.dir.join("etc/master.cf"), master)
    }

    /// A command of the system, with its configuration.
    pub(crate) fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = match self.kind {
            Kind::Postfix => Command::new(format!("/usr/sbin/{name}")),
            Kind::Mailclad => {
                let mut command = Command::new(&self.program);
                command.arg(name);
                command
            }
        };
        command.args(args).env("MAIL_CONFIG", self.dir.join("etc")).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Result<(), String> {
        let output = self.command("postfix", args).output().map_err(|error| format!("postfix: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                Err(format!("{} {args:?}: {}", self.kind.name(), String::from_utf8_lossy(&output.stderr)))
            }
        }
    }

    /// Stops and starts; gives the time from the command until mail is accepted.
    pub(crate) fn restart(&self) -> Result<Duration, String> {
        self.run(&["stop"])?;
        let began = Instant::now();
        self.run(&["start"])?;
        self.wait_for("it to accept mail", || {
            use std::io::Read;
            let mut greeting = [0; 3];
            std::net::TcpStream::connect(("127.0.0.1", self.rsa))
                .is_ok_and(|mut stream| stream.read_exact(&mut greeting).is_ok())
        })?;
        Ok(began.elapsed())
    }

    /// The process of its master.
    pub(crate) fn master(&self) -> Option<u32> {
        fs::read_to_string(self.dir.join("spool/pid/master.pid")).ok()?.trim().parse().ok()
    }

    pub(crate) fn cpu_time(&self) -> Duration {
        self.master().map(processes::cpu_time).unwrap_or_default()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.master().map(processes::memory).unwrap_or_default()
    }

    /// Messages in the Maildir.
    pub(crate) fn delivered(&self) -> usize {
        fs::read_dir(self.dir.join("mail/box/new")).map_or(0, Iterator::count)
    }

    pub(crate) fn empty_mailbox(&self) {
        let _ = fs::remove_dir_all(self.dir.join("mail/box"));
    }

    /// Fills the queue with messages that wait.
    pub(crate) async fn fill_queue(&self, server: SocketAddr, messages: usize) -> Result<(), String> {
        let load = Load {
            server,
            tls: None,
            clients: 20,
            sessions: 20,
            messages: messages.div_ceil(20),
            size: 1024,
            recipient: "x@held.test".into(),
        };
        load::run(&load).await?;
        self.wait_for("mail to be put off", || {
            let log = fs::read(self.dir.join("mail.log")).unwrap_or_default();
            log.windows(15).filter(|text| *text == b"status=deferred").count() >= messages
        })
    }

    /// Removes every message.
    pub(crate) fn empty_queue(&self) -> Result<(), String> {
        let output = self.command("postsuper", &["-d", "ALL"]).output().map_err(|error| error.to_string())?;
        match output.status.success() {
            // The next filling is not to see what this one said.
            true => fs::write(self.dir.join("mail.log"), "").map_err(|error| error.to_string()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Waits until the queue is empty: what was accepted costs until it is gone.
    pub(crate) fn wait_until_idle(&self) -> Result<(), String> {
        self.wait_for("an empty queue", || {
            let output = self.command("postqueue", &["-p"]).output();
            output.is_ok_and(|output| output.stdout.starts_with(b"Mail queue is empty"))
        })
    }

    /// Asks again and again: there is no event to wait for across processes.
    pub(crate) fn wait_for(&self, what: &str, mut ask: impl FnMut() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        while !ask() {
            if Instant::now() > deadline {
                return Err(format!(
                    "{}: waited in vain for {what}; see {}/mail.log",
                    self.kind.name(),
                    self.dir.display()
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Whatever it says, there is nobody left to tell.
        let _ = self.run(&["stop"]);
    }
}

const SERVICES: &str = "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\n\
proxymap unix - - n - - proxymap\nproxywrite unix - - n - 1 proxymap\nsmtp unix - - n - - smtp\nrelay unix - - n - - smtp\n\
showq unix n - n - - showq\nerror unix - - n - - error\nretry unix - - n - - error\nhold unix - - n - - error\ndiscard unix - - n - - discard\n\
local unix - n n - - local\nvirtual unix - n n - - virtual\nlmtp unix - - n - - lmtp\nanvil unix - - n - 1 anvil\n\
scache unix - - n - 1 scache\ntlsproxy unix - - n - 0 tlsproxy\npostlog unix-dgram n - n - 1 postlogd\n";
