//! OpenDKIM as two Milters in sequence: one signs, the next verifies what the first has made of the message. A signature that
//! verifies shows that header and body are told and changed byte by byte.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::net::TcpStream;
use std::process::{Child, Command};

use support::{Client, Site, free_port, wait_for};
use testkit::authority::Authority;

/// An opendkim on a port of its own, ended with the test.
struct OpenDkim {
    child: Child,
    port: u16,
}

impl OpenDkim {
    fn start(site: &Site, name: &str, settings: &str) -> OpenDkim {
        let port = free_port();
        let dir = site.dir.path().display().to_string();
        let text = format!(
            "Socket inet:{port}@127.0.0.1\nSyslog no\nUMask 002\nRequireSafeKeys no\nCanonicalization simple/simple\n{}\n",
            settings.replace("DIR", &dir)
        );
        site.write(name, &text);
        let child = Command::new("/usr/sbin/opendkim")
            .args(["-f", "-x"])
            .arg(site.dir.path().join(name))
            .spawn()
            .unwrap_or_else(|error| panic!("opendkim: {error}"));
        wait_for(|| TcpStream::connect(("127.0.0.1", port)).ok()).unwrap();
        OpenDkim { child, port }
    }
}

impl Drop for OpenDkim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_one_signs_the_next_verifies() {
    let site = Site::new(&Authority::new("Test CA"), "");
    let dir = site.dir.path();
    let made =
        Command::new("openssl").args(["genrsa", "-out"]).arg(dir.join("dkim.pem")).arg("2048").output();
    assert!(made.unwrap().status.success());
    let public = Command::new("openssl")
        .args(["rsa", "-pubout", "-outform", "DER", "-in"])
        .arg(dir.join("dkim.pem"))
        .arg("-out")
        .arg(dir.join("dkim.der"))
        .output();
    assert!(public.unwrap().status.success());
    let encoded =
        Command::new("openssl").args(["base64", "-A", "-in"]).arg(dir.join("dkim.der")).output().unwrap();
    let key = String::from_utf8(encoded.stdout).unwrap();
    site.write("keys", &format!("s1._domainkey.client.test v=DKIM1; k=rsa; p={key}\n"));
    let signer =
        OpenDkim::start(&site, "sign.conf", "Mode s\nDomain client.test\nSelector s1\nKeyFile DIR/dkim.pem");
    let verifier =
        OpenDkim::start(&site, "verify.conf", "Mode v\nTestPublicKeys DIR/keys\nAuthservID judge.test");
    let main = std::fs::read_to_string(dir.join("main.cf")).unwrap();
    let list = format!("inet:127.0.0.1:{}, inet:127.0.0.1:{}", signer.port, verifier.port);
    site.write("main.cf", &format!("{main}smtpd_milters = {list}\nnon_smtpd_milters = {list}\n"));
    let site = site.start();
    let large = "A line that is neither long nor short, as lines are.\n".repeat(10_000);
    for (subject, body) in [("small", "hello\n\n.dot\n  blanks  \n"), ("large", large.as_str())] {
        let mut client = Client::connect(site.port);
        client.must("EHLO client.test", "250");
        let content = format!("From: me@client.test\nTo: user@site.test\nSubject: {subject}\n\n{body}");
        let reply = client.send("me@client.test", &["user@site.test"], &content);
        assert!(reply.starts_with("250 "), "{reply}");
        let mail = site.wait_for_mail("user", &format!("Subject: {subject}\n"));
        let header = mail.split("\n\n").next().unwrap();
        assert!(header.contains("\nDKIM-Signature: v=1; a=rsa-sha256;"), "{header}");
        assert!(header.contains("\nAuthentication-Results: judge.test;\n\tdkim=pass"), "{header}");
    }
    // The same for mail of this machine.
    site.run(
        &["sendmail", "-f", "me@client.test", "user@site.test"],
        "From: me@client.test\nTo: user@site.test\nSubject: local\n\nhello\n",
    );
    let mail = site.wait_for_mail("user", "Subject: local\n");
    assert!(mail.contains("\n\tdkim=pass"), "{mail}");
}
