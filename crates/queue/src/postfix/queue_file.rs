//! One queue file of Postfix: envelope, content and what was extracted from it (cleanup(8), qmgr(8)), as a message of ours, and a
//! message of ours as such a file.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mail::client::SaslFacts;
use mail::{
    Address, BodyType, ClientFacts, DataSize, Envelope, Message, Notify, Origin, QueueId, Recipient, Return,
};

use super::record::{Damaged, Reader, write};

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct QueueFile {
    pub(crate) message: Message,
    pub(crate) content: Vec<u8>,
    /// Where in the file each recipient stands, in the order of the envelope.
    pub(crate) offsets: Vec<usize>,
    /// Every recipient that has been in the file, also those that are done, by place.
    pub(crate) all_recipients: Vec<(usize, Address)>,
}

/// `sendopts` of the size record.
const SMTPUTF8: u32 = 0b0000_1111;
const REQUIRETLS_ESMTP: u32 = 0b0010_0000;

/// Lines of content longer than this are written in pieces.
const LINE: usize = 2048;

/// What stands before a recipient and belongs to it.
#[derive(Default)]
struct Before {
    original: Option<Address>,
    orcpt: Option<String>,
    notify: Notify,
}

/// Reads a whole file.
pub(crate) fn parse(id: &QueueId, bytes: &[u8]) -> Result<QueueFile, Damaged> {
    let mut reader = Reader::new(bytes);
    let mut envelope = Envelope::default();
    let mut arrival = None;
    let mut filter = None;
    let mut sender = None;
    let mut attributes = Attributes::default();
    let mut before = Before::default();
    let (mut offsets, mut all_recipients) = (Vec::new(), Vec::new());
    let mut content = Vec::new();
    let mut seen_content = false;
    loop {
        let record = reader.next()?;
        let text = || String::from_utf8_lossy(record.data).into_owned();
        let address = || {
            Address::internal(text()).map_err(|_| {
                Damaged(format!("has an address that can not be one, at byte {}", record.offset))
            })
        };
        match record.kind {
            b'C' => envelope_options(&text(), &mut envelope),
            b'T' => arrival = Some(time(&text())?),
            b'S' => sender = Some(address()?),
            b'L' => filter = Some(text()).filter(|text| !text.is_empty()),
            b'V' => envelope.verp = Some(text()),
            b'A' => {
                let text = text();
                let (name, value) = text.split_once('=').unwrap_or((&text, ""));
                match name {
                    "dsn_orig_rcpt" => before.orcpt = Some(value.to_owned()),
                    "notify_flags" => before.notify = notify(value),
                    _ => attributes.take(name, value, &mut envelope),
                }
            }
            b'o' => before.orcpt = Some(text()),
            b'n' => before.notify = notify(&text()),
            b'i' => envelope.envid = Some(text()),
            b'<' => envelope.ret = ret(&text()),
            b'O' => before.original = Some(address()?),
            b'R' | b'D' | b'/' => {
                let address = address()?;
                let Before { original, orcpt, notify } = std::mem::take(&mut before);
                all_recipients.push((record.offset, address.clone()));
                if record.kind == b'R' {
                    offsets.push(record.offset);
                    let original = original.filter(|original| !original.is_null()).unwrap_or(address.clone());
                    // The usual value says no more than the address.
                    let usual = format!("rfc822;{original}");
                    let orcpt = orcpt.filter(|orcpt| !orcpt.is_empty() && *orcpt != usual);
                    envelope.recipients.push(Recipient { address, original, orcpt, notify });
                }
            }
            b'M' if !seen_content => {
                seen_content = true;
                content = read_content(&mut reader)?;
            }
            b'E' => break,
            // Full names, warning times, flags, counts: nothing that a delivery needs.
            _ => {}
        }
    }
    if !seen_content {
        return Err(Damaged("has no content".into()));
    }
    envelope.sender = sender.ok_or_else(|| Damaged("has no sender".into()))?;
    let message = Message {
        id: *id,
        envelope,
        origin: attributes.origin(),
        arrival: arrival.ok_or_else(|| Damaged("has no arrival time".into()))?,
        size: content.len() as u64,
        data_size: DataSize::of(&content, LINE),
        checksum: crc32c::crc32c(&content),
        filter,
    };
    Ok(QueueFile { message, content, offsets, all_recipients })
}

/// From the start of the content to the record that ends it.
fn read_content(reader: &mut Reader<'_>) -> Result<Vec<u8>, Damaged> {
    let mut content = Vec::new();
    loop {
        let record = reader.next()?;
        match record.kind {
            b'N' => {
                content.extend_from_slice(record.data);
                content.push(b'\n');
            }
            b'L' => content.extend_from_slice(record.data),
            b'X' => return Ok(content),
            other => {
                return Err(Damaged(format!(
                    "has a record of type \"{}\" in the content, at byte {}",
                    char::from(other).escape_default(),
                    record.offset
                )));
            }
        }
    }
}

/// `SIZE OFFSET RECIPIENTS FLAGS LENGTH SENDOPTS`; the last is missing in old files.
fn envelope_options(text: &str, envelope: &mut Envelope) {
    let options: u32 = text.split_whitespace().nth(5).and_then(|word| word.parse().ok()).unwrap_or(0);
    envelope.smtputf8 = options & SMTPUTF8 != 0;
    envelope.require_tls = options & REQUIRETLS_ESMTP != 0;
}

/// `SECONDS` or `SECONDS MICROSECONDS`.
fn time(text: &str) -> Result<SystemTime, Damaged> {
    let mut words = text.split_whitespace().map(str::parse::<u64>);
    match (words.next(), words.next()) {
        (Some(Ok(seconds)), micros) => {
            let micros = micros.and_then(Result::ok).unwrap_or(0).min(999_999);
            Ok(UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros))
        }
        _ => Err(Damaged(format!("has an arrival time that makes no sense: {text}"))),
    }
}

fn ret(text: &str) -> Option<Return> {
    match text.trim() {
        "1" => Some(Return::Full),
        "2" => Some(Return::Headers),
        _ => None,
    }
}

fn notify(text: &str) -> Notify {
    let bits: u32 = text.trim().parse().unwrap_or(0);
    Notify { never: bits & 1 != 0, success: bits & 2 != 0, failure: bits & 4 != 0, delay: bits & 8 != 0 }
}

fn notify_bits(notify: Notify) -> u32 {
    u32::from(notify.never)
        | u32::from(notify.success) << 1
        | u32::from(notify.failure) << 2
        | u32::from(notify.delay) << 3
}

/// Named attributes about where a message comes from.
#[derive(Default)]
struct Attributes {
    client_name: Option<String>,
    client_address: Option<String>,
    client_port: Option<String>,
    reverse_name: Option<String>,
    helo: Option<String>,
    protocol: Option<String>,
    sasl_method: Option<String>,
    sasl_username: Option<String>,
    sasl_sender: Option<String>,
}

impl Attributes {
    fn take(&mut self, name: &str, value: &str, envelope: &mut Envelope) {
        let value_if_known =
            || Some(value.to_owned()).filter(|value| !value.is_empty() && value != "unknown");
        match name {
            "encoding" => {
                envelope.body = match value {
                    "8bit" => BodyType::EightBitMime,
                    "7bit" => BodyType::SevenBit,
                    _ => BodyType::Unspecified,
                };
            }
            "envelope_id" => envelope.envid = Some(value.to_owned()),
            "ret_flags" => envelope.ret = ret(value),
            "client_name" => self.client_name = value_if_known(),
            "client_address" => self.client_address = value_if_known(),
            "client_port" => self.client_port = value_if_known(),
            "reverse_client_name" => self.reverse_name = value_if_known(),
            "helo_name" => self.helo = value_if_known(),
            "protocol_name" => self.protocol = value_if_known(),
            "sasl_method" => self.sasl_method = value_if_known(),
            "sasl_username" => self.sasl_username = value_if_known(),
            "sasl_sender" => self.sasl_sender = value_if_known(),
            _ => {}
        }
    }

    fn origin(self) -> Origin {
        let Some(address) = self.client_address.as_deref().and_then(|text| text.parse().ok()) else {
            return Origin::Internal;
        };
        let port = self.client_port.and_then(|port| port.parse().ok()).unwrap_or(0);
        let mut client = ClientFacts::new(Some(address), port, None);
        if let Some(name) = self.client_name {
            client.name = name;
        }
        if let Some(name) = self.reverse_name {
            client.reverse_name = name;
        }
        client.helo = self.helo;
        client.esmtp = self.protocol.as_deref() == Some("ESMTP");
        client.sasl = self.sasl_username.map(|username| SaslFacts {
            method: self.sasl_method.unwrap_or_default(),
            username,
            sender: self.sasl_sender,
        });
        Origin::Client(Box::new(client))
    }
}

/// The file of a message, as cleanup(8) would have written it. Recipients that are done are left out.
pub(crate) fn render(message: &Message, content: &[u8]) -> Vec<u8> {
    let envelope = &message.envelope;
    let mut middle = Vec::new();
    let since = message.arrival.duration_since(UNIX_EPOCH).unwrap_or_default();
    write(&mut middle, b'T', format!("{} {:06}", since.as_secs(), since.subsec_micros()).as_bytes());
    let attribute = |out: &mut Vec<u8>, name: &str, value: &str| {
        // A record is a line for those who read it.
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        write(out, b'A', format!("{name}={value}").as_bytes());
    };
    attribute(&mut middle, "create_time", &since.as_secs().to_string());
    attribute(&mut middle, "log_ident", message.id.as_str());
    let is_remote = matches!(&message.origin, Origin::Client(client) if !client.local);
    attribute(&mut middle, "rewrite_context", if is_remote { "remote" } else { "local" });
    if let Some(envid) = &envelope.envid {
        attribute(&mut middle, "envelope_id", envid);
    }
    if let Some(ret) = envelope.ret {
        attribute(&mut middle, "ret_flags", if ret == Return::Full { "1" } else { "2" });
    }
    match envelope.body {
        BodyType::EightBitMime => attribute(&mut middle, "encoding", "8bit"),
        BodyType::SevenBit => attribute(&mut middle, "encoding", "7bit"),
        BodyType::Unspecified => {}
    }
    if let Some(filter) = &message.filter {
        write(&mut middle, b'L', filter.as_bytes());
    }
    write(&mut middle, b'S', envelope.sender.as_str().as_bytes());
    if let Some(delimiters) = &envelope.verp {
        write(&mut middle, b'V', delimiters.as_bytes());
    }
    if let Origin::Client(client) = &message.origin {
        client_attributes(&mut middle, client, attribute);
    }
    for recipient in &envelope.recipients {
        if !recipient.notify.is_unspecified() {
            attribute(&mut middle, "notify_flags", &notify_bits(recipient.notify).to_string());
        }
        match &recipient.orcpt {
            Some(orcpt) => attribute(&mut middle, "dsn_orig_rcpt", orcpt),
            None => attribute(&mut middle, "dsn_orig_rcpt", &format!("rfc822;{}", recipient.original)),
        }
        write(&mut middle, b'O', recipient.original.as_str().as_bytes());
        write(&mut middle, b'R', recipient.address.as_str().as_bytes());
    }
    write(&mut middle, b'M', b"");
    let mut body = Vec::with_capacity(content.len() + content.len() / 16);
    let mut in_header = true;
    for line in content.split_inclusive(|b| *b == b'\n') {
        let (line, is_whole) = match line.strip_suffix(b"\n") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let mut pieces = line.chunks(LINE).peekable();
        // As mail::DataSize counts them.
        let ends_with_empty = line.is_empty() || !in_header && line.len() % LINE == 0;
        while let Some(piece) = pieces.next() {
            let is_last = pieces.peek().is_none() && !ends_with_empty;
            write(&mut body, if is_last && is_whole { b'N' } else { b'L' }, piece);
        }
        if ends_with_empty && is_whole {
            write(&mut body, b'N', b"");
        }
        in_header &= !line.is_empty();
    }
    let options = (u32::from(envelope.smtputf8)) | if envelope.require_tls { REQUIRETLS_ESMTP } else { 0 };
    // The size record has a fixed width, so that its own length is known: type, length and six fields of fifteen with blanks.
    const SIZE_RECORD: usize = 2 + 6 * 15 + 5;
    let size = format!(
        "{:>15} {:>15} {:>15} {:>15} {:>15} {:>15}",
        body.len(),
        SIZE_RECORD + middle.len(),
        envelope.recipients.len(),
        0,
        content.len(),
        options
    );
    let mut out = Vec::with_capacity(SIZE_RECORD + middle.len() + body.len() + 4);
    write(&mut out, b'C', size.as_bytes());
    out.append(&mut middle);
    out.append(&mut body);
    write(&mut out, b'X', b"");
    write(&mut out, b'E', b"");
    out
}

fn client_attributes(out: &mut Vec<u8>, client: &ClientFacts, attribute: impl Fn(&mut Vec<u8>, &str, &str)) {
    let address = client.address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
    let helo = client.helo.as_deref().unwrap_or("unknown");
    let protocol = if client.esmtp { "ESMTP" } else { "SMTP" };
    let port = client.port.to_string();
    let (server, server_port) = match client.server {
        Some((address, port)) => (address.to_string(), port.to_string()),
        None => ("unknown".to_owned(), "unknown".to_owned()),
    };
    // The numbers of address families of this system.
    let family = if client.address.is_some_and(|address| address.is_ipv6()) { "10" } else { "2" };
    for (name, value) in [
        ("log_client_name", client.name.as_str()),
        ("log_client_address", &address),
        ("log_client_port", &port),
        ("log_message_origin", &client.name_address()),
        ("log_helo_name", helo),
        ("log_protocol_name", protocol),
        ("client_name", &client.name),
        ("reverse_client_name", &client.reverse_name),
        ("client_address", &address),
        ("client_port", &port),
        ("server_address", &server),
        ("server_port", &server_port),
        ("helo_name", helo),
        ("protocol_name", protocol),
        ("client_address_type", family),
    ] {
        attribute(out, name, value);
    }
    if let Some(sasl) = &client.sasl {
        attribute(out, "sasl_method", &sasl.method);
        attribute(out, "sasl_username", &sasl.username);
        if let Some(sender) = &sasl.sender {
            attribute(out, "sasl_sender", sender);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> (Message, Vec<u8>) {
        let address = |text: &str| Address::internal(text).unwrap();
        let mut told = Recipient::new(address("told@y.test"));
        told.notify = Notify { success: true, delay: true, ..Notify::default() };
        told.orcpt = Some("rfc822;asked@y.test".into());
        told.original = address("first@y.test");
        let mut client = ClientFacts::new(Some("192.0.2.1".parse().unwrap()), 4711, None);
        client.name = "client.test".into();
        client.helo = Some("helo.test".into());
        client.esmtp = true;
        client.sasl = Some(SaslFacts { method: "PLAIN".into(), username: "u".into(), sender: None });
        let content = [
            b"Subject: x\n\n".to_vec(),
            vec![b'y'; 5000],
            b"\n\n".to_vec(),
            vec![b'z'; LINE],
            b"\nend\n".to_vec(),
        ]
        .concat();
        let message = Message {
            id: QueueId::parse("ABCDEF1234").unwrap(),
            envelope: Envelope {
                sender: address("s@x.test"),
                recipients: vec![told, Recipient::new(address("r@y.test"))],
                body: BodyType::EightBitMime,
                smtputf8: true,
                ret: Some(Return::Headers),
                envid: Some("E1".into()),
                require_tls: true,
                verp: Some("+=".into()),
                ..Envelope::default()
            },
            origin: Origin::Client(Box::new(client)),
            arrival: UNIX_EPOCH + Duration::from_micros(1_795_989_330_735_672),
            size: content.len() as u64,
            data_size: DataSize::of(&content, LINE),
            checksum: crc32c::crc32c(&content),
            filter: Some("scan:[127.0.0.1]:10025".into()),
        };
        (message, content)
    }

    #[test]
    fn there_and_back() {
        let (message, content) = message();
        let file = render(&message, &content);
        let read = parse(&message.id, &file).unwrap();
        assert_eq!(read.message, message);
        assert_eq!(read.content, content);
        // The offsets name the recipients' records.
        for (offset, recipient) in read.offsets.iter().zip(&message.envelope.recipients) {
            assert!(file[*offset..].starts_with(b"R"));
            assert!(file[*offset + 2..].starts_with(recipient.address.as_str().as_bytes()));
        }
        // The size record tells where the content begins and how long it is.
        let words: Vec<usize> = String::from_utf8_lossy(&file[2..97])
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect();
        assert!(file[..words[1]].ends_with(b"M\0"));
        assert!(file[words[1] + words[0]..].starts_with(b"X\0E\0"));
        assert_eq!(words[0] as u64, message.data_size);
    }

    #[test]
    fn recipients_that_are_done_are_passed_over() {
        let (message, content) = message();
        let mut file = render(&message, &content);
        let offset = parse(&message.id, &file).unwrap().offsets[0];
        file[offset] = b'D';
        let read = parse(&message.id, &file).unwrap();
        assert_eq!(read.message.envelope.recipients, message.envelope.recipients[1..]);
        assert_eq!(read.all_recipients[0], (offset, message.envelope.recipients[0].address.clone()));
    }

    #[test]
    fn what_is_cut_off_or_strange_is_no_message() {
        let (message, content) = message();
        let file = render(&message, &content);
        for length in 0..file.len() {
            assert!(parse(&message.id, &file[..length]).is_err(), "{length} bytes");
        }
        let mut random = 7u64;
        for _ in 0..2000 {
            let mut file = file.clone();
            for _ in 0..4 {
                random =
                    random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = (random >> 33) as usize % file.len();
                file[at] = (random >> 20) as u8;
            }
            // Whatever it says, it says it without a panic.
            let _ = parse(&message.id, &file);
        }
    }
}
