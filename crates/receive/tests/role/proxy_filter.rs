//! A filter before the queue with a script. What it hears, and what clients hear of it, is what was seen of Postfix.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::common::{PLAIN, Queue, Running};

/// A server that says no to lines with `refuse`, hangs up at `hang`, and has its word about the content.
fn filter(end: &'static str) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut in_content = false;
            stream.write_all(b"220 proxy ESMTP\r\n").unwrap();
            while let Some(Ok(line)) = lines.next() {
                let reply = match line.get(..4).unwrap_or_default() {
                    _ if in_content && line != "." => "",
                    "EHLO" => {
                        "250-proxy\r\n250-8BITMIME\r\n250 XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT\r\n"
                    }
                    "DATA" => "354 go\r\n",
                    _ if line == "." => end,
                    _ if line.contains("hang") => "hang",
                    _ if line.contains("refuse") => "554-5.7.1 proxy\r\n554 5.7.1 says no\r\n",
                    _ => "250 2.1.0 proxy ok\r\n",
                };
                in_content = (in_content || line == "DATA") && line != ".";
                ears.lock().unwrap().push(line);
                if reply == "hang" || stream.write_all(reply.as_bytes()).is_err() {
                    break;
                }
            }
        }
    });
    (port, heard)
}

fn talk(role: &Running, lines: &[(&str, &str)]) {
    let mut client = role.client();
    client.reply();
    for (line, expected) in lines {
        let reply = client.say(line);
        assert!(reply.starts_with(expected), "{line}: {reply:?}, not {expected:?}");
    }
}

fn role_with(port: u16) -> Running {
    Running::start(
        &format!("smtpd_proxy_filter = 127.0.0.1:{port}\nsmtpd_proxy_timeout = 5s"),
        PLAIN,
        Queue::IsGone,
        &[],
    )
}

#[test]
fn the_filter_hears_the_transaction_and_has_the_last_word() {
    let (port, heard) = filter("250 2.0.0 proxy says ok as 77\r\n");
    let role = role_with(port);
    talk(
        &role,
        &[
            ("EHLO h.test", "250"),
            ("MAIL FROM:<a@b.test> BODY=8BITMIME SIZE=100", "250 2.1.0 Ok"),
            ("RCPT TO:<user@example.test>", "250 2.1.5 Ok"),
            ("RCPT TO:<nobody@example.test>", "550 5.1.1"),
            ("RCPT TO:<other@example.test> NOTIFY=refuse", "501 5.5.4"),
            ("RCPT TO:<other@example.test> ORCPT=rfc822;refuse@x", "554-5.7.1 proxy|554 5.7.1 says no"),
            ("DATA", "354 End data"),
            ("Subject: x\r\n\r\n..hello\r\n.", "250 2.0.0 proxy says ok as 77"),
            ("QUIT", "221"),
        ],
    );
    let log = role.log_with("disconnect from");
    for line in [
        "NOQUEUE: client=unknown[127.0.0.1]\n",
        &format!(
            "warning: proxy 127.0.0.1:{port} rejected \"RCPT TO:<other@example.test> ORCPT=rfc822;refuse@x\": \
                  \"554 5.7.1 proxy says no\""
        ),
        "proxy-accept: END-OF-MESSAGE: 250 2.0.0 proxy says ok as 77; from=<a@b.test> to=<user@example.test> proto=ESMTP \
         helo=<h.test>",
    ] {
        assert!(log.contains(line), "{line}\n{log}");
    }
    let heard = heard.lock().unwrap().clone();
    assert_eq!(heard[0], "EHLO mx.example.test");
    assert!(heard[1].starts_with("XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 PORT="), "{heard:?}");
    assert!(heard[1].ends_with(" HELO=h.test IDENT=[UNAVAILABLE] PROTO=ESMTP SOURCE=REMOTE"), "{heard:?}");
    assert_eq!(heard[2..4], ["MAIL FROM:<a@b.test> BODY=8BITMIME SIZE=100", "RCPT TO:<user@example.test>"]);
    assert_eq!(
        heard[6..8],
        ["Received: from h.test (unknown [127.0.0.1])", "\tby mx.example.test (Postfix) with ESMTP"]
    );
    assert!(heard[8].starts_with("\tfor <user@example.test>; "), "{heard:?}");
    assert_eq!(heard[9..13], ["Subject: x", "", "..hello", "."]);
}

#[test]
fn refusals_and_trouble() {
    let (port, _) = filter("554 5.7.1 spam\r\n");
    let role = role_with(port);
    let content = "A: b\r\n\r\nbody\r\n.";
    let (ehlo, rcpt) = (("EHLO h.test", "250"), "RCPT TO:<user@example.test>");
    let trouble = "451 4.3.0 Error: queue file write error";
    let mail = ("MAIL FROM:<a@b.test>", "250");
    talk(&role, &[ehlo, mail, (rcpt, "250"), ("DATA", "354"), (content, "554 5.7.1 spam"), ("QUIT", "221")]);
    role.log_with("proxy-reject: END-OF-MESSAGE: 554 5.7.1 spam; from=<a@b.test>");
    // MAIL is refused where the filter first hears of it.
    talk(&role, &[ehlo, ("MAIL FROM:<refuse@b.test>", "250"), (rcpt, "554-5.7.1"), ("DATA", "554 5.5.1")]);
    talk(&role, &[ehlo, ("MAIL FROM:<hang@b.test>", "250"), (rcpt, trouble)]);
    role.log_with(&format!("warning: proxy 127.0.0.1:{port}: lost connection"));
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let role = role_with(port);
    talk(&role, &[ehlo, mail, (rcpt, trouble)]);
    role.log_with(&format!("warning: connect to proxy filter 127.0.0.1:{port}: Connection refused"));
}
