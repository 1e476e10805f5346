//! Tables behind real servers (MariaDB, PostgreSQL, OpenLDAP) and in index files, asked by Postfix's postmap and by ours: the answers and
//! the exit status are the same, key by key.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::{Client, Site, free_port, wait_for};
use testkit::authority::Authority;

/// A server of the distribution in a folder of its own, ended with the test.
struct Server {
    child: Child,
    folder: Option<tempfile::TempDir>,
}

impl Server {
    /// `folder` belongs to `user` where tests run as root: these servers refuse to run as root.
    fn folder(user: &str) -> (tempfile::TempDir, Option<u32>) {
        let folder = tempfile::tempdir().unwrap();
        let is_root = number(&["-u"]) == 0;
        let uid = is_root.then(|| number(&["-u", user]));
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        if let Some(uid) = uid {
            chown(folder.path(), Some(uid), None).unwrap();
        }
        (folder, uid)
    }

    fn start(mut command: Command, folder: tempfile::TempDir) -> Server {
        let log = std::fs::File::create(folder.path().join("server.log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Server { child, folder: Some(folder) }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path().join("server.log")).unwrap_or_default()
    }

    fn path(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    /// Ends it, and gives the folder, for another start.
    fn stop(mut self) -> tempfile::TempDir {
        self.end();
        self.folder.take().unwrap()
    }

    fn end(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        // PostgreSQL waits for its clients after TERM, and goes at once after INT, which MariaDB does not hear.
        for signal in ["-INT", "-TERM"] {
            let _ = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        }
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn number(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

fn as_user(program: impl AsRef<std::ffi::OsStr>, uid: Option<u32>) -> Command {
    let mut command = Command::new(program);
    if let Some(uid) = uid {
        command.uid(uid);
    }
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Where a table's file is written, and the commands that ask it.
struct Asking {
    folder: tempfile::TempDir,
}

impl Asking {
    fn new() -> Asking {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("main.cf"), "compatibility_level = 3.6\n").unwrap();
        Asking { folder }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Output and status of a query by one of the two programs.
    fn ask(&self, program: &[&str], key: &str, table: &str) -> (String, Option<i32>) {
        let output = Command::new(program[0])
            .args(&program[1..])
            .args(["-c", self.folder.path().to_str().unwrap(), "-q", key, table])
            .env_remove("MAIL_CONFIG")
            .output()
            .unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    }

    fn compare(&self, table: &str, keys: &[&str]) {
        let mut found = 0;
        for key in keys {
            let theirs = self.ask(&["postmap"], key, table);
            let ours = self.ask(&[env!("CARGO_BIN_EXE_mailclad"), "postmap"], key, table);
            assert_eq!(ours, theirs, "{table} {key}");
            found += usize::from(theirs.1 == Some(0));
        }
        assert!(found > 0, "{table}: a comparison without any answer shows nothing");
    }
}

const KEYS: &[&str] = &[
    "a@x.example",
    "A@X.Example",
    "o'neil@x.example",
    "null@x.example",
    "back\\slash@x.example",
    "x' OR '1'='1",
    "x\" OR \"1\"=\"1",
    "nobody@x.example",
    "plain",
    "@x.example",
    "a@other.example",
];

const ROWS: &[(&str, Option<&str>)] = &[
    ("a@x.example", Some("b@y.example")),
    ("a@x.example", Some("c@y.example")),
    ("o'neil@x.example", Some("q")),
    ("null@x.example", None),
    ("back\\slash@x.example", Some("bs")),
    ("plain", Some("p@y.example")),
];

fn inserts(escape: impl Fn(&str) -> String) -> String {
    let value = |value: &Option<&str>| value.map_or("NULL".into(), |text| format!("'{text}'"));
    let rows: Vec<String> =
        ROWS.iter().map(|(name, goto)| format!("('{}', {})", escape(name), value(goto))).collect();
    format!(
        "CREATE TABLE alias (name VARCHAR(99), goto VARCHAR(99)); INSERT INTO alias VALUES {};",
        rows.join(",")
    )
}

/// Each form of question, after the lines that say where the server is.
fn compare_sql(asking: &Asking, kind: &str, server: &str) {
    for (name, question) in [
        ("plain", "query = SELECT goto FROM alias WHERE name = '%s'"),
        ("format", "query = SELECT goto FROM alias WHERE name = '%u@%d'\nresult_format = <%u> at %d for %S"),
        ("domain", "query = SELECT goto FROM alias WHERE name = '%s'\ndomain = x.example"),
        ("labels", "query = SELECT goto FROM alias WHERE name = '%u@%2.%1'"),
        (
            "old",
            "table = alias\nselect_field = goto\nwhere_field = name\nadditional_conditions = AND goto <> 'q'",
        ),
    ] {
        let path = asking.file(&format!("{kind}-{name}"), &format!("{server}\n{question}\n"));
        asking.compare(&format!("{kind}:{path}"), KEYS);
    }
}

#[test]
fn mysql() {
    let (folder, uid) = Server::folder("mysql");
    let data = folder.path().join("data");
    let socket = folder.path().join("socket").display().to_string();
    run(as_user("mariadb-install-db", uid)
        .args(["--no-defaults", "--auth-root-authentication-method=normal"])
        .arg(format!("--datadir={}", data.display())));
    let port = free_port();
    let mut command = as_user("mariadbd", uid);
    command
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()))
        .arg(format!("--socket={socket}"));
    command.args(["--bind-address=127.0.0.1", &format!("--port={port}")]);
    let server = Server::start(command, folder);
    let client = || {
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root", &format!("--socket={socket}")]);
        client
    };
    let ready =
        wait_for(|| client().args(["-e", "SELECT 1"]).output().unwrap().status.success().then_some(()));
    assert!(ready.is_some(), "{}", server.log());
    let setup = format!(
        "CREATE DATABASE mail; USE mail; {} CREATE USER reader@'%' IDENTIFIED BY 'p=$x'; GRANT SELECT ON mail.* TO reader@'%'; \
         CREATE USER reader@localhost IDENTIFIED BY 'p=$x'; GRANT SELECT ON mail.* TO reader@localhost;",
        inserts(|text| text.replace('\\', "\\\\").replace('\'', "''"))
    );
    run(client().args(["-e", &setup]));
    let asking = Asking::new();
    for host in [format!("unix:{socket}"), format!("inet:127.0.0.1:{port}")] {
        let settings = format!("hosts = {host}\nuser = reader\npassword = p=$x\ndbname = mail");
        compare_sql(&asking, "mysql", &settings);
    }
    // The first host is gone: the second one answers.
    let gone = format!(
        "hosts = inet:127.0.0.1:{} unix:{socket}\nuser = reader\npassword = p=$x\ndbname = mail",
        free_port()
    );
    compare_sql(&asking, "mysql", &gone);
    drop(server);
    let path = asking
        .file("down", &format!("hosts = unix:{socket}\nquery = SELECT goto FROM alias WHERE name = '%s'\n"));
    let table = format!("mysql:{path}");
    let (answer, status) = asking.ask(&[env!("CARGO_BIN_EXE_mailclad"), "postmap"], "plain", &table);
    assert_eq!((answer.as_str(), status), ("", Some(1)), "a server that is down is a failure");
}

/// A PostgreSQL with the table `alias`, and its port; user reader needs no password.
fn start_postgresql() -> (Server, u16) {
    let bin = newest(Path::new("/usr/lib/postgresql")).join("bin");
    let (folder, uid) = Server::folder("postgres");
    let data = folder.path().join("data");
    run(as_user(bin.join("initdb"), uid).args(["-A", "trust", "-U", "reader", "-D"]).arg(&data));
    let port = free_port();
    let server = serve_postgresql(folder, port);
    run(&mut psql(port, &inserts(|text| text.replace('\'', "''"))));
    (server, port)
}

/// On a folder that has a database.
fn serve_postgresql(folder: tempfile::TempDir, port: u16) -> Server {
    let bin = newest(Path::new("/usr/lib/postgresql")).join("bin");
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(folder.path()).unwrap());
    let mut command = as_user(bin.join("postgres"), Some(uid));
    command.arg("-D").arg(folder.path().join("data"));
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(folder.path());
    let server = Server::start(command, folder);
    let ready = wait_for(|| psql(port, "SELECT 1").output().unwrap().status.success().then_some(()));
    assert!(ready.is_some(), "{}", server.log());
    server
}

fn psql(port: u16, statement: &str) -> Command {
    let mut client = Command::new("psql");
    client.args([
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-U",
        "reader",
        "-d",
        "postgres",
        "-c",
        statement,
    ]);
    client
}

#[test]
fn postgresql() {
    let (server, port) = start_postgresql();
    let sockets = server.path().display().to_string();
    let asking = Asking::new();
    let settings = |host: &str| format!("hosts = {host}\nuser = reader\ndbname = postgres");
    compare_sql(&asking, "pgsql", &settings(&format!("127.0.0.1:{port}")));
    // Forms that this Postfix is too old for, or that leave it no choice of the port.
    for host in
        [format!("unix:{sockets}/.s.PGSQL.{port}"), format!("postgresql://reader@127.0.0.1:{port}/postgres")]
    {
        let text = settings(&host) + "\nquery = SELECT goto FROM alias WHERE name = '%s'\n";
        let table = format!("pgsql:{}", asking.file("other-form", &text));
        let (answer, status) = asking.ask(&[env!("CARGO_BIN_EXE_mailclad"), "postmap"], "plain", &table);
        assert_eq!((answer.as_str(), status), ("p@y.example\n", Some(0)), "{host}");
    }
}

#[test]
fn ldap() {
    let (folder, _) = Server::folder("root");
    let root = folder.path().display().to_string();
    let port = free_port();
    let url = format!("ldap://127.0.0.1:{port}");
    std::fs::write(
        folder.path().join("slapd.conf"),
        format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             database mdb\nsuffix dc=x\ndirectory {root}\nrootdn cn=admin,dc=x\nrootpw secret\naccess to * by * read\n"
        ),
    )
    .unwrap();
    let mut command = Command::new("slapd");
    command.args(["-f", &format!("{root}/slapd.conf"), "-h", &url, "-d", "0"]);
    let server = Server::start(command, folder);
    let people = "dn: dc=x\nobjectClass: dcObject\nobjectClass: organization\ndc: x\no: x\n\n\
                  dn: uid=me,dc=x\nobjectClass: inetOrgPerson\nuid: me\ncn: me\nsn: me\nmail: me@x.example\n\n\
                  dn: uid=star*,dc=x\nobjectClass: inetOrgPerson\nuid: star*\ncn: star\nsn: star\nmail: star@x.example\n\n\
                  dn: cn=team,dc=x\nobjectClass: groupOfNames\ncn: team\nmember: uid=me,dc=x\nmember: uid=star*,dc=x\n";
    let people_file = format!("{root}/people.ldif");
    std::fs::write(&people_file, people).unwrap();
    let add = || {
        let mut add = Command::new("ldapadd");
        add.args(["-x", "-c", "-H", &url, "-D", "cn=admin,dc=x", "-w", "secret", "-f", &people_file]);
        add.output().unwrap()
    };
    // 68: it is there already, from the try before.
    let ready = wait_for(|| matches!(add().status.code(), Some(0 | 68)).then_some(()));
    assert!(ready.is_some(), "{}", server.log());
    let asking = Asking::new();
    let keys = ["me", "ME", "me@x.example", "star*", "m*", "m)(uid=*", "nobody", "team", "team@x.example"];
    for (name, settings) in [
        ("plain", "search_base = dc=x\nquery_filter = (uid=%s)\nresult_attribute = mail\nbind = no"),
        (
            "bound",
            "search_base = dc=x\nquery_filter = (uid=%u)\nresult_attribute = mail\nbind_dn = cn=admin,dc=x\nbind_pw = secret\nresult_format = <%s>",
        ),
        (
            "groups",
            "search_base = dc=x\nquery_filter = (|(uid=%s)(cn=%u))\nresult_attribute = mail\nspecial_result_attribute = member\nbind = no",
        ),
        (
            "one",
            "search_base = dc=x\nscope = one\nquery_filter = (mail=%s)\nresult_attribute = uid\nbind = no\ndomain = x.example",
        ),
    ] {
        let path = asking.file(name, &format!("server_host = {url}\nversion = 3\n{settings}\n"));
        asking.compare(&format!("ldap:{path}"), &keys);
    }
    let wrong = format!(
        "server_host = {url}\nversion = 3\nsearch_base = dc=x\nquery_filter = (uid=%s)\nbind_dn = cn=admin,dc=x\nbind_pw = no\n"
    );
    let table = format!("ldap:{}", asking.file("wrong", &wrong));
    let (answer, status) = asking.ask(&[env!("CARGO_BIN_EXE_mailclad"), "postmap"], "me", &table);
    assert_eq!((answer.as_str(), status), ("", Some(1)), "a wrong password is a failure");
}

/// What a client hears of a recipient.
fn rcpt(site: &Site) -> String {
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.must("MAIL FROM:<sender@client.test>", "250");
    client.say("RCPT TO:<user@site.test>").trim_end().to_owned()
}

#[test]
fn a_database_that_goes_and_comes_again() {
    let (server, port) = start_postgresql();
    run(&mut psql(port, "INSERT INTO alias VALUES ('user@site.test', 'REJECT not you')"));
    let site = Site::new(
        &Authority::new("Test CA"),
        "smtpd_recipient_restrictions = check_recipient_access pgsql:DIR/access",
    );
    let text = format!(
        "hosts = 127.0.0.1:{port}\nuser = reader\ndbname = postgres\nquery = SELECT goto FROM alias WHERE name = '%s'\n"
    );
    site.write("access", &text);
    let site = site.start();
    let refused = "554 5.7.1 <user@site.test>: Recipient address rejected: not you";
    let later = "451 4.3.0 <user@site.test>: Temporary lookup failure";
    assert_eq!(rcpt(&site), refused);
    let folder = server.stop();
    let heard = rcpt(&site);
    assert!(heard.starts_with("451 4.3."), "{heard}, not {later}\n{}", site.log());
    site.wait_for_log(&["warning: ", "pgsql:", "127.0.0.1"]);
    let _server = serve_postgresql(folder, port);
    // A server that was down is left alone for some time.
    let again = wait_for(|| (rcpt(&site) == refused).then_some(()));
    assert!(again.is_some(), "{}\n{}", rcpt(&site), site.log());
}

/// Servers that accept and never say a word: a client waits no longer than it would for its own reasons, and comes again.
#[test]
fn servers_that_never_answer() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let query = "query = SELECT goto FROM alias WHERE name = '%s'";
    let kinds = [
        ("pgsql", format!("hosts = 127.0.0.1:{port}\nuser = reader\ndbname = x\n{query}\n")),
        ("mysql", format!("hosts = 127.0.0.1:{port}\nuser = reader\ndbname = x\n{query}\n")),
        (
            "ldap",
            format!(
                "server_host = ldap://127.0.0.1:{port}\nsearch_base = dc=x\nquery_filter = (uid=%s)\ntimeout = 5\n"
            ),
        ),
    ];
    std::thread::scope(|scope| {
        for (kind, text) in &kinds {
            scope.spawn(move || {
                let extra =
                    format!("smtpd_recipient_restrictions = check_recipient_access {kind}:DIR/access");
                let site = Site::new(&Authority::new("Test CA"), &extra);
                site.write("access", text);
                let site = site.start();
                let began = std::time::Instant::now();
                let mut client = Client::patient(site.port);
                client.must("EHLO client.test", "250");
                client.must("MAIL FROM:<sender@client.test>", "250");
                let heard = client.say("RCPT TO:<user@site.test>");
                assert!(heard.starts_with("451 4.3."), "{kind}: {heard}\n{}", site.log());
                assert!(began.elapsed().as_secs() < 100, "{kind}");
                site.wait_for_log(&["warning: ", &format!("{kind}:")]);
            });
        }
    });
}

/// A server that sends each question to itself: nobody goes in circles, and what is not known is no absence.
#[test]
fn ldap_referrals_in_circles() {
    let (folder, _) = Server::folder("root");
    let root = folder.path().display().to_string();
    let port = free_port();
    let url = format!("ldap://127.0.0.1:{port}");
    std::fs::write(
        folder.path().join("slapd.conf"),
        format!(
            "include /etc/ldap/schema/core.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nreferral {url}\n\
             database mdb\nsuffix dc=x\ndirectory {root}\nrootdn cn=admin,dc=x\nrootpw secret\naccess to * by * read\n"
        ),
    )
    .unwrap();
    let mut command = Command::new("slapd");
    command.args(["-f", &format!("{root}/slapd.conf"), "-h", &url, "-d", "0"]);
    let server = Server::start(command, folder);
    let ready = wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    assert!(ready.is_some(), "{}", server.log());
    let asking = Asking::new();
    for chase in ["no", "yes"] {
        let text = format!(
            "server_host = {url}\nversion = 3\nsearch_base = dc=elsewhere\nquery_filter = (uid=%s)\nbind = no\nchase_referrals = {chase}\n"
        );
        let table = format!("ldap:{}", asking.file("referral", &text));
        let (answer, status) = asking.ask(&[env!("CARGO_BIN_EXE_mailclad"), "postmap"], "me", &table);
        assert_eq!((answer.as_str(), status), ("", Some(1)), "{chase}");
        let output = Command::new(env!("CARGO_BIN_EXE_mailclad"))
            .args(["postmap", "-c", asking.folder.path().to_str().unwrap(), "-q", "me", &table])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("fatal: table ldap:"), "{chase}: {said}");
    }
}

#[test]
fn indexes_and_sqlite() {
    let asking = Asking::new();
    let source = "plain p@y.example\nKey2 value two\na@x.example b@y.example, c@y.example\n";
    for kind in ["hash", "btree", "cdb", "lmdb"] {
        for builder in [&["postmap"][..], &[env!("CARGO_BIN_EXE_mailclad"), "postmap"]] {
            let path = asking.file(&format!("{kind}-{}", builder.len()), source);
            let table = format!("{kind}:{path}");
            run(Command::new(builder[0])
                .args(&builder[1..])
                .args(["-c", asking.folder.path().to_str().unwrap(), &table])
                .env_remove("MAIL_CONFIG"));
            asking.compare(&table, &["plain", "PLAIN", "key2", "a@x.example", "absent"]);
        }
    }
    let database = asking.folder.path().join("database").display().to_string();
    run(Command::new("python3").args([
        "-c",
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])",
        &database,
        &inserts(|text| text.replace('\'', "''")),
    ]));
    compare_sql(&asking, "sqlite", &format!("dbpath = {database}"));
}

fn newest(folder: &Path) -> PathBuf {
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    versions.sort();
    versions.pop().unwrap()
}
