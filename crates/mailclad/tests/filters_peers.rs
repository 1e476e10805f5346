//! Filters as administrators have them: postgrey as a policy service, Rspamd as a Milter that judges.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use support::{Client, Site, free_port, wait_for};
use testkit::authority::Authority;

/// A server on a port of its own, ended with the test.
struct Helper(Child);

impl Helper {
    fn start(command: &mut Command, port: u16) -> Helper {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let helper = Helper(child.unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let ready = wait_for(|| TcpStream::connect(("127.0.0.1", port)).ok());
        assert!(ready.is_some(), "{command:?} does not answer");
        helper
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// A folder that the helper's own user may write to: such programs give up root.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).unwrap();
    folder
}

#[test]
fn postgrey_lets_in_who_comes_again() {
    let (port, folder) = (free_port(), open_folder());
    let mut command = Command::new("postgrey");
    command.args([&format!("--inet=127.0.0.1:{port}"), "--delay=3", "--dbdir"]).arg(folder.path());
    // Nobody is on a list of its own.
    command.args(["--whitelist-clients=/dev/null", "--whitelist-recipients=/dev/null"]);
    if support::uid() == 0 {
        command.args(["--user=nobody", "--group=nogroup"]);
    }
    let _postgrey = Helper::start(&mut command, port);
    let extra = format!(
        "smtpd_peername_lookup = no\nsmtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:{port}"
    );
    let site = Site::new(&Authority::new("Test CA"), &extra).start();
    let rcpt = |recipient: &str| {
        let mut client = Client::connect(site.port);
        client.must("EHLO client.test", "250");
        client.must("MAIL FROM:<sender@client.test>", "250");
        client.say(&format!("RCPT TO:<{recipient}>"))
    };
    let first = rcpt("user@site.test");
    assert!(
        first.starts_with("450 4.2.0 <user@site.test>: Recipient address rejected: Greylisted"),
        "{first}\n{}",
        site.log()
    );
    site.wait_for_log(&["NOQUEUE: reject: RCPT from", "Greylisted"]);
    let again = wait_for(|| rcpt("user@site.test").starts_with("250").then_some(()));
    assert!(again.is_some(), "{}", site.log());
    assert!(rcpt("other@site.test").starts_with("450"), "another recipient is another story");
}

#[test]
fn rspamd_judges() {
    let (port, folder) = (free_port(), open_folder());
    let dir = folder.path().display().to_string();
    // The list that comes with it takes half a minute to be read.
    std::fs::write(folder.path().join("tlds"), "test\ncom\n").unwrap();
    std::fs::write(
        folder.path().join("rspamd.conf"),
        format!(
            "options {{ pidfile = \"{dir}/pid\"; filters = \"\"; tempdir = \"{dir}\"; dns {{ nameserver = [\"127.0.0.1\"]; timeout = 1s; }} \
             local_addrs = [\"192.0.2.0/24\"]; hs_cache_dir = \"{dir}\"; url_tld = \"{dir}/tlds\"; }}\n\
             logging {{ type = \"file\"; filename = \"{dir}/log\"; level = \"info\"; }}\n\
             actions {{ reject = 15; add_header = 6; }}\n\
             worker \"rspamd_proxy\" {{ bind_socket = \"127.0.0.1:{port}\"; milter = yes; count = 1; \
             upstream \"local\" {{ default = yes; self_scan = yes; }} }}\n"
        ),
    )
    .unwrap();
    let mut command = Command::new("rspamd");
    command.args(["-f", "-c"]).arg(folder.path().join("rspamd.conf"));
    if support::uid() == 0 {
        command.args(["-u", "_rspamd", "-g", "_rspamd"]);
    }
    let _rspamd = Helper::start(&mut command, port);
    let extra = format!("smtpd_milters = inet:127.0.0.1:{port}\nmilter_default_action = tempfail");
    let site = Site::new(&Authority::new("Test CA"), &extra).start();
    let send = |subject: &str, body: &str| {
        let mut client = Client::connect(site.port);
        client.must("EHLO client.test", "250");
        let content = format!("From: a@client.test\nTo: user@site.test\nSubject: {subject}\n\n{body}\n");
        client.send("sender@client.test", &["user@site.test"], &content)
    };
    let said = send("harmless", "hello");
    let told = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert!(said.starts_with("250 2.0.0 Ok: queued as "), "{said}\n{}\n{}", site.log(), told());
    site.wait_for_mail("user", "Subject: harmless");
    // The text that every such filter takes for the worst.
    let gtube = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";
    let said = send("spam", gtube);
    assert!(said.starts_with("554 5.7.1 Gtube pattern"), "{said}\n{}\n{}", site.log(), told());
    site.wait_for_log(&["milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 5.7.1 Gtube pattern"]);
}
