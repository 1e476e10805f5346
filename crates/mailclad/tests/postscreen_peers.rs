//! The same dialogues with Postfix's own postscreen(8) and with ours: what the client hears, and what the log says of it,
//! are the same but for times and ports.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{PATIENCE, Site, free_port, wait_for};
use testkit::authority::{Authority, KeyKind};

/// One session.
struct Case {
    name: &'static str,
    /// Lines of main.cf.
    settings: &'static str,
    /// All at once and too early, or line by line after the greeting.
    early: bool,
    said: &'static [&'static str],
}

const DEEP: &str = "postscreen_pipelining_enable = yes\npostscreen_non_smtp_command_enable = yes\n\
                    postscreen_bare_newline_enable = yes\n";
const DEEP_DROP: &str = "postscreen_pipelining_enable = yes\npostscreen_non_smtp_command_enable = yes\n\
                         postscreen_bare_newline_enable = yes\npostscreen_pipelining_action = drop\n\
                         postscreen_bare_newline_action = drop\n";
const LIMITED: &str = "postscreen_pipelining_enable = yes\npostscreen_command_count_limit = 2\n\
                       postscreen_helo_required = yes\npostscreen_disable_vrfy_command = yes\nsoft_bounce = yes\n\
                       postscreen_reject_footer = Ask $server_name as $client_address\n";
const TLS: &str = "postscreen_pipelining_enable = yes\npostscreen_tls_security_level = encrypt\n";

const CASES: &[Case] = &[
    Case { name: "talks early, ignored", settings: "", early: true, said: &["QUIT\r\n"] },
    Case {
        name: "talks early, enforced",
        settings: "postscreen_greet_action = enforce\n",
        early: true,
        said: &["EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@d.test>\r\nVRFY x\r\nQUIT\r\n"],
    },
    Case {
        name: "talks early, dropped",
        settings: "postscreen_greet_action = drop\n",
        early: true,
        said: &["GET / HTTP/1.0\r\n\t\x01\r\n"],
    },
    Case {
        name: "refused by list, enforced",
        settings: "postscreen_access_list = static:reject\npostscreen_denylist_action = enforce\n",
        early: false,
        said: &["HELO c.test", "MAIL FROM:<\"a b\"@c.test>", "RCPT TO:<b@d.test> NOTIFY=NEVER", "QUIT"],
    },
    Case {
        name: "refused by list, dropped",
        settings: "postscreen_access_list = inline:{127.0.0.1=reject}\npostscreen_denylist_action = drop\n",
        early: true,
        said: &[""],
    },
    Case {
        name: "let through by list",
        settings: "postscreen_access_list = permit_mynetworks\n",
        early: false,
        said: &["QUIT"],
    },
    Case {
        name: "may not be allowlisted here",
        settings: "postscreen_allowlist_interfaces = !127.0.0.1, static:all\n",
        early: false,
        said: &["EHLO c.test", "MAIL FROM:<a@c.test>", "RCPT TO:<b@d.test>", "QUIT"],
    },
    Case {
        name: "keeps all rules",
        settings: DEEP,
        early: false,
        said: &[
            "EHLO c.test",
            "NOOP",
            "RCPT TO:<b@d.test>",
            "MAIL",
            "MAIL FROM:<@r.test:a@c.test> SIZE=1",
            "MAIL FROM:<a@c.test>",
            "RCPT b",
            "RCPT TO:<b@d.test>",
            "VRFY",
            "VRFY x",
            "ETRN",
            "ETRN d.test",
            "AUTH PLAIN",
            "XCLIENT x",
            "HELP",
            "RSET",
            "HELO",
            "QUIT",
        ],
    },
    Case {
        name: "pipelines",
        settings: DEEP,
        early: false,
        said: &["EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<b@d.test>\r\nQUIT"],
    },
    Case {
        name: "pipelines, dropped",
        settings: DEEP_DROP,
        early: false,
        said: &["EHLO c.test\r\nRSET\r\nNOOP"],
    },
    Case { name: "bare newline, dropped", settings: DEEP_DROP, early: false, said: &["NOOP\nx"] },
    Case { name: "another protocol", settings: DEEP, early: false, said: &["EHLO c.test", "GET / HTTP/1.0"] },
    Case { name: "a header", settings: DEEP, early: false, said: &["EHLO c.test", "Subject: hello there"] },
    Case { name: "DATA", settings: DEEP, early: false, said: &["EHLO c.test", "MAIL FROM:<>", "DATA"] },
    Case { name: "DATA at once", settings: DEEP, early: false, said: &["DATA"] },
    Case { name: "BDAT", settings: DEEP, early: false, said: &["EHLO c.test", "BDAT 3 LAST\r\nabc"] },
    Case {
        name: "too many commands",
        settings: LIMITED,
        early: false,
        said: &["EHLO c.test", "VRFY x", "NOOP"],
    },
    Case {
        name: "no HELO",
        settings: LIMITED,
        early: false,
        said: &["MAIL FROM:<a@c.test>", "ETRN d.test", "QUIT"],
    },
    Case { name: "soft_bounce", settings: LIMITED, early: true, said: &["QUIT\r\n"] },
    Case {
        name: "TLS is demanded",
        settings: TLS,
        early: false,
        said: &["EHLO c.test", "MAIL FROM:<a@c.test>", "RSET", "NOOP", "FOO", "QUIT"],
    },
];

/// A mail system with postscreen, ours or theirs.
struct Subject {
    port: u16,
    log: PathBuf,
    stop: Box<dyn std::any::Any>,
}

impl Subject {
    fn ours(authority: &Authority, settings: &str) -> Subject {
        let site = Site::new(authority, settings);
        site.write("master.cf", &master_cf(site.port));
        let site = site.start_unheard();
        Subject { port: site.port, log: site.dir.path().join("mail.log"), stop: Box::new(site) }
    }

    fn theirs(authority: &Authority, settings: &str) -> Subject {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display().to_string();
        let port = free_port();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let issued = authority.issue("localhost", KeyKind::EcdsaP256);
        let main = format!(
            "compatibility_level = 3.6\nmyhostname = mx.site.test\nmydestination =\nmynetworks = 127.0.0.0/8\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nqueue_directory = {root}/spool\n\
             data_directory = {root}/data\nmaillog_file = {root}/mail.log\nmaillog_file_prefixes = {root}\n\
             alias_maps =\nalias_database =\nsmtpd_tls_chain_files = {root}/server.pem\n\
             smtpd_tls_security_level = may\n{settings}"
        );
        let more = "tlsmgr unix - - n 1000? 1 tlsmgr\nanvil unix - - n - 1 anvil\nproxymap unix - - n - - proxymap\n\
                    postlog unix-dgram n - n - 1 postlogd\n";
        for (name, text, mode) in [
            ("server.pem", issued.key_pem + &issued.certificate_pem, 0o600),
            ("main.cf", main, 0o644),
            ("master.cf", master_cf(port) + more, 0o644),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
            std::fs::set_permissions(dir.path().join(name), PermissionsExt::from_mode(mode)).unwrap();
        }
        for name in ["spool", "data"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert!(Command::new("chown").args(["postfix", &format!("{root}/data")]).status().unwrap().success());
        let log = dir.path().join("mail.log");
        let postfix = Postfix { dir };
        postfix.command("start");
        assert!(wait_for(|| TcpStream::connect(("127.0.0.1", port)).ok()).is_some());
        Subject { port, log, stop: Box::new(postfix) }
    }

    /// What the client hears, and the lines of the log about it.
    fn run(&self, case: &Case) -> (String, Vec<String>) {
        let before = self.ended_by_smtpd();
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let client = format!("[127.0.0.1]:{}", stream.local_addr().unwrap().port());
        let mut stream = BufReader::new(stream);
        let mut heard = String::new();
        if !case.early {
            next_reply(&mut stream, &mut heard);
        }
        for said in case.said {
            let end = if case.early { "" } else { "\r\n" };
            stream.get_mut().write_all(format!("{said}{end}").as_bytes()).unwrap();
            if !case.early {
                next_reply(&mut stream, &mut heard);
            }
        }
        // Postfix resets the connection where it leaves input unread; we do not. The words are what counts.
        let _ = stream.read_to_string(&mut heard);
        let lines = wait_for(|| {
            let lines = self.lines_about(&client);
            let has =
                |words: &[&str]| lines.iter().any(|line| words.iter().any(|word| line.starts_with(word)));
            // Who talked before his turn may have been handed to smtpd without a word: then that has the last one.
            let handed_over = || case.early && has(&["PREGREET"]) && self.ended_by_smtpd() > before;
            (has(&["DISCONNECT", "PASS", "ALLOWLISTED"]) || handed_over()).then_some(lines)
        });
        (heard, lines.unwrap_or_else(|| panic!("{}: no end in {}", case.name, self.whole_log())))
    }

    fn lines_about(&self, client: &str) -> Vec<String> {
        let log = self.whole_log();
        let about = log.lines().filter(|line| line.contains("/postscreen[") && line.contains(client));
        about.map(|line| normalised(line, client, self.port)).collect()
    }

    fn ended_by_smtpd(&self) -> usize {
        let log = self.whole_log();
        log.lines().filter(|line| line.contains("/smtpd[") && line.contains("]: disconnect from ")).count()
    }

    fn whole_log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// A Postfix of the distribution.
struct Postfix {
    dir: tempfile::TempDir,
}

impl Postfix {
    fn command(&self, word: &str) {
        let dir: &Path = self.dir.path();
        let output = Command::new("/usr/sbin/postfix").arg("-c").arg(dir).arg(word).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.command("stop");
    }
}

fn master_cf(port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n\
         tlsproxy unix - - n - 0 tlsproxy\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\n\
         qmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
         smtp unix - - n - - smtp\nerror unix - - n - - error\nretry unix - - n - - error\nlocal unix - n n - - local\n"
    )
}

fn next_reply(stream: &mut BufReader<TcpStream>, heard: &mut String) {
    loop {
        let mut line = String::new();
        // The end shows in what was heard.
        if stream.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        heard.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    }
}

/// Without time stamp, process number, ports and durations.
fn normalised(line: &str, client: &str, port: u16) -> String {
    let text = line.split_once("]: ").map_or(line, |(_, text)| text);
    let text = text.replace(client, "[CLIENT]").replace(&format!("]:{port}"), "]:PORT");
    match (text.starts_with("PREGREET") || text.starts_with("HANGUP"), text.split_once(" after ")) {
        (true, Some((before, rest))) => {
            let (_time, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            format!("{before} after TIME {rest}")
        }
        _ => text,
    }
}

#[test]
fn dialogues_and_logs_are_the_same() {
    let authority = Authority::new("Test CA");
    let common = "postscreen_greet_wait = 1s\npostscreen_cache_map =\nsmtpd_banner = $myhostname ESMTP\n\
                  smtpd_peername_lookup = no\nsmtpd_forbid_unauth_pipelining = no\n";
    let mut different = Vec::new();
    let mut begin = 0;
    while begin < CASES.len() {
        let settings = CASES[begin].settings;
        let group = CASES[begin..].iter().take_while(|case| case.settings == settings).count();
        let list =
            if settings.contains("postscreen_access_list") { "" } else { "postscreen_access_list =\n" };
        let settings = format!("{common}{list}{settings}");
        let (theirs, ours) = (Subject::theirs(&authority, &settings), Subject::ours(&authority, &settings));
        for case in &CASES[begin..begin + group] {
            let (expected, found) = (theirs.run(case), ours.run(case));
            if expected != found {
                different.push(format!("{}:\nPostfix: {expected:#?}\nours: {found:#?}", case.name));
            }
        }
        drop((theirs.stop, ours.stop));
        begin += group;
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
