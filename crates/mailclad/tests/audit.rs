//! What `mailclad audit` says of configurations as the guides have them.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::Site;
use testkit::authority::{Authority, KeyKind};

/// The audit of a site whose port 25 is a line of its own, and its exit status.
fn audit(extra: &str, master: &str, arguments: &[&str]) -> (String, bool) {
    let authority = Authority::new("Test CA");
    let site = Site::new(&authority, extra);
    let issued = authority.issue("mx.site.test", KeyKind::Rsa2048);
    site.write("leaf.pem", &issued.certificate_pem);
    site.write("full.pem", &(issued.certificate_pem.clone() + &authority.certificate_pem));
    site.write("wrong.pem", &(authority.certificate_pem.clone() + &issued.certificate_pem));
    site.write("key.pem", &issued.key_pem);
    site.write(
        "old.log",
        "x postfix/smtpd[1]: Anonymous TLS connection established from new.test[192.0.2.2]: TLSv1.3 with cipher X\n\
         x postfix/smtp[1]: A: to=<a@plain.test>, relay=x, delays=0/0/0/0, tls=may:none, dsn=2.0.0, status=sent (ok)\n",
    );
    site.write("master.cf", &format!("{master}\nsmtp unix - - n - - smtp\n"));
    let root = site.dir.path().display().to_string();
    let arguments: Vec<String> = arguments.iter().map(|text| text.replace("DIR", &root)).collect();
    let words: Vec<&str> = ["audit"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    let output = site.run(&words, "");
    (String::from_utf8(output.stdout).unwrap().replace(&root, "DIR"), output.status.success())
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in\n{text}");
    }
}

const PUBLIC: &str = "smtp inet n - n - - smtpd";

#[test]
fn a_sound_configuration_has_no_warning() {
    let (text, sound) = audit(
        "smtp_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_CAfile = DIR/ca.pem\n\
         tls_medium_cipherlist = ECDHE+AESGCM:ECDHE+CHACHA20",
        PUBLIC,
        &[],
    );
    assert!(sound, "{text}");
    says(&text, &["level may", "(in force at this level): TLSv1.2, TLSv1.3", "profile intermediate: pass"]);
    says(&text, &["certificate DIR/server.pem: for localhost; issued by Test CA; ", "DIR/server.pem: OK"]);
    says(&text, &["is not for mx.site.test (myhostname)", "your own list: it takes the place of the grade"]);
}

#[test]
fn the_two_pairs_of_protocols_and_ciphers() {
    let lists = "smtpd_tls_protocols = !SSLv2\nsmtpd_tls_mandatory_protocols = TLSv1.2, !TLSv1, !TLSv1.1\nsmtpd_tls_ciphers = high\n\
                 smtpd_tls_mandatory_ciphers = high\nsmtpd_tls_mandatory_exclude_ciphers = AES128";
    let (text, _) = audit(lists, PUBLIC, &[]);
    says(
        &text,
        &["smtpd_tls_protocols = !SSLv2 (in force at this level)", "SSLv3 not available in this build"],
    );
    says(&text, &["smtpd_tls_mandatory_protocols = TLSv1.2, !TLSv1, !TLSv1.1: unused at this level"]);
    let encrypt = format!("{PUBLIC} -o smtpd_tls_security_level=encrypt");
    let (text, sound) = audit(lists, &encrypt, &["-l", "DIR/old.log"]);
    assert!(!sound, "{text}");
    says(
        &text,
        &["mandatory TLS on port 25", "TLS 1.3 is off", "smtpd_tls_ciphers = high: unused at this level"],
    );
    says(&text, &["TLS_AES_128_GCM_SHA256 can still be negotiated", "profile intermediate: fail"]);
    says(&text, &["1 clients of the log spoke TLSv1.3 and would be refused: new.test"]);
}

#[test]
fn chains_and_keys() {
    let files = |name: &str| {
        audit(
            &format!("smtpd_tls_chain_files =\nsmtpd_tls_cert_file = DIR/{name}\nsmtpd_tls_key_file = DIR/key.pem\nsmtpd_tls_CAfile = DIR/ca.pem"),
            PUBLIC,
            &[],
        )
        .0
    };
    says(
        &files("leaf.pem"),
        &["DIR/leaf.pem: OK", "key DIR/key.pem can be read by more than its owner (mode 0644)"],
    );
    says(&files("full.pem"), &["root included, ", " bytes per handshake", "DIR/full.pem: OK"]);
    says(&files("wrong.pem"), &["wrong order: certificate 2"]);
    says(&files("absent.pem"), &["warning: certificate DIR/absent.pem: No such file"]);
    let (text, _) = audit(
        "smtpd_tls_chain_files =\nsmtpd_tls_cert_file = DIR/leaf.pem\nsmtpd_tls_key_file = DIR/key.pem",
        PUBLIC,
        &[],
    );
    says(&text, &["chain incomplete", "a verifying client would refuse it: error 20 at 0 depth lookup"]);
}

#[test]
fn clients_logs_and_wrappers() {
    let (text, _) = audit(
        "smtpd_tls_ask_ccert = yes\nsmtpd_tls_loglevel = 3\nsmtpd_tls_wrappermode = yes\ntls_append_default_CA = no",
        PUBLIC,
        &[],
    );
    says(
        &text,
        &["client certificates are asked for on port 25", "no authority is trusted for client certificates"],
    );
    says(&text, &["smtpd_tls_loglevel = 3 is for finding faults", "makes port 25 TLS only"]);
    let (text, _) = audit(
        "smtpd_tls_ask_ccert = yes\ntls_append_default_CA = yes\nsmtpd_recipient_restrictions = permit_tls_all_clientcerts, reject",
        PUBLIC,
        &[],
    );
    says(&text, &["permit_tls_all_clientcerts with the public authorities"]);
}

#[test]
fn the_way_out() {
    let (text, _) = audit(
        "smtp_tls_security_level = encrypt\nsmtp_tls_note_starttls_offer = yes",
        PUBLIC,
        &["-l", "DIR/old.log"],
    );
    says(&text, &["level encrypt", "smtp_tls_note_starttls_offer: no effect at this level"]);
    says(&text, &["mail to servers without STARTTLS waits", "certificates are not verified"]);
    says(&text, &["mail to 1 recently seen plaintext-only domains will be deferred: plain.test"]);
    let (text, _) = audit("smtp_tls_security_level = secure\nsmtp_tls_CAfile =", PUBLIC, &[]);
    says(&text, &["no authority is trusted, so no server is verified"]);
}
