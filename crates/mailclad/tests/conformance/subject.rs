//! The two subjects: the Postfix of the distribution, and us. Each has a folder with the same main.cf and master.cf but for its
//! own paths and ports, and is stopped when it goes out of scope.

use std::fmt::Write as _;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::case::{Case, Configuration, Log};
use crate::normalise::{self, Names};
use crate::support::{PATIENCE, wait_for};
use crate::verdict::Kind;

/// A running mail system.
pub(crate) struct Subject {
    kind: Kind,
    root: PathBuf,
    files: PathBuf,
    ports: Vec<u16>,
    child: Option<Child>,
}

impl Subject {
    /// Writes the configuration below `root` and starts the system; it serves when this returns. The error is what it said when it ended
    /// instead.
    pub(crate) fn start(
        kind: Kind,
        root: &Path,
        files: &Path,
        configuration: &Configuration,
    ) -> Result<Subject, String> {
        for name in ["", "spool", "data", "mail"] {
            std::fs::create_dir(root.join(name)).unwrap();
            let mode = if name == "mail" { 0o777 } else { 0o755 };
            std::fs::set_permissions(root.join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        run("chown", &["postfix", &root.join("data").display().to_string()]);
        // The last one is for the question whether the system serves: it leaves no trace in a case's log.
        let ports = free_ports(kind, configuration.cases.len() + 1);
        std::fs::write(root.join("main.cf"), main_cf(root, files, configuration)).unwrap();
        std::fs::write(root.join("master.cf"), master_cf(files, root, configuration, &ports)).unwrap();
        let mut subject =
            Subject { kind, root: root.to_owned(), files: files.to_owned(), ports, child: None };
        let dir = subject.root.display().to_string();
        match kind {
            Kind::Postfix => run("/usr/sbin/postfix", &["-c", &dir, "start"]),
            Kind::Mailclad => {
                let child = Command::new(env!("CARGO_BIN_EXE_mailclad"))
                    .args(["postfix", "-c", &dir, "start-fg"])
                    .stdin(Stdio::null())
                    .stderr(std::fs::File::create(root.join("stderr")).unwrap())
                    .spawn();
                subject.child = Some(child.unwrap());
            }
        }
        let last = *subject.ports.last().unwrap();
        let up =
            wait_for(|| match subject.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                Some(_ended) => Some(false),
                None => greets(last).then_some(true),
            });
        match up {
            Some(true) => Ok(subject),
            Some(false) => Err(std::fs::read_to_string(root.join("stderr")).unwrap()),
            None => panic!("{} does not answer:\n{}", kind.name(), subject.log()),
        }
    }

    pub(crate) fn port(&self, case: usize) -> u16 {
        self.ports[case]
    }

    pub(crate) fn names(&self, case: usize) -> Names {
        Names::new(&self.root, &self.files, self.ports[case])
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("mail.log")).unwrap_or_default()
    }

    /// What the case's service logged, once each of its connections has ended there.
    pub(crate) fn log_of(&self, case: &Case, at: usize, connections: usize) -> Vec<String> {
        if case.log == Log::None {
            return Vec::new();
        }
        let complete = self.wait_for_ends(case, connections);
        let mut lines = self.lines_of(case);
        if !complete {
            lines.push("(no end)".to_owned());
        }
        let names = self.names(at);
        let mut lines: Vec<String> = lines.iter().map(|line| normalise::normalise(line, &names)).collect();
        if case.log == Log::Once {
            let mut seen = std::collections::HashSet::new();
            lines = lines.iter().map(|line| normalise::kind_of(line)).collect();
            lines.retain(|line| seen.insert(line.clone()));
        }
        lines
    }

    /// Waits until so many connections of the case's service have ended in the log; false when patience ended first.
    pub(crate) fn wait_for_ends(&self, case: &Case, connections: usize) -> bool {
        // A service that could not begin says so instead.
        let ended = |line: &&String| line.starts_with("disconnect from ") || line.starts_with("fatal: ");
        let complete = || (self.lines_of(case).iter().filter(ended).count() >= connections).then_some(());
        case.log == Log::None || patiently(complete).is_some()
    }

    fn lines_of(&self, case: &Case) -> Vec<String> {
        let tag = format!(" {}/", tag(case));
        let log = self.log();
        // A line that is being written counts later.
        let log = &log[..log.rfind('\n').map_or(0, |end| end + 1)];
        let own = log.lines().filter_map(|line| Some(line.split_once(&tag)?.1.split_once("]: ")?.1));
        // What Postfix says of file systems with clocks of their own.
        let noise = ["warning: file system clock is ", "warning: resetting file time stamps"];
        own.filter(|line| !noise.iter().any(|start| line.starts_with(start))).map(str::to_owned).collect()
    }

    /// Waits for so many messages that contain `part` in the mailbox of everybody; fewer when patience ended first.
    pub(crate) fn wait_for_mails(&self, part: &str, count: usize) -> Vec<String> {
        let folder = self.root.join("mail/box/new");
        let look = || {
            let paths = std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let texts = paths
                .filter_map(|path| Some(String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned()));
            texts.filter(|text| text.contains(part)).collect::<Vec<String>>()
        };
        patiently(|| Some(look()).filter(|found| found.len() >= count)).unwrap_or_else(look)
    }

    /// Waits for a message that contains `part` in the mailbox of everybody.
    pub(crate) fn wait_for_mail(&self, part: &str) -> String {
        let folder = self.root.join("mail/box/new");
        let look = || {
            let mut paths = std::fs::read_dir(&folder).ok()?.flatten().map(|entry| entry.path());
            paths.find_map(|path| std::fs::read_to_string(path).ok().filter(|text| text.contains(part)))
        };
        wait_for(look).unwrap_or_else(|| panic!("{}: no mail with {part}:\n{}", self.kind.name(), self.log()))
    }
}

/// Master may listen before a process is there that serves.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut greeting = [0; 3];
    let waits = stream.set_read_timeout(Some(PATIENCE));
    waits.and_then(|()| stream.read_exact(&mut greeting)).is_ok() && &greeting == b"220"
}

/// Some cases end without a word: they shall not cost half a minute each.
fn patiently<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(4);
    wait_for(|| match ask() {
        Some(answer) => Some(Some(answer)),
        None => (std::time::Instant::now() > deadline).then_some(None),
    })
    .flatten()
}

impl Drop for Subject {
    fn drop(&mut self) {
        match self.child.take() {
            Some(mut child) => {
                if matches!(child.try_wait(), Ok(None)) {
                    let _ = Command::new("kill").arg(child.id().to_string()).status();
                }
                let _ = child.wait();
            }
            None => {
                let dir = self.root.display().to_string();
                let _ = Command::new("/usr/sbin/postfix").args(["-c", &dir, "stop"]).output();
            }
        }
    }
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Ports below those that the system gives to outgoing connections; each subject has its own part.
fn free_ports(kind: Kind, count: usize) -> Vec<u16> {
    const COUNT: u16 = 10_000;
    // Suites run at the same time, and a port is not taken before its server is there: nobody gets the same one twice in a row.
    static NEXT: Mutex<[u16; 2]> = Mutex::new([0; 2]);
    let (at, first) = match kind {
        Kind::Postfix => (0, 12_000),
        Kind::Mailclad => (1, 22_000),
    };
    let mut next = NEXT.lock().unwrap();
    let mut ports = Vec::new();
    for _ in 0..COUNT {
        if ports.len() == count {
            break;
        }
        let port = first + next[at];
        next[at] = (next[at] + 1) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            ports.push(port);
        }
    }
    ports
}

/// The first word of the case's log lines.
fn tag(case: &Case) -> String {
    format!("case/{}", case.name)
}

fn put(text: &str, files: &Path, root: &Path) -> String {
    text.replace("FILES", &files.display().to_string()).replace("ROOT", &root.display().to_string())
}

/// What every case has in common. Lists of ciphers are those of 3.12, which the distribution's release does not have.
fn main_cf(root: &Path, files: &Path, configuration: &Configuration) -> String {
    let common = "compatibility_level = 3.6
myhostname = mx.site.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mail_owner = postfix
setgid_group = postdrop
queue_directory = ROOT/spool
data_directory = ROOT/data
maillog_file = ROOT/mail.log
maillog_file_prefixes = ROOT
alias_maps =
alias_database =
virtual_mailbox_domains = site.test
virtual_mailbox_maps = static:box/
virtual_mailbox_base = ROOT/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
smtpd_forbid_unauth_pipelining = yes
requiretls_enable = no
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_tls_cert_file = FILES/rsa-cert.pem
smtpd_tls_key_file = FILES/rsa-key.pem
tls_high_cipherlist = aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH
tls_medium_cipherlist = aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH
tls_null_cipherlist = eNULL:!kDH:!kECDH:!aDSS:!MD5:!aNULL
";
    // A name twice would be worth a warning, which is more than Postfix's postlogd can bear: it tells itself.
    let own: Vec<&str> = configuration.main.iter().filter_map(|line| name_of(line)).collect();
    let common = common.lines().filter(|line| name_of(line).is_none_or(|name| !own.contains(&name)));
    let lines: Vec<&str> = common.chain(configuration.main.iter().map(String::as_str)).collect();
    put(&(lines.join("\n") + "\n"), files, root)
}

fn name_of(line: &str) -> Option<&str> {
    line.split_once('=').map(|(name, _)| name.trim())
}

fn master_cf(files: &Path, root: &Path, configuration: &Configuration, ports: &[u16]) -> String {
    let mut text = String::new();
    for (case, port) in configuration.cases.iter().zip(ports) {
        let _ = writeln!(text, "127.0.0.1:{port} inet n - n - - smtpd\n  -o syslog_name={}", tag(case));
        for (name, value) in &case.overrides {
            let _ = writeln!(text, "  -o {{ {name} = {} }}", put(value, files, root));
        }
        if !case.cleanup.is_empty() {
            let name = format!("cleanup-{port}");
            let _ = writeln!(text, "  -o cleanup_service_name={name}");
            let _ = writeln!(text, "{name} unix n - n - 0 cleanup\n  -o syslog_name={}", tag(case));
            for (name, value) in &case.cleanup {
                let _ = writeln!(text, "  -o {{ {name} = {} }}", put(value, files, root));
            }
        }
    }
    let _ = writeln!(text, "127.0.0.1:{} inet n - n - - smtpd", ports[configuration.cases.len()]);
    text + "pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
showq unix n - n - - showq
"
}
