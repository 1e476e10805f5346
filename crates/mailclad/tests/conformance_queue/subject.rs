//! The two subjects: the Postfix of the distribution, and us. Each has a folder, a passwd(5) file, and commands in a folder of links.

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::case::{Case, Configuration, File};
use crate::normalise::Names;
use crate::support::peer::{Script, ScriptedPeer};
use crate::support::{Client, PATIENCE, free_port, wait_for};
use crate::verdict::Kind;

/// Commands that cases use.
const COMMANDS: &[&str] = &["mailq", "postqueue", "postsuper", "postcat", "sendmail", "postlog"];

/// Users of the cases, with their numbers.
const USERS: &[(&str, u32)] = &[("joe", 3001), ("ann", 3002), ("homeless", 3003)];

/// A running mail system.
pub(crate) struct Subject {
    kind: Kind,
    root: PathBuf,
    port: u16,
    peers: Vec<Option<(ScriptedPeer, u16)>>,
    child: Option<Child>,
}

impl Subject {
    /// Writes the configuration below `root` and starts everything; it serves when this returns.
    pub(crate) fn start(kind: Kind, root: &Path, configuration: &Configuration) -> Subject {
        for name in ["", "spool", "data", "bin", "home", "home/joe", "home/ann", "cases", "notices"] {
            folder(&root.join(name), 0o755, "root");
        }
        run("chown", &["postfix", &root.join("data").display().to_string()]);
        for (name, _) in &USERS[..2] {
            own(&root.join("home").join(name), name);
        }
        own(&root.join("notices"), "ann");
        for name in COMMANDS {
            let program = match kind {
                Kind::Postfix => format!("/usr/sbin/{}", if *name == "mailq" { "sendmail" } else { name }),
                Kind::Mailclad => env!("CARGO_BIN_EXE_mailclad").to_owned(),
            };
            symlink(program, root.join("bin").join(name)).unwrap();
        }
        let peers: Vec<_> = configuration.cases.iter().map(start_peer).collect();
        let port = free_port();
        let mut subject = Subject { kind, root: root.to_owned(), port, peers, child: None };
        subject.write_files(configuration);
        subject.child = subject.launch();
        let greets = || {
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.set_read_timeout(Some(PATIENCE)).ok()?;
            let mut greeting = [0; 3];
            std::io::Read::read_exact(&mut stream, &mut greeting).ok()
        };
        let up = wait_for(greets);
        assert!(up.is_some(), "{} does not answer:\n{}", kind.name(), subject.log());
        subject
    }

    fn write_files(&self, configuration: &Configuration) {
        let write = |name: &str, text: &str| std::fs::write(self.root.join(name), text).unwrap();
        let system = std::fs::read_to_string("/etc/passwd").unwrap();
        let users = USERS.iter().fold(system, |text, (name, number)| {
            text + &format!("{name}:x:{number}:{number}::{}/home/{name}:/bin/sh\n", self.root.display())
        });
        write("passwd", &users);
        let (mut transport, mut notices) = (".back.test box:\n".to_owned(), String::new());
        for (at, case) in configuration.cases.iter().enumerate() {
            let home = self.home(case);
            folder(&home, 0o755, "root");
            folder(&home.join("boxes"), 0o1777, "root");
            case.files.iter().for_each(|file| self.write_file(case, at, file));
            let way = case.way.clone().unwrap_or_else(|| format!("c-{}:", case.name));
            let _ = writeln!(transport, "{} {}", case.domain(), self.put(&way, case, at));
            let _ = writeln!(notices, "@{}.back.test {}/", case.name, case.name);
            let lines = |lines: &[String]| {
                lines.iter().map(|line| self.put(line, case, at) + "\n").collect::<String>()
            };
            if !case.aliases.is_empty() {
                let path = home.join("aliases");
                std::fs::write(&path, lines(&case.aliases)).unwrap();
                // The release of the distribution and ours read the same file.
                run("postalias", &[&format!("hash:{}", path.display())]);
            }
            for (name, line) in &case.tables {
                let path = home.join(format!("table.{name}"));
                let before = std::fs::read_to_string(&path).unwrap_or_default();
                std::fs::write(path, before + &self.put(line, case, at) + "\n").unwrap();
            }
        }
        write("transport", &transport);
        write("notices.map", &notices);
        write("main.cf", &self.main_cf(configuration));
        write("master.cf", &self.master_cf(configuration));
    }

    fn write_file(&self, case: &Case, at: usize, file: &File) {
        let path = self.home(case).join(&file.path);
        if file.path.ends_with('/') {
            return folder(&path, file.mode, &file.owner);
        }
        std::fs::write(&path, crate::support::peer::bytes(&self.put(&file.text, case, at))).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(file.mode)).unwrap();
        own(&path, &file.owner);
    }

    fn launch(&self) -> Option<Child> {
        let dir = self.root.display().to_string();
        let behind_mount = |command: &str| {
            // A file alone would come off as soon as anybody renames another over it.
            let script = format!(
                "cp -a /etc {dir}/etc && cp {dir}/passwd {dir}/etc/passwd && mount --bind {dir}/etc /etc && exec {command}"
            );
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "sh", "-c", &script]).stdin(Stdio::null());
            unshare
        };
        match self.kind {
            Kind::Postfix => {
                let output = behind_mount(&format!("/usr/sbin/postfix -c {dir} start")).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                None
            }
            Kind::Mailclad => {
                let program = env!("CARGO_BIN_EXE_mailclad");
                let mut command = behind_mount(&format!("{program} postfix -c {dir} start-fg"));
                command.stderr(std::fs::File::create(self.root.join("stderr")).unwrap());
                Some(command.spawn().unwrap())
            }
        }
    }

    pub(crate) fn connect(&self) -> Client {
        let mut client = Client::connect(self.port);
        client.must("EHLO client.test", "250");
        client
    }

    /// The folder of a case.
    pub(crate) fn home(&self, case: &Case) -> PathBuf {
        self.root.join("cases").join(&case.name)
    }

    /// Where the case's sender gets mail.
    pub(crate) fn notices(&self, case: &Case) -> PathBuf {
        self.root.join("notices").join(&case.name)
    }

    pub(crate) fn names(&self, case: &Case, at: usize) -> Names {
        let mut names = vec![
            (self.home(case).display().to_string(), "HOME".to_owned()),
            (self.root.display().to_string(), "ROOT".to_owned()),
        ];
        if let Some((_, port)) = &self.peers[at] {
            names.push((format!("127.0.0.1]:{port}"), "127.0.0.1]:PORT".to_owned()));
        }
        names
    }

    /// A text of a case with the names of this subject.
    pub(crate) fn put(&self, text: &str, case: &Case, at: usize) -> String {
        let home = self.home(case).display().to_string();
        let peer = match &self.peers[at] {
            Some((_, port)) => format!("[127.0.0.1]:{port}"),
            None => String::new(),
        };
        text.replace("TABLE/", &format!("{home}/table."))
            .replace("HOME", &home)
            .replace("ROOT", &self.root.display().to_string())
            .replace("DOMAIN", &case.domain())
            .replace("PEER", &peer)
    }

    /// Runs a command of a shell; what it shows, and its exit status.
    pub(crate) fn run(&self, command: &str) -> (String, i32) {
        let path = format!("{}/bin:/usr/bin:/bin", self.root.display());
        let output = Command::new("sh")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .env_clear()
            .env("PATH", path)
            .env("MAIL_CONFIG", &self.root)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().unwrap_or(-1))
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("mail.log")).unwrap_or_default()
    }

    fn main_cf(&self, configuration: &Configuration) -> String {
        let domains: Vec<String> = configuration.cases.iter().map(Case::domain).collect();
        let common = "compatibility_level = 3.6
myhostname = mx.site.test
mydomain = site.test
myorigin = site.test
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mail_owner = postfix
setgid_group = postdrop
queue_directory = ROOT/spool
data_directory = ROOT/data
maillog_file = ROOT/mail.log
maillog_file_prefixes = ROOT
import_environment = MAIL_CONFIG MAIL_LOGTAG
alias_maps =
alias_database =
recipient_delimiter = +
transport_maps = texthash:ROOT/transport
virtual_mailbox_domains = box.test
virtual_mailbox_maps = texthash:ROOT/notices.map
virtual_mailbox_base = ROOT/notices
virtual_uid_maps = static:3002
virtual_gid_maps = static:3002
smtpd_reject_unlisted_recipient = no
local_header_rewrite_clients =
smtputf8_autodetect_classes = all
enable_long_queue_ids = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtp_tls_security_level = none
smtp_connection_cache_on_demand = no
default_destination_concurrency_failed_cohort_limit = 0
minimal_backoff_time = 300s
";
        let own = configuration.main.join("\n");
        format!("{common}mydestination = {}\n{own}\n", domains.join(" "))
            .replace("ROOT", &self.root.display().to_string())
    }

    fn master_cf(&self, configuration: &Configuration) -> String {
        let mut text = format!("127.0.0.1:{} inet n - n - - smtpd\n", self.port);
        for (at, case) in configuration.cases.iter().enumerate() {
            let service = case.service.as_deref().unwrap_or("local");
            let (program, arguments) = service.split_once(' ').unwrap_or((service, ""));
            let name = &case.name;
            let _ = writeln!(text, "c-{name} unix - n n - - {program}\n  -o syslog_name=case/{name}");
            let _ = writeln!(text, "  -o {{ mail_spool_directory = {}/boxes }}", self.home(case).display());
            if !case.aliases.is_empty() {
                let _ = writeln!(text, "  -o {{ alias_maps = hash:{}/aliases }}", self.home(case).display());
            }
            for (name, value) in &case.overrides {
                let _ = writeln!(text, "  -o {{ {name} = {} }}", self.put(value, case, at));
            }
            if !arguments.is_empty() {
                let _ = writeln!(text, "  {}", self.put(arguments, case, at));
            }
        }
        text + "pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
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
local unix - n n - - local
virtual unix - n n - - virtual
box unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
showq unix n - n - - showq
"
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

fn start_peer(case: &Case) -> Option<(ScriptedPeer, u16)> {
    let lines = case.peer.as_ref()?;
    let port = free_port();
    let script = Script::parse(&lines.join("\n")).unwrap();
    Some((ScriptedPeer::start("127.0.0.1", port, script), port))
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes a folder.
pub(crate) fn folder(path: &Path, mode: u32, owner: &str) {
    std::fs::create_dir(path).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    own(path, owner);
}

fn own(path: &Path, owner: &str) {
    let number = USERS.iter().find(|(name, _)| *name == owner).map_or(0, |(_, number)| *number);
    chown(path, Some(number), Some(number)).unwrap();
}
