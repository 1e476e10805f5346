//! `postfix logrotate`: no line is lost, whoever writes, and mistakes are told as Postfix tells them.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::path::PathBuf;
use std::process::Command;

use support::{Client, Site, wait_for};
use testkit::authority::Authority;

const CLIENTS: usize = 4;
const SESSIONS: usize = 60;

fn site(extra: &str) -> Site {
    Site::new(&Authority::new("Test CA"), extra)
}

/// The log and what was rotated from it, in the order of their names.
fn logs(site: &Site) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(site.dir.path()).unwrap().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("mail.log")).collect();
    paths.sort();
    paths
}

fn rotate(site: &Site) -> (Option<i32>, String) {
    let output = site.run(&["postfix", "logrotate"], "");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

#[test]
fn no_line_is_lost_while_clients_come_and_go() {
    let site = site("smtpd_peername_lookup = no\nmaillog_file_rotate_suffix = %%Y-%Y\nsmtpd_client_connection_rate_limit = 0\nmaillog_file_permissions = 0640\n")
        .start();
    let port = site.port;
    // One that is there all the time.
    let mut lasting = Client::connect(port);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..SESSIONS {
                    let mut client = Client::connect(port);
                    client.must("EHLO client.test", "250");
                    client.must("QUIT", "221");
                }
            })
        })
        .collect();
    assert_eq!(rotate(&site), (Some(0), String::new()));
    clients.into_iter().for_each(|client| client.join().unwrap());
    lasting.must("QUIT", "221");
    let [new, old] = &logs(&site)[..] else { panic!("{:?}", logs(&site)) };
    let name = old.file_name().unwrap().to_string_lossy();
    assert!(name.starts_with("mail.log.%Y-2") && name.ends_with(".gz"), "{name}");
    let old = Command::new("gzip").arg("-dc").arg(old).output().unwrap();
    let old = String::from_utf8(old.stdout).unwrap();
    let count = |word: &str| {
        let in_both = [old.as_str(), &site.log()].map(|text| text.matches(word).count());
        in_both.iter().sum::<usize>()
    };
    // The one that tells whether the system serves is among them.
    let wanted = CLIENTS * SESSIONS + 2;
    let complete = wait_for(|| (count("]: disconnect from ") == wanted).then_some(()));
    assert!(complete.is_some(), "{} of {wanted}", count("]: disconnect from "));
    assert_eq!(count("]: connect from "), wanted);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&new.metadata().unwrap()) & 0o777, 0o640);
    assert!(site.log().contains("disconnect from"), "the lasting session ends in the new file");
}

#[test]
fn a_stopped_system_and_a_file_that_others_renamed() {
    let mut site = site("maillog_file_compressor = true\nmaillog_file_rotate_suffix = old\n").start();
    // As logrotate(8) does: the file is renamed, and nobody tells us.
    std::fs::rename(site.dir.path().join("mail.log"), site.dir.path().join("mail.log.1")).unwrap();
    assert!(wait_for(|| site.dir.path().join("mail.log").exists().then_some(())).is_some());
    Client::connect(site.port).must("QUIT", "221");
    site.wait_for_log(&["disconnect from"]);
    site.stop();
    assert_eq!(rotate(&site), (Some(0), String::new()));
    let names: Vec<_> = logs(&site).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["mail.log.1", "mail.log.old"]);
}

#[test]
fn mistakes() {
    for (extra, expected) in [
        ("maillog_file =\n", "empty 'maillog_file' parameter value - logfile rotation failed"),
        ("maillog_file = /dev/stdout\n", "not rotating '/dev/stdout'"),
        ("", "logfile 'DIR/mail.log' rotation failed: cannot rename it to DIR/mail.log."),
    ] {
        let site = site(&format!("{extra}maillog_file_rotate_suffix = old\n"));
        let (code, said) = rotate(&site);
        assert_eq!(code, Some(1), "{extra}");
        let expected = expected.replace("DIR", &site.dir.path().display().to_string());
        assert!(said.starts_with(&format!("postfix/postfix-script: fatal: {expected}")), "{said}");
    }
    for (compressor, expected) in
        [("false", "false: exit status: 1"), ("/nonexistent/gzip", "/nonexistent/gzip: ")]
    {
        let site =
            site(&format!("maillog_file_compressor = {compressor}\nmaillog_file_rotate_suffix = old\n"));
        site.write("mail.log", "a line\n");
        let (code, said) = rotate(&site);
        assert_eq!(code, Some(1), "{compressor}");
        assert!(said.contains(&format!("rotation failed: {expected}")), "{said}");
        assert_eq!(std::fs::read_to_string(site.dir.path().join("mail.log.old")).unwrap(), "a line\n");
    }
}
