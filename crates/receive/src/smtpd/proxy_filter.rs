//! The filter before the queue (smtpd_proxy_filter, SMTPD_PROXY_README): an SMTP server that a message goes to while its client
//! waits, and whose replies the client gets. Nothing of the message is kept here.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use access::{Endpoint, Wire};
use config::{Settings, params};
use mail::client::Forwarded;
use mail::{ClientFacts, Detail, Reply, Status};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::time::timeout;

/// Longest line and most lines of a reply.
const MAX_LINE: u64 = 2048;
const MAX_LINES: usize = 100;
/// RFC 5321 section 4.5.3.1.4: an XFORWARD command has room for this many bytes.
const MAX_COMMAND: usize = 510;

/// The settings of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProxySettings {
    endpoint: Endpoint,
    /// `smtpd_proxy_ehlo`.
    ehlo: String,
    /// `smtpd_proxy_timeout`, for each command and each piece of content.
    timeout: Duration,
}

impl ProxySettings {
    /// `None` without smtpd_proxy_filter. The error is fatal for the service: its mail must not go around the filter.
    pub(crate) fn read(settings: &Settings) -> Result<Option<ProxySettings>, String> {
        let text = settings.get(params::smtpd_proxy_filter).trim();
        if text.is_empty() {
            return Ok(None);
        }
        let directory = settings.get(params::queue_directory);
        Ok(Some(ProxySettings {
            endpoint: endpoint(text, Path::new(directory)).ok_or_else(|| {
                format!("smtpd_proxy_filter = {text}: neither host:port, inet:host:port nor unix:pathname")
            })?,
            ehlo: settings.get(params::smtpd_proxy_ehlo).to_owned(),
            timeout: settings.get(params::smtpd_proxy_timeout),
        }))
    }

    /// As the log names it.
    pub(super) fn name(&self) -> String {
        let name = self.endpoint.to_string();
        name.strip_prefix("inet:").map(str::to_owned).unwrap_or(name)
    }
}

/// One message's connection to the filter.
pub(super) struct ProxyFilter {
    wire: BufStream<Box<dyn Wire>>,
    name: String,
    timeout: Duration,
    content: DotStuffing,
    /// What went wrong with the content: said at its end.
    trouble: Option<String>,
}

/// Why the filter did not take a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// Its own reply.
    Refused(Reply),
    /// It can not be used; the reason is for the log.
    Trouble(String),
}

impl ProxyFilter {
    /// Connects, and brings the transaction as far as MAIL. `is_local` says whose headers are rewritten as local ones.
    pub(super) async fn open(
        settings: &ProxySettings,
        client: &ClientFacts,
        is_local: bool,
        mail: &str,
    ) -> Result<ProxyFilter, NotTaken> {
        let name = settings.name();
        let connected = timeout(settings.timeout, settings.endpoint.connect()).await;
        let wire = match connected {
            Ok(Ok(wire)) => wire,
            Ok(Err(error)) => {
                return Err(NotTaken::Trouble(format!("connect to proxy filter {name}: {error}")));
            }
            Err(_elapsed) => {
                return Err(NotTaken::Trouble(format!("connect to proxy filter {name}: timeout")));
            }
        };
        let mut proxy = ProxyFilter {
            wire: BufStream::new(wire),
            name,
            timeout: settings.timeout,
            content: DotStuffing { at_line_start: true },
            trouble: None,
        };
        let greeting = proxy.reply().await?;
        proxy.wants(greeting, 2, "the greeting")?;
        let offer = proxy.command(&format!("EHLO {}", settings.ehlo), 2).await?;
        for line in xforward(&offer.text, client, is_local) {
            proxy.command(&line, 2).await?;
        }
        proxy.command(mail, 2).await?;
        Ok(proxy)
    }

    /// Sends a command whose reply must be of this class.
    pub(super) async fn command(&mut self, line: &str, class: u16) -> Result<Reply, NotTaken> {
        let bytes = format!("{line}\r\n");
        self.send(bytes.as_bytes(), true).await.map_err(|why| self.trouble_with(&why))?;
        let reply = self.reply().await?;
        self.wants(reply, class, line)
    }

    /// Sends content with LF line ends. Trouble is told by [`ProxyFilter::finish`].
    pub(super) async fn content(&mut self, piece: &[u8]) {
        if self.trouble.is_none() {
            let bytes = self.content.encode(piece);
            self.trouble = self.send(&bytes, false).await.err();
        }
    }

    /// Ends the content; gives the filter's word about it, whatever it is.
    pub(super) async fn finish(mut self) -> Result<Reply, NotTaken> {
        let end: &[u8] = if self.content.at_line_start { b".\r\n" } else { b"\r\n.\r\n" };
        if self.trouble.is_none() {
            self.trouble = self.send(end, true).await.err();
        }
        if let Some(why) = self.trouble.take() {
            return Err(self.trouble_with(&why));
        }
        let reply = self.reply().await?;
        // Whether it still hears this is nobody's concern.
        let _ = self.send(b"QUIT\r\n", true).await;
        Ok(reply)
    }

    fn wants(&self, reply: Reply, class: u16, line: &str) -> Result<Reply, NotTaken> {
        match reply.code / 100 {
            code if code == class => Ok(reply),
            4 | 5 => Err(NotTaken::Refused(reply)),
            _ => Err(self.trouble_with(&format!("unexpected reply to {line}: {reply}"))),
        }
    }

    fn trouble_with(&self, why: &str) -> NotTaken {
        NotTaken::Trouble(format!("proxy {}: {why}", self.name))
    }

    async fn send(&mut self, bytes: &[u8], flush: bool) -> Result<(), String> {
        let send = async {
            self.wire.write_all(bytes).await?;
            if flush { self.wire.flush().await } else { Ok(()) }
        };
        in_time(self.timeout, send).await
    }

    async fn reply(&mut self) -> Result<Reply, NotTaken> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            let read = async { (&mut self.wire).take(MAX_LINE).read_until(b'\n', &mut line).await.map(drop) };
            in_time(self.timeout, read).await.map_err(|why| self.trouble_with(&why))?;
            if !line.ends_with(b"\n") {
                return Err(self.trouble_with(if line.is_empty() {
                    "lost connection"
                } else {
                    "a line too long"
                }));
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let goes_on = line.as_bytes().get(3) == Some(&b'-');
            lines.push(line);
            if !goes_on {
                return parse(&lines).ok_or_else(|| self.trouble_with("a reply that is none"));
            }
            if lines.len() >= MAX_LINES {
                return Err(self.trouble_with("a reply without end"));
            }
        }
    }
}

/// The reply for the client when the filter can not be used.
pub(super) fn unusable() -> Reply {
    Reply::new(451, Detail(3, 0), "Error: queue file write error")
}

async fn in_time(limit: Duration, work: impl Future<Output = io::Result<()>>) -> Result<(), String> {
    match timeout(limit, work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err("timeout".into()),
    }
}

fn endpoint(text: &str, queue_directory: &Path) -> Option<Endpoint> {
    match text.starts_with("unix:") || text.starts_with("inet:") {
        true => Endpoint::parse(text, queue_directory),
        false => Endpoint::parse(&format!("inet:{text}"), queue_directory),
    }
}

/// Lines of one reply as a client can be told them.
fn parse(lines: &[String]) -> Option<Reply> {
    let mut reply: Option<Reply> = None;
    for line in lines {
        let code = line.get(..3)?.parse::<u16>().ok().filter(|code| (200..600).contains(code))?;
        let rest = line.get(4..).unwrap_or_default();
        let (detail, words) = match Status::split_from(rest) {
            Some((status, words)) => (Some(status.detail), words),
            None => (None, rest),
        };
        match &mut reply {
            None => reply = Some(Reply { code, detail, text: words.to_owned().into() }),
            Some(reply) => reply.text = format!("{}\n{words}", reply.text).into(),
        }
    }
    reply
}

/// XFORWARD commands (XFORWARD_README) for what the filter's EHLO offers.
fn xforward(offer: &str, client: &ClientFacts, is_local: bool) -> Vec<String> {
    let offered = offer.lines().find_map(|line| {
        let (word, names) = line.split_once(' ')?;
        word.eq_ignore_ascii_case("XFORWARD").then_some(names)
    });
    let offered: Vec<String> = offered.unwrap_or_default().split(' ').map(str::to_ascii_uppercase).collect();
    let known = |text: Option<&str>| match text {
        None | Some("unknown" | "") => "[UNAVAILABLE]".to_owned(),
        Some(text) => xtext(text),
    };
    // What another filter said of the client behind it is passed on.
    let forwarded = client.forwarded.as_deref();
    let facts = match forwarded.filter(|forwarded| forwarded.of_client) {
        Some(forwarded) => forwarded.clone(),
        None => Forwarded {
            of_client: true,
            name: Some(client.name.clone()),
            address: client.address,
            port: Some(client.port),
            helo: client.helo.clone(),
            protocol: Some(if client.esmtp { "ESMTP" } else { "SMTP" }.to_owned()),
            ident: forwarded.and_then(|forwarded| forwarded.ident.clone()),
            local: forwarded.and_then(|forwarded| forwarded.local).or(Some(is_local)),
        },
    };
    let address = match facts.address {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("IPV6:{address}"),
        None => "[UNAVAILABLE]".to_owned(),
    };
    let source = if facts.local.unwrap_or(is_local) { "LOCAL" } else { "REMOTE" };
    let attributes = [
        ("NAME", known(facts.name.as_deref())),
        ("ADDR", address),
        ("PORT", facts.port.map_or("[UNAVAILABLE]".to_owned(), |port| port.to_string())),
        ("HELO", known(facts.helo.as_deref())),
        ("IDENT", known(facts.ident.as_deref())),
        ("PROTO", known(facts.protocol.as_deref())),
        ("SOURCE", source.to_owned()),
    ];
    let mut lines: Vec<String> = Vec::new();
    for (name, value) in attributes.iter().filter(|(name, _)| offered.iter().any(|offered| offered == name)) {
        let word = format!(" {name}={value}");
        match lines.last_mut() {
            Some(line) if line.len() + word.len() <= MAX_COMMAND => line.push_str(&word),
            _ => lines.push(format!("XFORWARD{word}")),
        }
    }
    lines
}

/// RFC 3461 section 4.
fn xtext(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'!'..=b'~' if byte != b'+' && byte != b'=' => out.push(char::from(byte)),
            _ => out.push_str(&format!("+{byte:02X}")),
        }
    }
    out
}

/// RFC 5321 section 4.5.2.
struct DotStuffing {
    at_line_start: bool,
}

impl DotStuffing {
    fn encode(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + piece.len() / 16);
        for line in piece.split_inclusive(|&byte| byte == b'\n') {
            if self.at_line_start && line.starts_with(b".") {
                out.push(b'.');
            }
            self.at_line_start = line.ends_with(b"\n");
            match line.strip_suffix(b"\n") {
                Some(line) => {
                    out.extend_from_slice(line);
                    out.extend_from_slice(b"\r\n");
                }
                None => out.extend_from_slice(line),
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_forwarded() {
        let mut client = ClientFacts::new(Some("2001:db8::1".parse().unwrap()), 1025, None);
        client.helo = Some("a=b".into());
        for (offer, expected) in [
            (
                "proxy\nXFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT",
                &[
                    "XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=1025 HELO=a+3Db IDENT=[UNAVAILABLE] PROTO=SMTP \
                   SOURCE=REMOTE",
                ][..],
            ),
            ("proxy\nxforward addr", &["XFORWARD ADDR=IPV6:2001:db8::1"]),
            ("proxy\n8BITMIME", &[]),
        ] {
            assert_eq!(xforward(offer, &client, false), expected, "{offer}");
        }
        client.helo = Some("h".repeat(450));
        let lines = xforward("p\nXFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT", &client, true);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.len() <= MAX_COMMAND));
    }

    #[test]
    fn replies() {
        let parse = |text: &str| parse(&text.lines().map(str::to_owned).collect::<Vec<_>>());
        for (text, expected) in [
            ("250 2.0.0 ok as 1", Some(Reply::new(250, Detail(0, 0), "ok as 1"))),
            ("554-5.7.1 a\n554 5.7.1 b", Some(Reply::new(554, Detail(7, 1), "a\nb"))),
            ("354", Some(Reply::bare(354, ""))),
            ("hello", None),
            ("99", None),
            ("999 x", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn dots_are_doubled_wherever_pieces_end() {
        for (pieces, expected) in
            [(&["a\n.b\n"][..], "a\r\n..b\r\n"), (&["a", "\n", ".", "b"], "a\r\n..b"), (&[".", "."], "...")]
        {
            let mut stuffing = DotStuffing { at_line_start: true };
            let out: Vec<u8> = pieces.iter().flat_map(|piece| stuffing.encode(piece.as_bytes())).collect();
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{pieces:?}");
        }
    }

    #[test]
    fn endpoints() {
        for (text, expected) in [
            ("127.0.0.1:10025", Some("inet:127.0.0.1:10025")),
            ("inet:localhost:10025", Some("inet:localhost:10025")),
            ("unix:private/filter", Some("unix:/spool/private/filter")),
            ("10025", Some("inet:localhost:10025")),
            ("unix:", None),
        ] {
            let endpoint = endpoint(text, Path::new("/spool")).map(|endpoint| endpoint.to_string());
            assert_eq!(endpoint.as_deref(), expected, "{text}");
        }
    }
}
