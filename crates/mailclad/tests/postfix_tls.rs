//! `postfix tls`: what it says, what it makes, what it changes; with the feature `peers` beside Postfix's own script.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::path::Path;
use std::process::{Command, Output};

const MAIN: &str = "# mine\ncompatibility_level = 3.6\nmyhostname = mx.site.test\nalias_maps =\n";

/// A folder with a configuration.
fn folder(extra: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display();
    let text = format!("{MAIN}queue_directory = {root}/spool\ndata_directory = {root}/data\n{extra}");
    std::fs::write(folder.path().join("main.cf"), text).unwrap();
    std::fs::write(folder.path().join("master.cf"), "smtp unix - - n - - smtp\n").unwrap();
    folder
}

fn ours(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailclad"));
    command.args(["postfix", "-c"]).arg(folder).arg("tls").args(words).output().unwrap()
}

/// Standard output and error with times, folders, random data and our or the script's own prefix taken out.
fn normal(folder: &Path, output: &Output) -> String {
    let text = format!(
        "{}{}status {:?}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code()
    );
    plain(folder, &text)
}

fn plain(folder: &Path, text: &str) -> String {
    let text = text.replace(&folder.display().to_string(), "DIR");
    let mut lines = Vec::new();
    let mut in_pem = false;
    for line in text.lines() {
        let line = line.trim_end();
        in_pem = (in_pem || line.starts_with("-----BEGIN")) && !line.starts_with("-----END");
        if in_pem && !line.starts_with("-----") {
            continue;
        }
        let line = line.split_once("script: ").map_or(line, |(_, rest)| rest);
        let words: Vec<String> = line.split(' ').map(stamp).collect();
        lines.push(words.join(" "));
    }
    lines.join("\n") + "\n"
}

/// `key-20261129-230000.pem` becomes `key-TIME.pem`, a digest `DIGEST`.
fn stamp(word: &str) -> String {
    if word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return "DIGEST".into();
    }
    match (word.find("-20"), word.find(".pem")) {
        (Some(start), Some(end)) if start < end => format!("{}-TIME{}", &word[..start], &word[end..]),
        _ => word.to_owned(),
    }
}

fn main_cf(folder: &Path) -> String {
    plain(folder, &std::fs::read_to_string(folder.join("main.cf")).unwrap())
}

fn file(folder: &Path, prefix: &str) -> String {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(prefix)).max().unwrap()
}

#[test]
fn a_server_gets_a_key_and_a_certificate() {
    let folder = folder("");
    let dir = folder.path();
    assert!(ours(dir, &["all-default-server"]).status.success());
    let said = normal(dir, &ours(dir, &["enable-server"]));
    assert!(said.starts_with("Enabled opportunistic TLS in the Postfix SMTP server\nNew TLS private key and certificate deployed.\n"), "{said}");
    assert!(said.contains("# postfix tls output-server-csr -k DIR/key-TIME.pem [<hostname> ...]"), "{said}");
    let main = main_cf(dir);
    for line in [
        "# mine",
        "smtpd_tls_key_file = DIR/key-TIME.pem",
        "smtpd_tls_cert_file = DIR/cert-TIME.pem",
        "smtpd_tls_security_level = may",
        "smtpd_tls_received_header = yes",
        "smtpd_tls_loglevel = 1",
    ] {
        assert!(main.lines().any(|found| found == line), "{line} in {main}");
    }
    let mode = std::fs::metadata(dir.join(file(dir, "key-"))).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    assert!(!ours(dir, &["all-default-server"]).status.success());
    assert!(ours(dir, &["all-default-client"]).status.success());
    // Once it is on, nothing is changed.
    assert!(normal(dir, &ours(dir, &["enable-server"])).contains("no changes made"));
    assert_eq!(main_cf(dir), main);
    // The record is for the key, and a request is too.
    let output = ours(dir, &["output-server-tlsa"]);
    assert_eq!(
        normal(dir, &output),
        "; DIR/key-TIME.pem\n_25._tcp.mx.site.test. IN TLSA 3 1 1 DIGEST\nstatus Some(0)\n"
    );
    let key = std::fs::read(dir.join(file(dir, "key-"))).unwrap();
    let key = openssl::pkey::PKey::private_key_from_pem(&key).unwrap();
    let digest = openssl::sha::sha256(&key.public_key_to_der().unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(String::from_utf8_lossy(&output.stdout).contains(&digest));
    let request = ours(dir, &["output-server-csr", "a.test", "b.test"]).stdout;
    let request = openssl::x509::X509Req::from_pem(&request).unwrap();
    assert!(request.verify(&key).unwrap());
    let certificate = std::fs::read(dir.join(file(dir, "cert-"))).unwrap();
    let certificate = openssl::x509::X509::from_pem(&certificate).unwrap();
    assert!(certificate.public_key().unwrap().public_eq(&key));
    let names = certificate.subject_alt_names().unwrap();
    assert_eq!(names.iter().filter_map(|name| name.dnsname()).collect::<Vec<_>>(), ["mx.site.test"]);
}

#[test]
fn keys_and_certificates_are_deployed_when_they_fit() {
    let folder = folder("");
    let dir = folder.path();
    let said = normal(dir, &ours(dir, &["new-server-key", "-a", "ecdsa", "x.test"]));
    assert!(
        said.contains("# postfix tls deploy-server-cert DIR/eccert-TIME.pem DIR/eckey-TIME.pem"),
        "{said}"
    );
    assert_eq!(main_cf(dir), plain(dir, &std::fs::read_to_string(dir.join("main.cf")).unwrap()));
    let (certificate, key) = (file(dir, "eccert-"), file(dir, "eckey-"));
    assert!(ours(dir, &["deploy-server-cert", &certificate, &key]).status.success());
    assert!(main_cf(dir).contains("smtpd_tls_eckey_file = DIR/eckey-TIME.pem"));
    std::fs::write(
        dir.join("other.pem"),
        openssl::pkey::PKey::generate_ed25519().unwrap().private_key_to_pem_pkcs8().unwrap(),
    )
    .unwrap();
    for (words, part) in [
        (&["deploy-server-cert", "missing.pem", &*key][..], "error computing certificate public key digest"),
        (
            &["deploy-server-cert", &*certificate, "missing.pem"],
            "no private key found in file: DIR/missing.pem",
        ),
        (&["deploy-server-cert", &*certificate, "other.pem"], "no private key found in file: DIR/other.pem"),
        (&["deploy-server-cert"], "usage: postfix tls deploy-server-cert certfile keyfile"),
        (&["new-server-key", "-a", "dsa"], "Unsupported public key algorithm: dsa"),
        (&["new-server-key", "-z"], "usage: postfix tls new-server-key [-a algorithm]"),
        (&["output-server-csr", "-k", "missing.pem"], "No usable keyfile specified or configured"),
        (&["output-server-tlsa", "missing.pem"], "no private key found in file: DIR/missing.pem"),
        (&["all-default-client", "x"], "usage: postfix tls all-default-client"),
        (&["bogus"], "error: unknown tls command: 'bogus'"),
    ] {
        let said = normal(dir, &ours(dir, words));
        assert!(said.contains(part) && said.ends_with("status Some(1)\n"), "{words:?}: {said}");
    }
}

/// The same commands, one after the other, here and there.
#[cfg(feature = "peers")]
#[test]
fn the_script_of_postfix_says_and_does_the_same() {
    // postfix(1) itself wants an installation with all its folders; what it does for `tls` is this.
    let real = |folder: &Path, words: &[&str]| {
        // postlog(1) speaks to terminals only.
        let line = format!("/bin/sh /usr/lib/postfix/sbin/postfix-tls-script {}", words.join(" "));
        Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .stdin(std::process::Stdio::null())
            .env("daemon_directory", "/usr/lib/postfix/sbin")
            .env("command_directory", "/usr/sbin")
            .env("config_directory", folder)
            .env("MAIL_CONFIG", folder)
            .env("data_directory", folder.join("data"))
            .env("MAIL_LOGTAG", "postfix")
            .output()
            .unwrap()
    };
    const COMMANDS: &[&[&str]] = &[
        &["all-default-client"],
        &["all-default-server"],
        &["enable-client"],
        &["enable-client"],
        &["all-default-client"],
        &["output-server-tlsa"],
        &["output-server-csr"],
        &["enable-server", "a.test", "b.test"],
        &["enable-server"],
        &["all-default-server"],
        &["output-server-tlsa"],
        &["output-server-tlsa", "-h", "other.test", "rsa"],
        &["output-server-csr", "a.test"],
        &["new-server-key", "-a", "ecdsa"],
        &["bogus"],
        &["new-server-key", "-a", "dsa"],
        &["deploy-server-cert", "x"],
        &["enable-client", "x"],
    ];
    let (here, there) = (folder(""), folder(""));
    for command in COMMANDS {
        let expected = normal(there.path(), &real(there.path(), command));
        assert_eq!(normal(here.path(), &ours(here.path(), command)), expected, "{command:?}");
        // The order of new lines is that of Postfix's hash table there.
        let sorted = |text: String| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(main_cf(here.path())), sorted(main_cf(there.path())), "{command:?}");
    }
}
