//! DANE with a zone that is really signed: nsd serves it, ldns signs it, unbound validates it. The other tests of DANE have a name server
//! that merely claims so.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::peer::{Script, ScriptedPeer};
use support::{Client, Site, free_port, wait_for};
use testkit::authority::{Authority, KeyKind};

/// Where the name server that knows the zones listens, and the one that validates.
const AUTHORITATIVE: &str = "127.0.5.1";
const VALIDATING: &str = "127.0.5.2";

struct Case {
    /// Below dane.test, or with a zone of its own.
    domain: &'static str,
    level: &'static str,
    expected: &'static str,
}

const fn case(domain: &'static str, level: &'static str, expected: &'static str) -> Case {
    Case { domain, level, expected }
}

const NOT_VERIFIED: &str = "dsn=4.7.5, status=deferred (Server certificate not verified)";

const CASES: &[Case] = &[
    case("ee.dane.test", "dane", "tls=dane, dsn=2.0.0, status=sent"),
    case("ee.dane.test", "dane-only", "tls=dane-only, dsn=2.0.0, status=sent"),
    case("ta.dane.test", "dane", "tls=dane, dsn=2.0.0, status=sent"),
    // The authority is the right one, the name is not.
    case("ta-other.dane.test", "dane", NOT_VERIFIED),
    case("mismatch.dane.test", "dane", NOT_VERIFIED),
    case("mismatch.dane.test", "dane-only", NOT_VERIFIED),
    case("unusable.dane.test", "dane", "tls=dane:encrypt, dsn=2.0.0, status=sent"),
    case("unusable.dane.test", "dane-only", "dsn=4.7.5, status=deferred (TLSA records unusable)"),
    case("none.dane.test", "dane", "tls=dane:may, dsn=2.0.0, status=sent"),
    case("none.dane.test", "dane-only", "dsn=4.7.5, status=deferred (no TLSA records found)"),
    // The server's name is an alias: the records below what it leads to, and below itself.
    case("host-alias.dane.test", "dane-only", "tls=dane-only, dsn=2.0.0, status=sent"),
    // The domain is an alias for one with mail exchangers.
    case("mx-alias.dane.test", "dane-only", "tls=dane-only, dsn=2.0.0, status=sent"),
    // Nobody signs the domain; its mail exchanger is in the signed zone.
    case("mail.plain.dane.test", "dane", "tls=dane:halfdane, dsn=2.0.0, status=sent"),
    case("mail.plain.dane.test", "dane-only", "dsn=4.7.5, status=deferred (non DNSSEC destination)"),
    // The domain is signed, its mail exchanger is where nobody signs: its TLSA records prove nothing.
    case("plain-host.dane.test", "dane", "tls=dane:may, dsn=2.0.0, status=sent"),
    case("plain-host.dane.test", "dane-only", "dsn=4.7.5, status=deferred (no TLSA records found)"),
    // Signatures that have expired are no answer at all.
    case("mail.stale.dane.test", "dane", "dsn=4.4.3, status=deferred (Host or domain name not found."),
    case("stale-host.dane.test", "dane", "dsn=4.4.3, status=deferred (Host or domain name not found."),
];

/// A process that ends with this value.
struct Server(Child);

impl Server {
    fn start(program: &str, arguments: &[&str], log: &Path) -> Server {
        let log = std::fs::File::create(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        Server(child.unwrap_or_else(|why| panic!("{program}: {why}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A zone in a folder, signed or not.
struct Zone<'a> {
    dir: &'a Path,
    name: &'a str,
}

impl Zone<'_> {
    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).current_dir(self.dir).output();
        let output = output.unwrap_or_else(|why| panic!("{program}: {why}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, records: &str) {
        let head = format!(
            "$ORIGIN {0}.\n$TTL 300\n@ SOA ns.dane.test. root.dane.test. 1 3600 600 86400 60\n@ NS ns.dane.test.\n",
            self.name
        );
        std::fs::write(self.dir.join(self.name), head + records).unwrap();
    }

    /// Signs it, for the next weeks or with these times of inception and expiration; gives the DS record for the zone above.
    fn sign(&self, times: &[&str]) -> String {
        let key = self.tool("ldns-keygen", &["-a", "ECDSAP256SHA256", "-k", self.name]);
        self.tool("ldns-signzone", &[times, &["-n", "-f", "signed", self.name, &key]].concat());
        std::fs::rename(self.dir.join("signed"), self.dir.join(self.name)).unwrap();
        self.tool("ldns-key2ds", &["-n", "-2", &format!("{key}.key")])
    }
}

/// The records of TLSA for a certificate.
fn digest(pem: &str, key_only: bool) -> String {
    let certificate = openssl::x509::X509::from_pem(pem.as_bytes()).unwrap();
    let der = match key_only {
        true => certificate.public_key().unwrap().public_key_to_der().unwrap(),
        false => certificate.to_der().unwrap(),
    };
    openssl::sha::sha256(&der).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn dane_with_a_zone_that_is_signed() {
    let (authority, nobody) = (Authority::new("Zone CA"), Authority::new("Other CA"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (port, dns_port) = (free_port(), free_port());

    // Servers: one with a certificate of nobody that we know, one of the authority, one for another name.
    let mut peers = Vec::new();
    let mut peer = |address: &str, name: &str, by: &Authority| {
        let issued = by.issue(name, KeyKind::EcdsaP256);
        let mut pem = issued.key_pem + &issued.certificate_pem;
        pem += &by.certificate_pem;
        let path = dir.path().join(format!("{address}.pem"));
        std::fs::write(&path, pem).unwrap();
        let script = Script::parse(&format!("tls {}", path.display())).unwrap();
        peers.push(ScriptedPeer::start(address, port, script));
        issued.certificate_pem
    };
    let own = peer("127.0.6.1", "whatever.test", &nobody);
    peer("127.0.6.2", "mx-ta.dane.test", &authority);
    peer("127.0.6.3", "someone-else.test", &authority);
    let (key, root) = (digest(&own, true), digest(&authority.certificate_pem, false));

    let tlsa = |host: &str, record: &str| format!("_{port}._tcp.{host} TLSA {record}\n");
    let mut records = format!(
        "ns A {AUTHORITATIVE}\n\
         ee MX 10 mx-ee\nmx-ee A 127.0.6.1\n\
         ta MX 10 mx-ta\nmx-ta A 127.0.6.2\n\
         ta-other MX 10 mx-ta-other\nmx-ta-other A 127.0.6.3\n\
         mismatch MX 10 mx-mismatch\nmx-mismatch A 127.0.6.1\n\
         unusable MX 10 mx-unusable\nmx-unusable A 127.0.6.1\n\
         none MX 10 mx-none\nmx-none A 127.0.6.1\n\
         host-alias MX 10 mx-alias-of-ee\nmx-alias-of-ee CNAME mx-ee\n\
         mx-alias CNAME ee\n\
         plain-host MX 10 mx.plain\n\
         stale-host MX 10 mx.stale\n\
         plain NS ns\nstale NS ns\n"
    );
    records += &tlsa("mx-ee", &format!("3 1 1 {key}"));
    records += &tlsa("mx-ta", &format!("2 0 1 {root}"));
    records += &tlsa("mx-ta-other", &format!("2 0 1 {root}"));
    records += &tlsa("mx-mismatch", &format!("3 1 1 {}", "00".repeat(32)));
    records += &tlsa("mx-unusable", &format!("1 1 1 {key}"));
    let zone = |name| Zone { dir: dir.path(), name };
    let plain =
        format!("mail MX 10 mx-ee.dane.test.\nmx A 127.0.6.1\n{}", tlsa("mx", &format!("3 1 1 {key}")));
    zone("plain.dane.test").write(&plain);
    zone("stale.dane.test").write("mail MX 10 mx\nmx A 127.0.6.1\n");
    let stale = zone("stale.dane.test").sign(&["-i", "20200101", "-e", "20200201"]);
    zone("dane.test").write(&format!("{records}{stale}\n"));
    let anchor = zone("dane.test").sign(&[]);
    std::fs::write(dir.path().join("anchor"), format!("{anchor}\n")).unwrap();

    let root = dir.path().display().to_string();
    let mut nsd = format!(
        "server:\n  ip-address: {AUTHORITATIVE}@{dns_port}\n  username: \"\"\n  zonesdir: {root}\n  pidfile: \"\"\n  \
         zonelistfile: {root}/zone.list\n  xfrdfile: {root}/xfrd.state\n  database: \"\"\n  server-count: 1\n\
         remote-control:\n  control-enable: no\n"
    );
    let mut unbound = format!(
        "server:\n  interface: {VALIDATING}@{dns_port}\n  do-daemonize: no\n  username: \"\"\n  chroot: \"\"\n  \
         directory: {root}\n  pidfile: {root}/unbound.pid\n  use-syslog: no\n  trust-anchor-file: {root}/anchor\n  \
         do-not-query-localhost: no\n  local-zone: \"test.\" nodefault\n  module-config: \"validator iterator\"\n\
         remote-control:\n  control-enable: no\n"
    );
    for name in ["dane.test", "plain.dane.test", "stale.dane.test"] {
        nsd += &format!("zone:\n  name: {name}\n  zonefile: {name}\n");
        unbound += &format!("stub-zone:\n  name: {name}\n  stub-addr: {AUTHORITATIVE}@{dns_port}\n");
    }
    let file = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    file("nsd.conf", &nsd);
    file("unbound.conf", &unbound);
    let _nsd = Server::start(
        "/usr/sbin/nsd",
        &["-d", "-c", &format!("{root}/nsd.conf")],
        &dir.path().join("nsd.log"),
    );
    let arguments = ["-d", "-c", &format!("{root}/unbound.conf")];
    let _unbound = Server::start("/usr/sbin/unbound", &arguments, &dir.path().join("unbound.log"));
    let logs = || {
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default();
        format!("{}\n{}", read("nsd.log"), read("unbound.log"))
    };
    let answers = wait_for(|| validates("ee.dane.test", dns_port).then_some(()));
    assert!(answers.is_some(), "the resolver does not validate:\n{}", logs());

    let mut extra = format!(
        "import_environment = MAILCLAD_RESOLV_CONF=DIR/resolv.conf\nsmtp_tcp_port = {port}\nsmtp_tls_CAfile =\n\
         smtp_dns_support_level = dnssec\nsmtp_tls_security_level = dane\nsmtp_tls_loglevel = 1\n\
         transport_maps = texthash:DIR/transport\n"
    );
    extra += "relay_domains = static:yes\n";
    let site = Site::new(&authority, &extra);
    site.write(
        "resolv.conf",
        &format!("nameserver [{VALIDATING}]:{dns_port}\noptions timeout:5 attempts:2\n"),
    );
    let only =
        "only unix - - n - - smtp\n  -o smtp_tls_security_level=dane-only -o syslog_name=postfix/only\n";
    site.write("master.cf", &(support::master_cf(site.port, site.wrapper_port) + only));
    let rows: String = CASES
        .iter()
        .filter(|case| case.level == "dane-only")
        .map(|case| format!("only-{0}@{0} only:{0}\n", case.domain))
        .collect();
    site.write("transport", &rows);
    let site = site.start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    let recipient = |case: &Case| match case.level {
        "dane-only" => format!("only-{0}@{0}", case.domain),
        _ => format!("dane-{0}@{0}", case.domain),
    };
    for case in CASES {
        let reply = client.send("sender@site.test", &[&recipient(case)], "Subject: x\n\ntext\n");
        assert!(reply.starts_with("250"), "{reply}");
    }
    for case in CASES {
        let line = site.wait_for_log(&[&format!("to=<{}>, relay=", recipient(case))]);
        assert!(line.contains(case.expected), "{} {}: {line}\n{}", case.domain, case.level, logs());
    }
    site.wait_for_log(&["Verified TLS connection established to mx-ee.dane.test[127.0.6.1]"]);
    site.wait_for_log(&["Verified TLS connection established to mx-ta.dane.test[127.0.6.2]"]);
}

/// Asks with the tool of unbound's authors; `ad` stands among the flags of an answer that was validated.
fn validates(name: &str, port: u16) -> bool {
    let output = Command::new("drill")
        .args(["-D", "-p", &port.to_string(), &format!("@{VALIDATING}"), name, "MX"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().any(|line| line.starts_with(";; flags:") && line.contains(" ad"))
}
