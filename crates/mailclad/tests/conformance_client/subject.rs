//! The two subjects: the Postfix of the distribution, and us. Each has a folder, a name server, and servers for each case on
//! addresses of its own.

use std::fmt::Write as _;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use testkit::name_server::NameServer;

use crate::case::{Case, Configuration};
use crate::normalise::Names;
use crate::real_peer::{RealPeer, Running};
use crate::support::peer::{Script, ScriptedPeer};
use crate::support::{PATIENCE, wait_for};
use crate::verdict::Kind;

impl Kind {
    /// The network of its servers; runs at the same time have others.
    fn network(self) -> u8 {
        64 + (std::process::id() % 60) as u8 * 2 + u8::from(self == Kind::Mailclad)
    }

    fn address(self, case: usize, peer: usize) -> Ipv4Addr {
        Ipv4Addr::new(127, self.network(), (case / 100) as u8, (1 + case % 100 * 2 + peer) as u8)
    }

    fn name_server(self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.network(), 250, 53)
    }
}

/// A running mail system with the servers that it sends to.
pub(crate) struct Subject {
    kind: Kind,
    root: PathBuf,
    port: u16,
    peers: Vec<[Option<ScriptedPeer>; 2]>,
    real: Vec<Option<Running>>,
    child: Option<Child>,
    _names: NameServer,
}

impl Subject {
    /// Writes the configuration below `root` and starts everything; it serves when this returns.
    pub(crate) fn start(kind: Kind, root: &Path, files: &Path, configuration: &Configuration) -> Subject {
        for name in ["", "spool", "data"] {
            std::fs::create_dir(root.join(name)).unwrap();
            std::fs::set_permissions(root.join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        run("chown", &["postfix", &root.join("data").display().to_string()]);
        let mut zone = String::new();
        let (mut peers, mut real) = (Vec::new(), Vec::new());
        for (at, case) in configuration.cases.iter().enumerate() {
            zone += &records(kind, case, at);
            peers.push([0, 1].map(|peer| {
                let lines = case.peers[peer].as_ref()?;
                let script = Script::parse(&put(&lines.join("\n"), files, root, case)).unwrap();
                Some(ScriptedPeer::start(&kind.address(at, peer).to_string(), 25, script))
            }));
            real.push(case.real.as_ref().map(|peer| {
                let put = |text: &String| put(text, files, root, case);
                let peer = RealPeer {
                    kind: peer.kind,
                    pem: put(&peer.pem),
                    options: peer.options.iter().map(put).collect(),
                };
                Running::start(&peer, &kind.address(at, 0).to_string(), &root.join(&case.name))
            }));
            for (name, line) in &case.tables {
                let path = root.join(format!("{}.{name}", case.name));
                let line = put(line, files, root, case);
                let before = std::fs::read_to_string(&path).unwrap_or_default();
                std::fs::write(path, format!("{before}{line}\n")).unwrap();
            }
        }
        let names = NameServer::start_at(kind.name_server(), 53, &zone);
        let port = free_port(kind);
        let write = |name: &str, text: &str| std::fs::write(root.join(name), text).unwrap();
        write(
            "resolv.conf",
            &format!(
                "nameserver {}\nsearch search.test\noptions edns0 trust-ad timeout:2\n",
                kind.name_server()
            ),
        );
        write("main.cf", &main_cf(root, files, configuration));
        write("master.cf", &master_cf(files, root, configuration, port));
        write("transport", &transport_map(kind, files, root, configuration));
        let mut subject =
            Subject { kind, root: root.to_owned(), port, peers, real, child: None, _names: names };
        subject.child = subject.launch();
        let up = wait_for(|| greets(port).then_some(()));
        assert!(up.is_some(), "{} does not answer:\n{}", kind.name(), subject.log());
        subject
    }

    fn launch(&self) -> Option<Child> {
        let dir = self.root.display().to_string();
        match self.kind {
            // The library knows name servers by /etc/resolv.conf alone.
            Kind::Postfix => {
                let script = format!(
                    "mount --bind {dir}/resolv.conf /etc/resolv.conf && exec /usr/sbin/postfix -c {dir} start"
                );
                run("unshare", &["--mount", "sh", "-c", &script]);
                None
            }
            Kind::Mailclad => Some(
                Command::new(env!("CARGO_BIN_EXE_mailclad"))
                    .args(["postfix", "-c", &dir, "start-fg"])
                    .stdin(Stdio::null())
                    .stderr(std::fs::File::create(self.root.join("stderr")).unwrap())
                    .spawn()
                    .unwrap(),
            ),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn names(&self, at: usize) -> Names {
        let mut names = vec![(self.root.display().to_string(), "ROOT".to_owned())];
        // The longer address first: one may be the beginning of the other.
        for (peer, name) in [(1, "IP2"), (0, "IP1")] {
            names.push((self.kind.address(at, peer).to_string(), name.to_owned()));
        }
        names
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("mail.log")).unwrap_or_default()
    }

    /// Waits until each recipient of the case has been tried so often, and its servers are alone again. False when patience ended
    /// first.
    pub(crate) fn wait_for_deliveries(&self, case: &Case, at: usize, rounds: usize) -> bool {
        let deadline = Instant::now() + Duration::from_secs(case.patience);
        let wanted = case.recipients().len() * rounds;
        let complete = || {
            let tried = self.lines_of(case).iter().filter(|line| line.contains(", status=")).count();
            let alone = self.peers[at].iter().flatten().all(|peer| peer.is_alone())
                && self.real[at].iter().all(Running::is_alone);
            (tried >= wanted && alone).then_some(true)
        };
        wait_for(|| complete().or_else(|| (Instant::now() > deadline).then_some(false))).unwrap_or(false)
    }

    /// What the case's service logged.
    pub(crate) fn lines_of(&self, case: &Case) -> Vec<String> {
        let tag = format!(" case/{}/", case.name);
        let log = self.log();
        let own = log.lines().filter_map(|line| Some(line.split_once(&tag)?.1.split_once("]: ")?.1));
        own.map(str::to_owned).collect()
    }

    /// What the case's servers heard.
    pub(crate) fn heard(&self, at: usize) -> [Vec<String>; 2] {
        let [first, second] =
            [0, 1].map(|peer| self.peers[at][peer].as_ref().map_or_else(Vec::new, ScriptedPeer::heard));
        [self.real[at].as_ref().map_or(first, Running::heard), second]
    }

    /// Tries the case's message once more, if it waits.
    pub(crate) fn retry(&self, case: &Case) {
        let dir = self.root.display().to_string();
        let lines = self.lines_of(case);
        let Some((id, _)) = lines.iter().find_map(|line| line.split_once(": to=<")) else { return };
        let (program, first) = match self.kind {
            Kind::Postfix => ("/usr/sbin/postqueue", None),
            Kind::Mailclad => (env!("CARGO_BIN_EXE_mailclad"), Some("postqueue")),
        };
        // A message that is done is not there any more.
        let _ = Command::new(program).args(first).args(["-c", &dir, "-i", id]).output();
    }
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

/// Master may listen before a process is there that serves.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut greeting = [0; 3];
    let waits = stream.set_read_timeout(Some(PATIENCE));
    waits.and_then(|()| stream.read_exact(&mut greeting)).is_ok() && &greeting == b"220"
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn free_port(kind: Kind) -> u16 {
    let first = if kind == Kind::Postfix { 14_000 } else { 24_000 };
    (first..first + 1000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

fn put(text: &str, files: &Path, root: &Path, case: &Case) -> String {
    text.replace("TABLE/", &format!("{}/{}.", root.display(), case.name))
        .replace("FILES", &files.display().to_string())
        .replace("ROOT", &root.display().to_string())
        .replace("DOMAIN", &case.domain())
}

/// The records of a case: its own, or one mail exchanger for each server.
fn records(kind: Kind, case: &Case, at: usize) -> String {
    let domain = case.domain();
    let (first, second) = (kind.address(at, 0).to_string(), kind.address(at, 1).to_string());
    if !case.dns.is_empty() {
        let put = |line: &String| line.replace('@', &domain).replace("IP1", &first).replace("IP2", &second);
        return case.dns.iter().map(put).collect::<Vec<_>>().join("\n") + "\n";
    }
    let mut text = format!("{domain} 300 MX 10 mx.{domain}\nmx.{domain} 300 A {first}\n");
    if case.peers[1].is_some() {
        let _ = write!(text, "{domain} 300 MX 20 mx2.{domain}\nmx2.{domain} 300 A {second}\n");
    }
    text
}

fn transport_map(kind: Kind, files: &Path, root: &Path, configuration: &Configuration) -> String {
    let mut text = String::new();
    for (at, case) in configuration.cases.iter().enumerate() {
        let next_hop = case.next_hop.clone().unwrap_or_else(|| case.domain());
        let next_hop = put(&next_hop, files, root, case)
            .replace('@', &case.domain())
            .replace("IP1", &kind.address(at, 0).to_string())
            .replace("IP2", &kind.address(at, 1).to_string());
        let _ = writeln!(text, "{} {}:{next_hop}", case.domain(), service(case));
    }
    text
}

/// The name of a case's delivery service.
fn service(case: &Case) -> String {
    format!("c-{}", case.name)
}

/// What every case has in common. Lists of ciphers are those of 3.12, which the distribution's release does not have; it has no finite
/// fields among the groups.
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
import_environment = MAIL_CONFIG MAIL_LOGTAG MAILCLAD_RESOLV_CONF=ROOT/resolv.conf
alias_maps =
alias_database =
transport_maps = texthash:ROOT/transport
local_header_rewrite_clients =
smtputf8_enable = yes
smtputf8_autodetect_classes = all
default_delivery_slot_cost = 0
default_transport = discard
smtp_connection_cache_on_demand = no
lmtp_connection_cache_on_demand = no
smtp_tls_CAfile = FILES/ca.pem
lmtp_tls_CAfile = FILES/ca.pem
smtp_tls_loglevel = 1
lmtp_tls_loglevel = 1
smtp_dns_support_level = dnssec
dnssec_probe =
tls_ffdhe_auto_groups =
tls_eecdh_auto_curves = X25519 X448 prime256v1 secp521r1 secp384r1
tls_high_cipherlist = aNULL:-aNULL:HIGH:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:@STRENGTH
tls_medium_cipherlist = aNULL:-aNULL:HIGH:MEDIUM:!SEED:!IDEA:!3DES:!RC2:!RC4:!RC5:!kDH:!kECDH:!aDSS:!MD5:+RC4:@STRENGTH
";
    format!("{common}{}\n", configuration.main.join("\n"))
        .replace("FILES", &files.display().to_string())
        .replace("ROOT", &root.display().to_string())
}

fn master_cf(files: &Path, root: &Path, configuration: &Configuration, port: u16) -> String {
    let mut text = format!("127.0.0.1:{port} inet n - n - - smtpd\n");
    for case in &configuration.cases {
        let program = if case.lmtp { "lmtp" } else { "smtp" };
        let _ =
            writeln!(text, "{} unix - - n - - {program}\n  -o syslog_name=case/{}", service(case), case.name);
        for (name, value) in &case.overrides {
            let _ = writeln!(text, "  -o {{ {name} = {} }}", put(value, files, root, case));
        }
    }
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
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsproxy unix - - n - 0 tlsproxy
postlog unix-dgram n - n - 1 postlogd
showq unix n - n - - showq
"
}

/// The files of the suite are for both subjects.
pub(crate) fn folder(path: &Path) -> PathBuf {
    std::fs::create_dir(path).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    path.to_owned()
}
