//! The Milter protocol, versions 2 to 6, as bytes (Sendmail's libmilter defines it; MILTER_README): packets of a length, a
//! letter and data. No socket here.

use mail::{Detail, Reply, Status};

/// Largest packet of a Milter, in bytes. libmilter sends 64 KiB of body at once.
pub(super) const MAX_PACKET: usize = 1024 * 1024;
/// How much of a body goes into one packet.
pub(super) const CHUNK: usize = 65535;

/// What we tell a Milter. The letter is the packet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    Connect,
    Helo,
    Mail,
    Rcpt,
    Data,
    Header,
    EndOfHeader,
    Body,
    EndOfBody,
    Unknown,
}

/// What a Milter may do to a message: SMFIF_ADDHDRS to SMFIF_SETSYMLIST.
const ACTIONS: u32 = 0x1ff;
const ACTIONS_UP_TO_4: u32 = 0x3f;

/// Answers to rejected recipients too (SMFIP_RCPT_REJ).
pub(super) const RCPT_REJECTED: u32 = 0x800;
/// Leading blanks of header values belong to the Milter (SMFIP_HDR_LEADSPC).
pub(super) const LEADING_SPACE: u32 = 0x10_0000;
/// SMFIR_SKIP is understood.
const SKIP: u32 = 0x400;

/// Letter, SMFIP flag for "do not send it" and SMFIP flag for "I do not answer it", and the word for the log.
const COMMANDS: [(Command, u8, u32, u32, &str); 10] = [
    (Command::Connect, b'C', 0x1, 0x1000, "SMFIC_CONNECT"),
    (Command::Helo, b'H', 0x2, 0x2000, "SMFIC_HELO"),
    (Command::Mail, b'M', 0x4, 0x4000, "SMFIC_MAIL"),
    (Command::Rcpt, b'R', 0x8, 0x8000, "SMFIC_RCPT"),
    (Command::Data, b'T', 0x200, 0x1_0000, "SMFIC_DATA"),
    (Command::Header, b'L', 0x20, 0x80, "SMFIC_HEADER"),
    (Command::EndOfHeader, b'N', 0x40, 0x4_0000, "SMFIC_EOH"),
    (Command::Body, b'B', 0x10, 0x8_0000, "SMFIC_BODY"),
    (Command::EndOfBody, b'E', 0, 0, "SMFIC_BODYEOB"),
    (Command::Unknown, b'U', 0x100, 0x2_0000, "SMFIC_UNKNOWN"),
];

impl Command {
    fn row(self) -> &'static (Command, u8, u32, u32, &'static str) {
        COMMANDS.iter().find(|row| row.0 == self).unwrap_or(&COMMANDS[0])
    }

    pub(super) fn letter(self) -> u8 {
        self.row().1
    }

    /// As Postfix names it in the log.
    pub(super) fn name(self) -> &'static str {
        self.row().4
    }

    /// Is the Milter to see this command?
    pub(super) fn is_wanted(self, steps: u32) -> bool {
        steps & self.row().2 == 0
    }

    /// Does the Milter answer this command?
    pub(super) fn is_answered(self, steps: u32) -> bool {
        steps & self.row().3 == 0
    }

    /// Connect and HELO: what is said of them holds for the session.
    pub(super) fn concerns_the_connection(self) -> bool {
        matches!(self, Command::Connect | Command::Helo)
    }

    /// The stage that a Milter names a macro list for (SMFIM_CONNECT to SMFIM_EOH).
    fn of_macro_stage(stage: u32) -> Option<Command> {
        use Command::{Connect, Data, EndOfBody, EndOfHeader, Helo, Mail, Rcpt};
        [Connect, Helo, Mail, Rcpt, Data, EndOfBody, EndOfHeader].get(stage as usize).copied()
    }
}

/// `milter_protocol`: what is offered in the negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    number: u32,
    actions: u32,
    steps: u32,
}

impl Version {
    /// Reads `milter_protocol`. `no_header_reply` makes a Milter of version 2 to 4 be one that does not answer headers.
    pub(super) fn parse(text: &str) -> Option<Version> {
        let mut version = None;
        let mut more = 0;
        for word in config::list::split(text) {
            match word {
                "2" => version = Some(Version { number: 2, actions: ACTIONS_UP_TO_4, steps: 0x7f }),
                "3" => version = Some(Version { number: 3, actions: ACTIONS_UP_TO_4, steps: 0x17f }),
                "4" => version = Some(Version { number: 4, actions: ACTIONS_UP_TO_4, steps: 0x37f }),
                "6" => version = Some(Version { number: 6, actions: ACTIONS, steps: 0x1f_ffff }),
                "no_header_reply" => more |= Command::Header.row().3,
                _ => return None,
            }
        }
        version.map(|version| Version { steps: version.steps | more, ..version })
    }

    /// SMFIC_OPTNEG.
    pub(super) fn offer(self) -> Vec<u8> {
        let numbers = [self.number, self.actions, self.steps];
        packet(b'O', &numbers.map(u32::to_be_bytes).concat())
    }

    /// What the Milter made of the offer; the error is for the log.
    pub(super) fn agree(self, data: &[u8]) -> Result<Agreement, String> {
        let mut reader = Reader(data);
        let (Some(number), Some(actions), Some(steps)) = (reader.number(), reader.number(), reader.number())
        else {
            return Err("the negotiation is too short".into());
        };
        if number > self.number {
            return Err(format!(
                "the Milter speaks version {number} and we speak {} (see milter_protocol)",
                self.number
            ));
        }
        if actions & !self.actions != 0 || steps & !self.steps != 0 {
            return Err(format!(
                "the Milter asks for actions {:#x} and steps {:#x} that version {} does not have",
                actions & !self.actions,
                steps & !self.steps,
                self.number
            ));
        }
        let mut macros = Vec::new();
        while let Some(stage) = reader.number() {
            let Some(names) = reader.text() else { return Err("a macro list without end".into()) };
            if let Some(command) = Command::of_macro_stage(stage) {
                macros.push((command, names));
            }
        }
        Ok(Agreement { actions, steps, macros })
    }
}

/// What was negotiated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Agreement {
    actions: u32,
    pub(super) steps: u32,
    /// The Milter's own choice of macros.
    pub(super) macros: Vec<(Command, String)>,
}

/// A packet of a Milter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Continue,
    Accept,
    Reject,
    TempFail,
    Discard,
    Shutdown,
    /// A reply of its own, 4xx or 5xx.
    ReplyCode(Reply),
    /// No more body.
    Skip,
    /// Still at work.
    Progress,
    /// A change of the message.
    Change(Change),
}

/// A change of the message, at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    AddHeader {
        name: String,
        value: String,
    },
    /// Before the header of this number, ours included, from 0.
    InsertHeader {
        index: usize,
        name: String,
        value: String,
    },
    /// The header of this name and number, from 1, ours not included. An empty value deletes it.
    SetHeader {
        index: usize,
        name: String,
        value: String,
    },
    Sender(Vec<String>),
    /// The address and its ESMTP parameters.
    AddRecipient(Vec<String>),
    DeleteRecipient(String),
    /// A piece of a new body, with CR LF.
    Body(Vec<u8>),
    Quarantine(String),
}

/// One packet: length, letter, data.
pub(super) fn packet(letter: u8, data: &[u8]) -> Vec<u8> {
    // A header or chunk is bounded far below this.
    let length = u32::try_from(data.len() + 1).unwrap_or(u32::MAX);
    let mut out = Vec::with_capacity(data.len() + 5);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(letter);
    out.extend_from_slice(data);
    out
}

/// Texts, each ended by NUL. What holds a NUL ends there.
pub(super) fn texts<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend(part.as_ref().iter().take_while(|&&byte| byte != 0));
        out.push(0);
    }
    out
}

/// The macros of one command.
pub(super) fn macros(command: Command, values: &[(String, String)]) -> Vec<u8> {
    let mut data = vec![command.letter()];
    for (name, value) in values {
        data.extend(texts(&[name, value]));
    }
    packet(b'D', &data)
}

impl Agreement {
    /// Reads one packet; the error says what is wrong with it. A Milter does no more than it said it would.
    pub(super) fn read(&self, letter: u8, data: &[u8]) -> Result<Answer, String> {
        let mut reader = Reader(data);
        let text = |reader: &mut Reader<'_>| reader.text().ok_or_else(|| "a text without end".to_owned());
        let index = |reader: &mut Reader<'_>| {
            let number = reader.number().ok_or_else(|| "a packet that is too short".to_owned())?;
            usize::try_from(number).map_err(|error| error.to_string())
        };
        let may = |flag: u32, change: Change| match self.actions & flag {
            0 => Err(format!("an action that was not negotiated: {}", char::from(letter).escape_default())),
            _ => Ok(Answer::Change(change)),
        };
        match letter {
            b'c' => Ok(Answer::Continue),
            b'a' => Ok(Answer::Accept),
            b'r' => Ok(Answer::Reject),
            b't' => Ok(Answer::TempFail),
            b'd' => Ok(Answer::Discard),
            b'4' => Ok(Answer::Shutdown),
            b'p' => Ok(Answer::Progress),
            b's' if self.steps & SKIP != 0 => Ok(Answer::Skip),
            b'y' => reply(&text(&mut reader)?).map(Answer::ReplyCode),
            b'h' => {
                may(0x1, Change::AddHeader { name: header_name(&mut reader)?, value: text(&mut reader)? })
            }
            b'i' => {
                let index = index(&mut reader)?;
                let (name, value) = (header_name(&mut reader)?, text(&mut reader)?);
                may(0x1, Change::InsertHeader { index, name, value })
            }
            b'm' => {
                let index = index(&mut reader)?;
                if index == 0 {
                    return Err("a change of header number 0".into());
                }
                let (name, value) = (header_name(&mut reader)?, text(&mut reader)?);
                may(0x10, Change::SetHeader { index, name, value })
            }
            b'b' => may(0x2, Change::Body(data.to_vec())),
            b'+' => may(0x4, Change::AddRecipient(vec![text(&mut reader)?])),
            b'2' => may(0x80, Change::AddRecipient(reader.rest())),
            b'-' => may(0x8, Change::DeleteRecipient(text(&mut reader)?)),
            b'e' => may(0x40, Change::Sender(reader.rest())),
            b'q' => may(0x20, Change::Quarantine(text(&mut reader)?)),
            _ => Err(format!("an unexpected packet: {}", char::from(letter).escape_default())),
        }
    }
}

/// RFC 5322 section 2.2: a name that is none would end the header.
fn header_name(reader: &mut Reader<'_>) -> Result<String, String> {
    let name = reader.text().unwrap_or_default();
    match !name.is_empty() && name.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b':') {
        true => Ok(name),
        false => Err("a bad header name".into()),
    }
}

/// SMFIR_REPLYCODE: one or several lines of `550[-5.7.1] text`, in which `%%` stands for `%`.
fn reply(text: &str) -> Result<Reply, String> {
    let bad = || format!("a bad reply code: {:?}", text.chars().take(100).collect::<String>());
    let text = text.replace("%%", "%");
    let mut reply: Option<Reply> = None;
    for line in text.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty()) {
        let (code, rest) = line.split_at_checked(3).ok_or_else(bad)?;
        let code = code.parse::<u16>().ok().filter(|code| (400..600).contains(code)).ok_or_else(bad)?;
        let rest = rest.strip_prefix([' ', '-']).unwrap_or(rest);
        let (detail, words) = match Status::split_from(rest) {
            // The class is the code's, whatever is said.
            Some((status, words)) => (Some(status.detail), words),
            None => (None, rest),
        };
        let words: String = words.trim().chars().filter(|letter| !letter.is_control()).collect();
        match &mut reply {
            None => reply = Some(Reply { code, detail, text: words.into() }),
            Some(reply) => reply.text = format!("{}\n{words}", reply.text).into(),
        }
    }
    reply.ok_or_else(bad)
}

/// `550 5.7.1 Command rejected`.
pub(super) fn rejected() -> Reply {
    Reply::new(550, Detail(7, 1), "Command rejected")
}

/// `451 4.7.1 Service unavailable - try again later`.
pub(super) fn unavailable() -> Reply {
    Reply::new(451, Detail(7, 1), "Service unavailable - try again later")
}

/// `421 4.7.0 Server closing connection`.
pub(crate) fn closing() -> Reply {
    Reply::new(421, Detail(7, 0), "Server closing connection")
}

/// Takes a packet's data apart.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    fn text(&mut self) -> Option<String> {
        let end = memchr::memchr(0, self.0)?;
        let text = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.text()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreement(actions: u32, steps: u32) -> Agreement {
        Agreement { actions, steps, macros: Vec::new() }
    }

    #[test]
    fn versions() {
        for (text, expected) in [
            ("6", Some([6, 0x1ff, 0x1f_ffff])),
            ("2", Some([2, 0x3f, 0x7f])),
            ("3 no_header_reply", Some([3, 0x3f, 0x1ff])),
            ("4, no_header_reply", Some([4, 0x3f, 0x3ff])),
            ("5", None),
            ("6 frobnicate", None),
            ("", None),
        ] {
            let offer = Version::parse(text).map(Version::offer);
            let expected =
                expected.map(|numbers: [u32; 3]| packet(b'O', &numbers.map(u32::to_be_bytes).concat()));
            assert_eq!(offer, expected, "{text}");
        }
    }

    #[test]
    fn negotiation() {
        let version = Version::parse("6").unwrap();
        let answer = |number: u32, actions: u32, steps: u32, more: &[u8]| {
            let mut data = [number, actions, steps].map(u32::to_be_bytes).concat();
            data.extend_from_slice(more);
            version.agree(&data)
        };
        let agreed = answer(6, 0x1, 0x40, b"\0\0\0\x03{rcpt_addr} i\0").unwrap();
        assert_eq!(agreed.macros, [(Command::Rcpt, "{rcpt_addr} i".to_owned())]);
        assert!(!Command::EndOfHeader.is_wanted(agreed.steps) && Command::Header.is_wanted(agreed.steps));
        assert!(answer(2, 0, 0, b"").is_ok(), "an older Milter");
        for (number, actions, steps, more) in
            [(7, 0, 0, &b""[..]), (6, 0x200, 0, b""), (6, 0, 0x1000_0000, b""), (6, 0, 0, b"\0\0\0\x01x")]
        {
            assert!(answer(number, actions, steps, more).is_err(), "{number} {actions} {steps}");
        }
        assert!(version.agree(b"short").is_err());
    }

    #[test]
    fn answers() {
        let all = agreement(0x1ff, SKIP);
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let (name, value) = header("X-A", "b\n c");
        for (letter, data, expected) in [
            (b'c', &b""[..], Answer::Continue),
            (b's', b"", Answer::Skip),
            (
                b'y',
                b"550-5.7.9 my 100%% words\r\n550 5.7.9 two\0",
                Answer::ReplyCode(Reply::new(550, Detail(7, 9), "my 100% words\ntwo")),
            ),
            (b'y', b"421 go\0", Answer::ReplyCode(Reply::bare(421, "go"))),
            (
                b'h',
                b"X-A\0b\n c\0",
                Answer::Change(Change::AddHeader { name: name.clone(), value: value.clone() }),
            ),
            (
                b'i',
                b"\0\0\0\x01X-A\0b\n c\0",
                Answer::Change(Change::InsertHeader { index: 1, name: name.clone(), value: value.clone() }),
            ),
            (
                b'm',
                b"\0\0\0\x02X-A\0\0",
                Answer::Change(Change::SetHeader { index: 2, name, value: String::new() }),
            ),
            (
                b'2',
                b"<a@b>\0NOTIFY=NEVER\0",
                Answer::Change(Change::AddRecipient(vec!["<a@b>".into(), "NOTIFY=NEVER".into()])),
            ),
            (b'b', b"x\r\n", Answer::Change(Change::Body(b"x\r\n".to_vec()))),
        ] {
            assert_eq!(all.read(letter, data), Ok(expected), "{}", char::from(letter));
        }
        for (letter, data) in [
            (b'y', &b"250 fine\0"[..]),
            (b'y', b"550 no end"),
            (b'y', b"\0"),
            (b'm', b"\0\0\0\0X\0y\0"),
            (b'h', b"\0v\0"),
            (b'h', b"a b\0v\0"),
            (b'i', b"\0\0"),
            (b'Z', b""),
        ] {
            assert!(all.read(letter, data).is_err(), "{} {data:?}", char::from(letter));
        }
        let none = agreement(0, 0);
        for (letter, data) in
            [(b'h', &b"X\0y\0"[..]), (b'b', b"x"), (b'q', b"x\0"), (b's', b""), (b'+', b"x\0")]
        {
            assert!(none.read(letter, data).is_err(), "{} was not negotiated", char::from(letter));
        }
    }
}
