//! A scanner's view of what the guides promise: testssl.sh (Debian's package) against the cipher and protocol settings of
//! guides 1, 2 and 4. Continuous integration installs it; a missing one is a failure here.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::collections::BTreeMap;
use std::process::Command;

use support::Site;
use testkit::authority::Authority;

/// What a guide promises: findings of testssl.sh, by its name for each question.
struct Guide {
    name: &'static str,
    lines: &'static str,
    promises: &'static [(&'static str, &'static str)],
}

/// What every server of ours must show, whatever the guide.
const ALWAYS: &[(&str, &str)] = &[
    ("SSLv2", "not offered"),
    ("SSLv3", "not offered"),
    ("TLS1_2", "offered"),
    ("TLS1_3", "offered with final"),
    ("cipherlist_NULL", "not offered"),
    ("cipherlist_EXPORT", "not offered"),
    ("cipherlist_LOW", "not offered"),
    ("cipherlist_3DES_IDEA", "not offered"),
    ("cipherlist_STRONG", "offered"),
    ("PFS", "offered"),
    ("heartbleed", "not vulnerable, no heartbeat extension"),
    ("CCS", "not vulnerable"),
    ("ROBOT", "not vulnerable"),
    ("secure_renego", "supported"),
    ("secure_client_renego", "not vulnerable"),
    ("CRIME_TLS", "not vulnerable"),
    ("POODLE_SSL", "not vulnerable, no SSLv3"),
    ("SWEET32", "not vulnerable"),
    ("FREAK", "not vulnerable"),
    ("LOGJAM", "not vulnerable, no DH EXPORT ciphers,"),
    ("RC4", "not vulnerable"),
];

const GUIDES: &[Guide] = &[
    Guide {
        name: "guide 1",
        lines: "smtpd_tls_security_level = encrypt\n\
             smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3\n\
             smtpd_tls_mandatory_ciphers = high\n\
             smtpd_tls_exclude_ciphers = EXP, MEDIUM, LOW, DES, 3DES, SSLv2\n\
             tls_high_cipherlist = kEECDH:+kEECDH+SHA:kEDH:+kEDH+SHA:+kEDH+CAMELLIA:kECDH:+kECDH+SHA:kRSA:+kRSA+SHA:\
             +kRSA+CAMELLIA:!aNULL:!eNULL:!SSLv2:!RC4:!MD5:!DES:!EXP:!SEED:!IDEA:!3DES",
        promises: &[("cipherlist_aNULL", "not offered")],
    },
    Guide {
        name: "guide 2",
        lines: "smtpd_tls_security_level = may\n\
             smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n\
             tls_ssl_options = NO_RENEGOTIATION\n\
             tls_preempt_cipherlist = yes",
        promises: &[("TLS1", "not offered"), ("TLS1_1", "not offered"), ("cipher_order", "server")],
    },
    Guide {
        name: "guide 4",
        lines: "smtpd_tls_security_level = encrypt\n\
             smtpd_tls_mandatory_ciphers = high\n\
             smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n\
             tls_preempt_cipherlist = no\n\
             tls_high_cipherlist = ECDHE:DHE:kGOST:!aNULL:!eNULL:!RC4:!MD5:!3DES:!AES128:!CAMELLIA128",
        promises: &[
            ("TLS1", "not offered"),
            ("TLS1_1", "not offered"),
            ("cipherlist_aNULL", "not offered"),
            // No suite without forward secrecy: a guide that lists ECDHE and DHE alone means it.
            ("cipherlist_AVERAGE", "offered"),
        ],
    },
];

#[test]
fn a_scanner_finds_what_the_guides_promise() {
    let authority = Authority::new("Test CA");
    std::thread::scope(|scope| {
        for guide in GUIDES {
            let site = Site::new(&authority, &format!("{}\nsmtpd_error_sleep_time = 0", guide.lines)).start();
            scope.spawn(move || {
                let found = scan(&site);
                for (question, expected) in ALWAYS.iter().chain(guide.promises) {
                    let answer = found.get(*question).map_or("(not asked)", String::as_str);
                    assert!(answer.starts_with(expected), "{}: {question}: {answer}", guide.name);
                }
            });
        }
    });
}

/// The findings of a scan: question and answer.
fn scan(site: &Site) -> BTreeMap<String, String> {
    let report = site.dir.path().join("scan.json");
    let output = Command::new("testssl")
        .args(["--quiet", "--color", "0", "--warnings", "off", "-t", "smtp", "-p", "-s", "-f", "-P"])
        .args(["--heartbleed", "--ccs", "--robot", "--renegotiation", "--crime", "--poodle"])
        .args(["--sweet32", "--freak", "--logjam", "--rc4"])
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("127.0.0.1:{}", site.port))
        .output()
        .unwrap_or_else(|error| panic!("testssl, of Debian's package testssl.sh: {error}"));
    let text = std::fs::read_to_string(&report)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)));
    let list: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let word = |entry: &serde_json::Value, key: &str| entry[key].as_str().map(str::to_owned);
    list.iter().filter_map(|entry| Some((word(entry, "id")?, word(entry, "finding")?))).collect()
}
