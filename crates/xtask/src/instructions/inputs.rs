//! The fixed inputs: one for each path that every message takes, and for each decision.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, UNIX_EPOCH};

use config::{HostFacts, MainCf, Settings};
use mail::mime::{Limits, Structure};
use mail::{Address, ClientFacts, Envelope, Message, Origin, QueueId, Recipient};
use route::{Context, Routing};
use smtp::decode::{BareNewline, DataDecoder, Progress};
use smtp::server::{AuthVerdict, Commit, Next, Options, Question, Session, Verdict};
use spool::{Change, Content, Disk, RealDisk, SqliteStore, Store};
use tables::{Flags, Lookup, Tables};
use tls::ClientLevel;
use tls::policy::{Facts, Mx, Needs, Terms, Tlsa, TlsaRecord, Wish, decide};

/// What is counted.
type Work = Box<dyn FnMut() -> Result<(), String>>;

/// One input.
pub(super) struct Input {
    pub(super) name: &'static str,
    /// Does what does not count, and gives what does.
    pub(super) prepare: fn() -> Result<Work, String>,
}

pub(super) const INPUTS: &[Input] = &[
    Input { name: "config-read", prepare: config_read },
    Input { name: "data-decode", prepare: data_decode },
    Input { name: "mime-structure", prepare: mime_structure },
    Input { name: "route-addresses", prepare: route_addresses },
    Input { name: "smtp-dialogue", prepare: smtp_dialogue },
    Input { name: "spool-add-remove", prepare: spool_add_remove },
    Input {
        name: "table-cidr",
        prepare: || table("cidr", "192.0.2.0/24 net\n2001:db8::/32 six\n", "192.0.2.9", "net"),
    },
    Input {
        name: "table-regexp",
        prepare: || table("regexp", "/^(.*)@x\\.test$/ $1@y.test\n", "joe@x.test", "joe@y.test"),
    },
    Input {
        name: "table-texthash",
        prepare: || table("texthash", "joe@x.test joe\nann@x.test ann\n", "ann@x.test", "ann"),
    },
    Input { name: "tls-decide", prepare: tls_decide },
];

const MAIN_CF: &str = "\
compatibility_level = 3.6
mydomain = example.test
myhostname = mx.$mydomain
myorigin = $mydomain
mydestination = $myhostname, localhost.$mydomain, localhost
mynetworks = 127.0.0.0/8, 192.0.2.0/24
relay_domains = relay.test
virtual_mailbox_domains = virtual.test
virtual_mailbox_maps = inline:{ann@virtual.test=ann/}
transport_maps = inline:{slow.test=slow:}
smtpd_recipient_restrictions = permit_mynetworks,
    permit_sasl_authenticated,
    reject_unauth_destination
smtpd_tls_security_level = may
smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
message_size_limit = 52428800
recipient_delimiter = +
";

fn settings() -> Result<Settings, String> {
    let main = MainCf::parse("main.cf", MAIN_CF.as_bytes()).map_err(|error| error.to_string())?;
    Settings::load(&main, &[], &HostFacts::default()).map_err(|errors| errors.to_string())
}

fn config_read() -> Result<Work, String> {
    Ok(Box::new(|| settings().map(drop)))
}

/// Text of so many bytes, in lines that end in this.
fn text(size: usize, eol: &str) -> Vec<u8> {
    let line = format!("0123456789 0123456789 0123456789 0123456789 0123456789 0123456789{eol}");
    line.as_bytes().iter().copied().cycle().take(size / line.len() * line.len()).collect()
}

fn data_decode() -> Result<Work, String> {
    let mut input = text(1_000_000, "\r\n");
    input.extend_from_slice(b".\r\n");
    Ok(Box::new(move || {
        let mut decoder = DataDecoder::new(BareNewline::Normalize, 0);
        let mut progress = Progress::More;
        let mut checksum = 0;
        for piece in input.chunks(16 * 1024) {
            let mut out = Vec::new();
            progress = decoder.decode(piece, &mut out).1;
            checksum = crc32c::crc32c_append(checksum, &out);
        }
        std::hint::black_box(checksum);
        if progress == Progress::Complete { Ok(()) } else { Err("the content has no end".into()) }
    }))
}

fn mime_structure() -> Result<Work, String> {
    let part = b"--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n".to_vec();
    let mut message =
        b"From: a@x.test\nSubject: s\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
            .to_vec();
    for _ in 0..8 {
        message.extend_from_slice(&part);
        message.extend_from_slice(&text(32_000, "\n"));
    }
    message.extend_from_slice(b"--b--\n");
    Ok(Box::new(move || {
        let mut events = 0_u32;
        let mut structure = Structure::new(Limits::default());
        structure.feed(&message, &mut |_| events += 1);
        structure.finish(&mut |_| events += 1);
        if events > 8 { Ok(()) } else { Err("the parts are not seen".into()) }
    }))
}

fn route_addresses() -> Result<Work, String> {
    let settings = settings()?;
    let routing = Routing::new(&settings, &Tables::silent(), &HostFacts::default());
    let addresses: Vec<Address> =
        ["joe", "joe+x@example.test", "ann@virtual.test", "x@slow.test", "a%b@mx.example.test", "x@far.test"]
            .into_iter()
            .filter_map(|text| Address::internal(text).ok())
            .collect();
    Ok(Box::new(move || {
        for _ in 0..20 {
            for address in &addresses {
                let standard = routing.rewrite(Context::Local, address);
                at_once(routing.resolve(&Address::null(), &standard))?.map_err(|failed| failed.reason)?;
            }
        }
        Ok(())
    }))
}

/// What a table in memory answers, it answers at once.
fn at_once<T>(future: impl Future<Output = T>) -> Result<T, String> {
    match std::pin::pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Ok(answer),
        Poll::Pending => Err("a table in memory lets wait".into()),
    }
}

fn smtp_dialogue() -> Result<Work, String> {
    let options = Arc::new(Options::default());
    let mut content = b"From: a@client.test\r\nSubject: s\r\n\r\n".to_vec();
    content.extend_from_slice(&text(6_000, "\r\n"));
    content.extend_from_slice(b".\r\n");
    let envelope = [
        "MAIL FROM:<a@client.test> SIZE=5000\r\n",
        "RCPT TO:<x@relay.test>\r\n",
        "RCPT TO:<y@relay.test>\r\n",
        "DATA\r\n",
    ];
    // What one read brings.
    let mut pieces: Vec<Vec<u8>> = vec![b"EHLO client.test\r\n".to_vec()];
    for _ in 0..10 {
        pieces.extend(envelope.iter().map(|command| command.as_bytes().to_vec()));
        pieces.extend(content.chunks(4_096).map(<[u8]>::to_vec));
    }
    pieces.push(b"QUIT\r\n".to_vec());
    Ok(Box::new(move || {
        let client = ClientFacts::new(Some([192, 0, 2, 1].into()), 25_000, None);
        match converse(Session::begin(Arc::clone(&options), client), &pieces) {
            10 => Ok(()),
            kept => Err(format!("{kept} messages of 10")),
        }
    }))
}

/// Says each piece when something is wanted, and accepts all; gives how many messages there were.
fn converse(mut step: smtp::server::Step, pieces: &[Vec<u8>]) -> u32 {
    let (mut kept, mut content, mut out) = (0, Vec::new(), Vec::new());
    let mut pieces = pieces.iter();
    loop {
        step.replies.iter().for_each(|reply| reply.write_to(&mut out));
        out.clear();
        step = match step.next {
            Next::Read(mut session) => {
                if session.needs_input() {
                    let Some(piece) = pieces.next() else { return kept };
                    session.input().extend_from_slice(piece);
                }
                session.receive(false)
            }
            Next::Body(mut body) => {
                if body.needs_input() {
                    let Some(piece) = pieces.next() else { return kept };
                    body.input().extend_from_slice(piece);
                }
                body.decode(&mut content)
            }
            Next::StartTls(_) | Next::Close(_) => return kept,
            Next::Ask(question) => match question {
                Question::Connect(question) => question.answer(Verdict::Accept),
                Question::Helo(question) => question.answer(Verdict::Accept),
                Question::Mail(question) => {
                    question.legal().map_or_else(|step| *step, |question| question.answer(Verdict::Accept))
                }
                Question::Rcpt(question) => {
                    question.legal().map_or_else(|step| *step, |question| question.answer(Verdict::Accept))
                }
                Question::Data(question) => question.answer(Verdict::Accept),
                Question::Vrfy(question) => question.answer(Verdict::Accept),
                Question::Etrn(question) => question.answer(Verdict::Accept),
                Question::Unknown(question) => question.answer(Verdict::Accept),
                Question::StartTls(question) => question.answer(Verdict::Accept),
                Question::Auth(question) => question.answer(AuthVerdict::Challenge(String::new())),
                Question::EndOfData(question) => {
                    kept += 1;
                    content.clear();
                    question.answer(Commit::Queued("4bXyZ01234".into()))
                }
            },
        };
    }
}

fn spool_add_remove() -> Result<Work, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let database = folder.path().join("queue.db");
    let (mut store, _) = SqliteStore::pair(&database, &disk).map_err(|error| error.to_string())?;
    let messages: Vec<Message> = (0..40).map(message).collect::<Result<_, _>>()?;
    let body = text(4_096, "\n");
    Ok(Box::new(move || {
        // The folder lives as long as the work.
        let _ = folder.path();
        for group in messages.chunks(4) {
            let add = |message: &Message| {
                let content = Content::Inline(body.clone());
                vec![Change::Add { message: Box::new(message.clone()), content, hold: false }]
            };
            let remove = |message: &Message| vec![Change::Remove { id: message.id }];
            let (added, removed): (Vec<_>, Vec<_>) =
                group.iter().map(|message| (add(message), remove(message))).unzip();
            for result in store.commit(added).into_iter().chain(store.commit(removed)) {
                result.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }))
}

fn message(number: u64) -> Result<Message, String> {
    let address = |text: &str| Address::internal(text).map_err(|error| error.to_string());
    Ok(Message {
        id: QueueId::parse(&format!("{:08X}", 0xA000_0000 + number)).ok_or("no queue id")?,
        envelope: Envelope {
            sender: address("a@client.test")?,
            recipients: vec![Recipient::new(address("x@relay.test")?)],
            ..Envelope::default()
        },
        origin: Origin::Client(Box::new(ClientFacts::new(Some([192, 0, 2, 1].into()), 25_000, None))),
        arrival: UNIX_EPOCH + Duration::from_secs(1_795_365_467 + number),
        size: 4_096,
        data_size: 4_096,
        checksum: 0,
        filter: None,
    })
}

fn table(kind: &str, lines: &str, key: &'static str, value: &'static str) -> Result<Work, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("table");
    std::fs::write(&path, lines).map_err(|error| error.to_string())?;
    let map = Tables::silent().map(&format!("{kind}:{}", path.display()), Flags::default());
    Ok(Box::new(move || {
        let _ = folder.path();
        for _ in 0..200 {
            match at_once(map.lookup(key))? {
                Lookup::Found(found) if found == value => {}
                other => return Err(format!("{key}: {other:?}")),
            }
        }
        Ok(())
    }))
}

fn tls_decide() -> Result<Work, String> {
    let wish = Wish {
        level: ClientLevel::Dane,
        names: vec!["nexthop".into(), "dot-nexthop".into()],
        fingerprints: Vec::new(),
        server_name: None,
        opportunistic: Terms { ciphers: "medium".into(), ..Terms::default() },
        mandatory: Terms { ciphers: "medium".into(), ..Terms::default() },
        anchors: Vec::new(),
        wrapper: false,
        reuse: true,
        insecure_mx: tls::policy::InsecureMx::Dane,
        digests: tls::policy::Digests::parse("sha512 sha256").map_err(|error| error.to_string())?,
        sts: None,
    };
    let record = TlsaRecord { usage: 3, selector: 1, matching_type: 1, data: vec![1; 32] };
    let facts = Facts {
        next_hop: "relay.test".into(),
        host: "mx.relay.test".into(),
        mx: Mx::Found { secure: true, name: "relay.test".into() },
        tlsa: Tlsa::Found { base: "mx.relay.test".into(), records: vec![record] },
        sts: None,
    };
    Ok(Box::new(move || {
        for _ in 0..200 {
            let plan = decide(&wish, &facts, Needs::default()).map_err(|unmet| format!("{unmet:?}"))?;
            if plan.level() != ClientLevel::Dane {
                return Err("the level is another".into());
            }
        }
        Ok(())
    }))
}
