//! Reading transcripts; `../transcripts/README.md` says how they are written.

// Each test program uses its own part of this.
#![allow(dead_code)]

use std::path::Path;

use mail::tls_facts::Trust;
use mail::{Detail, Reply, Status, TlsFacts};

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// `#` and everything that is no other line.
    Comment,
    /// `option: NAME = VALUE`.
    Option(String, String),
    /// `verdict: STAGE ABOUT: REPLY`.
    Verdict(String, String, String),
    /// What the peer sends, without its line end.
    Peer(String),
    /// What the peer sends, byte for byte.
    Raw(Vec<u8>),
    /// What must come out of the session.
    Expect(String),
    /// `-- tls --`.
    Tls,
    /// `-- lost --`.
    Lost,
    /// `-- timeout --`.
    Timeout,
}

impl Line {
    /// Something that happens.
    pub(crate) fn is_event(&self) -> bool {
        !matches!(self, Line::Comment | Line::Option(..) | Line::Verdict(..))
    }
}

/// All transcripts of a side: `server`, where the peer is `C:`, or `client`, where it is `S:`.
pub(crate) fn transcripts(side: &str) -> Vec<(String, Vec<Line>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(side);
    let peer = if side == "server" { "C: " } else { "S: " };
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the transcripts are in the crate")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("UTF-8");
            let name = path.file_stem().expect("has a name").to_string_lossy().into_owned();
            (name, text.lines().map(|line| parse(line, peer)).collect())
        })
        .collect()
}

fn parse(line: &str, peer: &str) -> Line {
    if let Some(option) = line.strip_prefix("option: ") {
        let (name, value) = option.split_once(" = ").expect("NAME = VALUE");
        return Line::Option(name.into(), value.into());
    }
    if let Some(verdict) = line.strip_prefix("verdict: ") {
        let (who, text) = verdict.split_once(": ").expect("STAGE ABOUT: REPLY");
        let (stage, about) = who.split_once(' ').unwrap_or((who, ""));
        return Line::Verdict(stage.into(), about.into(), text.into());
    }
    if let Some(text) = line.strip_prefix(peer) {
        return Line::Peer(text.into());
    }
    if let Some(text) = line.strip_prefix("raw: ") {
        return Line::Raw(unescape(text));
    }
    match line {
        "-- tls --" => Line::Tls,
        "-- lost --" => Line::Lost,
        "-- timeout --" => Line::Timeout,
        "" => Line::Comment,
        comment if comment.starts_with('#') => Line::Comment,
        expected => Line::Expect(expected.into()),
    }
}

/// `\r`, `\n`, `\0`, `\\`, `\xHH`, and `*N` behind a character to repeat it.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.to_string().as_bytes());
            continue;
        }
        match chars.next().expect("something behind the backslash") {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            '0' => out.push(0),
            'x' => {
                let hex: String = chars.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&hex, 16).expect("two digits"));
            }
            '*' => {
                let count: String = std::iter::from_fn(|| chars.next_if(char::is_ascii_digit)).collect();
                let byte = *out.last().expect("something to repeat");
                out.resize(out.len() + count.parse::<usize>().expect("a number") - 1, byte);
            }
            other => out.extend_from_slice(other.to_string().as_bytes()),
        }
    }
    out
}

/// Bytes as transcripts show them.
pub(crate) fn escape(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|&b| std::ascii::escape_default(b)).map(char::from).collect()
}

/// `550 5.1.1 text`.
pub(crate) fn reply(text: &str) -> Reply {
    let (code, rest) = text.split_once(' ').expect("a code");
    let code = code.parse().expect("a number");
    match Status::split_from(rest) {
        Some((status, rest)) => Reply::new(code, Detail(status.detail.0, status.detail.1), rest.to_owned()),
        None => Reply::bare(code, rest.to_owned()),
    }
}

/// Some handshake.
pub(crate) fn tls_facts() -> TlsFacts {
    TlsFacts {
        protocol: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        used_bits: 256,
        algorithm_bits: 256,
        key_exchange: None,
        server_signature: None,
        client_signature: None,
        trust: Trust::Anonymous,
        peer: None,
        untrusted_reason: None,
        asked_ccert: false,
        sni: None,
        resumed: false,
    }
}
