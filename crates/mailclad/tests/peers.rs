//! Real peers, as administrators use them: openssl s_client, swaks, curl, Python's smtplib, and Debian's Postfix on both
//! sides. They are installed by continuous integration; a missing one is a failure here.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::{Client, Site, free_port, wait_for};
use testkit::authority::{Authority, KeyKind};

fn site() -> Site {
    Site::new(&Authority::new("Test CA"), "").start()
}

fn run(program: &str, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn must(program: &str, args: &[&str], input: &str) -> String {
    let output = run(program, args, input);
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {text}");
    text
}

#[test]
fn openssl_s_client_speaks_starttls() {
    let site = site();
    let (connect, ca) = (format!("127.0.0.1:{}", site.port), site.ca().display().to_string());
    // The pipe stays open until the server says good-bye, so that s_client does not leave first.
    let script = format!(
        "(printf 'MAIL FROM:<a@client.test>\\r\\nRCPT TO:<user@site.test>\\r\\nDATA\\r\\n'; sleep 1; \
         printf 'Subject: s_client\\r\\n\\r\\nhello\\r\\n.\\r\\nQUIT\\r\\n'; sleep 1) | \
         openssl s_client -connect {connect} -starttls smtp -servername localhost -CAfile {ca} -verify_return_error -quiet"
    );
    let text = must("sh", &["-c", &script], "");
    assert!(text.contains("250 2.0.0 Ok: queued as "), "{text}");
    site.wait_for_mail("user", "Subject: s_client");
}

#[test]
fn swaks_over_starttls_and_in_wrapper_mode() {
    let site = site();
    for (port, option, subject) in
        [(site.port, "--tls", "swaks-tls"), (site.wrapper_port, "--tlsc", "swaks-tlsc")]
    {
        let header = format!("Subject: {subject}");
        let text = must(
            "swaks",
            &[
                "--server",
                &format!("127.0.0.1:{port}"),
                option,
                "--from",
                "a@client.test",
                "--to",
                "user@site.test",
                "--helo",
                "client.test",
                "--header",
                &header,
            ],
            "",
        );
        assert!(text.contains("250 2.0.0 Ok: queued as"), "{text}");
        let message = site.wait_for_mail("user", &header);
        assert!(message.contains("with ESMTPS id"), "{message}");
    }
}

#[test]
fn curl_sends_mail_with_required_tls() {
    let site = site();
    let file = site.dir.path().join("curl.eml");
    std::fs::write(&file, "Subject: from curl\r\n\r\nhello\r\n").unwrap();
    for url in [format!("smtp://localhost:{}", site.port), format!("smtps://localhost:{}", site.wrapper_port)]
    {
        must(
            "curl",
            &[
                "--silent",
                "--show-error",
                "--ipv4",
                "--ssl-reqd",
                "--cacert",
                &site.ca().display().to_string(),
                "--url",
                &url,
                "--mail-from",
                "a@client.test",
                "--mail-rcpt",
                "user@site.test",
                "--upload-file",
                &file.display().to_string(),
            ],
            "",
        );
    }
    let arrived = wait_for(|| (site.mailbox("user").len() == 2).then_some(()));
    assert!(arrived.is_some(), "{}", site.log());
}

#[test]
fn python_smtplib_sends_a_message_with_several_recipients() {
    let site = site();
    let script = format!(
        "import smtplib, ssl\n\
         context = ssl.create_default_context(cafile='{ca}')\n\
         with smtplib.SMTP('localhost', {port}) as s:\n\
         \x20   s.starttls(context=context)\n\
         \x20   refused = s.sendmail('a@client.test', ['user@site.test', 'other@site.test', 'nobody@site.test'],\n\
         \x20       'Subject: from python\\r\\n\\r\\n' + 'x' * 70 + '\\r\\n.leading dot\\r\\n')\n\
         \x20   assert list(refused) == ['nobody@site.test'], refused\n\
         with smtplib.SMTP_SSL('localhost', {wrapper}, context=context) as s:\n\
         \x20   s.noop()\n",
        ca = site.ca().display(),
        port = site.port,
        wrapper = site.wrapper_port,
    );
    must("python3", &["-"], &script);
    for name in ["user", "other"] {
        let message = site.wait_for_mail(name, "Subject: from python");
        assert!(message.contains("\n.leading dot\n"), "{message}");
    }
}

/// A Postfix of the distribution with a configuration of its own, stopped when it goes out of scope.
struct RealPostfix {
    dir: tempfile::TempDir,
    port: u16,
}

impl RealPostfix {
    fn start(authority: &Authority, extra: &str) -> RealPostfix {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let port = free_port();
        let root = dir.path().display().to_string();
        let issued = authority.issue("localhost", KeyKind::Rsa2048);
        for (name, text) in [
            ("server.pem", issued.key_pem + &issued.certificate_pem),
            ("ca.pem", authority.certificate_pem.clone()),
            (
                "main.cf",
                format!(
                    "compatibility_level = 3.6\nmyhostname = real.test\nmydestination =\nmynetworks = 127.0.0.0/8\n\
                     inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nqueue_directory = {root}/spool\n\
                     data_directory = {root}/data\nmaillog_file = {root}/mail.log\nmaillog_file_prefixes = {root}\n\
                     alias_maps =\nalias_database =\nlocal_recipient_maps =\nsmtpd_tls_chain_files = {root}/server.pem\n\
                     smtpd_tls_security_level = may\nsmtpd_tls_loglevel = 1\nsmtp_tls_loglevel = 1\n\
                     smtp_tls_CAfile = {root}/ca.pem\nrelay_domains = site.test, real.test\n{}\n",
                    extra.replace("DIR", &root)
                ),
            ),
            (
                "master.cf",
                format!(
                    "127.0.0.1:{port} inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n\
                     qmgr unix n - n 300 1 qmgr\ntlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\n\
                     bounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\n\
                     verify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\n\
                     smtp unix - - n - - smtp\nrelay unix - - n - - smtp\nerror unix - - n - - error\n\
                     retry unix - - n - - error\ndiscard unix - - n - - discard\nanvil unix - - n - 1 anvil\n\
                     scache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\nshowq unix n - n - - showq\n"
                ),
            ),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            let mode = if name == "server.pem" { 0o600 } else { 0o644 };
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        }
        for name in ["spool", "data"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        must("chown", &["postfix", &format!("{root}/data")], "");
        must("/usr/sbin/postfix", &["-c", &root, "start"], "");
        let real = RealPostfix { dir, port };
        let up = wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        assert!(up.is_some(), "{}", real.log());
        real
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("mail.log")).unwrap_or_default()
    }

    fn wait_for_log(&self, parts: &[&str]) {
        let found = wait_for(|| {
            self.log().lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(())
        });
        assert!(found.is_some(), "no line with {parts:?} in\n{}", self.log());
    }
}

impl Drop for RealPostfix {
    fn drop(&mut self) {
        let _ = run("/usr/sbin/postfix", &["-c", &self.dir.path().display().to_string(), "stop"], "");
    }
}

fn submit(port: u16, to: &str, subject: &str) {
    let mut client = Client::connect(port);
    client.must("EHLO client.test", "250");
    let reply = client.send("sender@client.test", &[to], &format!("Subject: {subject}\n\nhello\n"));
    assert!(reply.starts_with("250 "), "{reply}");
}

#[test]
fn a_real_postfix_delivers_to_us_over_verified_tls() {
    let authority = Authority::new("Test CA");
    let site = Site::new(&authority, "smtpd_tls_security_level = encrypt").start();
    let real = RealPostfix::start(
        &authority,
        &format!(
            "relayhost = [localhost]:{}\nsmtp_tls_security_level = verify\nsmtp_host_lookup = native",
            site.port
        ),
    );
    submit(real.port, "user@site.test", "from the real one");
    site.wait_for_mail("user", "Subject: from the real one");
    real.wait_for_log(&["Verified TLS connection established to localhost[127.0.0.1]:"]);
    real.wait_for_log(&["to=<user@site.test>", "status=sent (250 2.0.0 Ok: queued as "]);
}

#[test]
fn we_deliver_to_a_real_postfix_over_verified_tls() {
    let authority = Authority::new("Test CA");
    let real =
        RealPostfix::start(&authority, "relay_transport = discard\nsmtpd_tls_security_level = encrypt");
    let site = Site::new(
        &authority,
        &format!(
            "relayhost = [localhost]:{}\nsmtp_tls_security_level = secure\nsmtp_host_lookup = native\n\
             smtp_tls_secure_cert_match = nexthop",
            real.port
        ),
    )
    .start();
    submit(site.port, "someone@real.test", "to the real one");
    real.wait_for_log(&["to=<someone@real.test>", "status=sent"]);
    site.wait_for_log(&["Verified TLS connection established to localhost[127.0.0.1]:"]);
    site.wait_for_log(&["to=<someone@real.test>", "tls=secure", "status=sent (250 2.0.0 Ok: queued as "]);
}

#[test]
fn tables_built_by_either_side_are_read_by_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("virtual");
    std::fs::write(&source, "a@x.test b@y.test\n\"quoted key\"@x.test c@y.test\nd d1, d2\n").unwrap();
    let spec = format!("hash:{}", source.display());
    std::fs::write(dir.path().join("main.cf"), "compatibility_level = 3.6\n").unwrap();
    let folder = dir.path().to_str().unwrap();
    let ours = |args: &[&str]| {
        must(env!("CARGO_BIN_EXE_mailclad"), &[&["postmap", "-c", folder], args].concat(), "")
    };
    let theirs = |args: &[&str]| must("/usr/sbin/postmap", &[&["-c", folder], args].concat(), "");
    for (build, query) in
        [(&ours as &dyn Fn(&[&str]) -> String, &theirs as &dyn Fn(&[&str]) -> String), (&theirs, &ours)]
    {
        let _ = std::fs::remove_file(Path::new(&format!("{}.db", source.display())));
        build(&[&spec]);
        assert_eq!(query(&["-q", "a@x.test", &spec]), "b@y.test\n");
        assert_eq!(query(&["-q", "D", &spec]), "d1, d2\n");
    }
}

/// GNU SASL finds the better mechanism by itself, and ties the login to the connection in TLS 1.3 as in TLS 1.2; curl shows tokens.
#[test]
fn logins_of_our_own_by_gsasl_and_curl() {
    let site = Site::new(
        &Authority::new("Test CA"),
        "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = mailclad\nsmtpd_sasl_path = texthash:DIR/users\n\
         smtpd_tls_auth_only = yes\nsmtpd_sasl_oauth_issuer = https://id.test\nsmtpd_sasl_oauth_audience = mail\n\
         smtpd_sasl_oauth_keys = DIR/keys\nsmtpd_sasl_authenticated_header = yes",
    );
    let made = site.run(&["passwd", "me"], "secret\n");
    site.write("users", &String::from_utf8(made.stdout).unwrap());
    let issuer = Issuer::new();
    site.write("keys", &issuer.published);
    let master = std::fs::read_to_string(site.dir.path().join("master.cf")).unwrap();
    let wrapper = "smtpd_tls_wrappermode=yes";
    site.write(
        "master.cf",
        &master.replace(wrapper, &format!("{wrapper} -o smtpd_sasl_mechanism_filter=xoauth2")),
    );
    let site = site.start();
    let (server, ca) = (format!("localhost:{}", site.port), site.ca().display().to_string());
    for (priority, password, expected) in
        [("NORMAL", "secret", true), ("NORMAL:-VERS-TLS1.3", "secret", true), ("NORMAL", "wrong", false)]
    {
        let x509 = format!("--x509-ca-file={ca}");
        let priority = format!("--priority={priority}");
        let args = [
            "--smtp",
            "--client",
            "--verbose",
            "--mechanism=SCRAM-SHA-256-PLUS",
            "-a",
            "me",
            "-z",
            "me",
            "-p",
            password,
            &x509,
            &priority,
            "--connect",
            &server,
        ];
        let output = run("gsasl", &args, "");
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.contains("235 2.7.0 Authentication successful"), expected, "{priority}: {said}");
    }
    let file = site.dir.path().join("curl.eml");
    std::fs::write(&file, "Subject: by token\r\n\r\nhello\r\n").unwrap();
    let urls =
        [format!("smtp://localhost:{}", site.port), format!("smtps://localhost:{}", site.wrapper_port)];
    for (url, whose, expected) in [
        (&urls[0], "https://id.test", true),
        (&urls[1], "https://id.test", true),
        (&urls[0], "https://other.test", false),
        (&urls[1], "https://other.test", false),
    ] {
        let token = issuer.token(whose);
        let args = [
            "--silent",
            "--show-error",
            "--ipv4",
            "--ssl-reqd",
            "--cacert",
            &ca,
            "--url",
            url,
            "--mail-from",
            "me@site.test",
            "--mail-rcpt",
            "user@site.test",
            "--upload-file",
            file.to_str().unwrap(),
            "--user",
            "me@site.test:",
            "--oauth2-bearer",
            &token,
        ];
        let output = run("curl", &args, "");
        assert_eq!(output.status.success(), expected, "{url}: {output:?}\n{}", site.log());
    }
    let mail = site.wait_for_mail("user", "Subject: by token");
    assert!(mail.contains("(Authenticated sender: me@site.test)"), "{mail}");
    let log = site.log();
    assert!(
        log.contains(
            "SASL XOAUTH2 authentication failed: the token is of another issuer, sasl_username=me@site.test"
        ),
        "{log}"
    );
    assert!(!log.contains("eyJ"), "no token is logged: {log}");
}

/// Who gives tokens.
struct Issuer {
    key: openssl::ec::EcKey<openssl::pkey::Private>,
    /// Its keys, as it publishes them.
    published: String,
}

impl Issuer {
    fn new() -> Issuer {
        use openssl::bn::{BigNum, BigNumContext};
        let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1).unwrap();
        let key = openssl::ec::EcKey::generate(&group).unwrap();
        let (mut x, mut y) = (BigNum::new().unwrap(), BigNum::new().unwrap());
        let mut context = BigNumContext::new().unwrap();
        key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context).unwrap();
        let published = format!(
            r#"{{"keys":[{{"kty":"EC","crv":"P-256","use":"sig","alg":"ES256","kid":"k1","x":"{}","y":"{}"}}]}}"#,
            base64url(&x.to_vec_padded(32).unwrap()),
            base64url(&y.to_vec_padded(32).unwrap())
        );
        Issuer { key, published }
    }

    /// For me@site.test, for an hour.
    fn token(&self, issuer: &str) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let claims =
            format!(r#"{{"iss":"{issuer}","aud":"mail","exp":{},"email":"me@site.test"}}"#, now + 3600);
        let signed =
            format!("{}.{}", base64url(br#"{"alg":"ES256","kid":"k1"}"#), base64url(claims.as_bytes()));
        let digest = openssl::sha::sha256(signed.as_bytes());
        let signature = openssl::ecdsa::EcdsaSig::sign(&digest, &self.key).unwrap();
        let halves = [signature.r().to_vec_padded(32).unwrap(), signature.s().to_vec_padded(32).unwrap()];
        format!("{signed}.{}", base64url(&halves.concat()))
    }
}

fn base64url(bytes: &[u8]) -> String {
    openssl::base64::encode_block(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_")
}
