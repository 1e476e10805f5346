//! A name server on 127.0.0.1 that answers from a script, over UDP and TCP.
//!
//! ```text
//! # name            what
//! mx.test           300 A 192.0.2.1
//! mx.test           300 AAAA 2001:db8::1
//! site.test         300 MX 10 mx.test
//! www.site.test     300 CNAME site.test
//! site.test         300 TXT any text up to the end of the line
//! _smtp._tcp.a.test 300 SRV 10 0 2525 mx.test
//! _25._tcp.mx.test  300 TLSA 3 1 1 0123abcd
//! 1.2.0.192.in-addr.arpa 300 PTR mx.test
//! broken.test       SERVFAIL
//! refused.test      REFUSED
//! silent.test       TIMEOUT
//! large.test        TRUNCATED
//! site.test         AD
//! site.test         60 SOA
//! ```
//!
//! A name with records of other types only has no data; a name without any line does not exist. `SERVFAIL`, `REFUSED` and
//! `TIMEOUT` (no answer at all) hold for every type. `TRUNCATED` sends those who ask over UDP to TCP. `AD` sets that bit in all
//! answers for the name and what is below it, absences too. `SOA` says how long absences below the name may be believed;
//! without one an absence has no SOA record.
//!
//! Real processes use it through a file with [`NameServer::resolv_conf`] as text, which main.cf names:
//! `import_environment = MAIL_CONFIG MAILCLAD_RESOLV_CONF=/dir/resolv.conf`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::RecordSectionBuilder;
use domain::base::{Message, MessageBuilder, Name, Serial, Ttl};
use domain::rdata::rfc1035::TxtBuilder;
use domain::rdata::{A, Aaaa, Cname, Mx, Ptr, Soa, Srv, Tlsa};

/// The server. It ends with this value.
pub struct NameServer {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    lines: Mutex<Vec<Line>>,
    asked: Mutex<Vec<String>>,
    stopping: AtomicBool,
}

/// A line of the script; the rest as words.
struct Line {
    name: String,
    words: Vec<String>,
}

impl Line {
    fn is(&self, word: &str) -> bool {
        self.words.last().is_some_and(|last| last == word) && self.words.len() <= 2
    }

    fn record_type(&self) -> Option<&str> {
        (self.words.len() > 2).then(|| self.words[1].as_str())
    }

    fn ttl(&self) -> Ttl {
        Ttl::from_secs(self.words[0].parse().unwrap())
    }
}

impl NameServer {
    /// Starts a server with a script.
    pub fn start(script: &str) -> NameServer {
        NameServer::serve(sockets(), script)
    }

    /// Starts a server at an address of the loopback network, for programs that know no other port than 53.
    pub fn start_at(address: Ipv4Addr, port: u16, script: &str) -> NameServer {
        let tcp = TcpListener::bind((address, port)).unwrap();
        let udp = UdpSocket::bind((address, port)).unwrap();
        NameServer::serve((tcp, udp), script)
    }

    fn serve((tcp, udp): (TcpListener, UdpSocket), script: &str) -> NameServer {
        let address = udp.local_addr().unwrap();
        let state = Arc::new(State::default());
        let (over_udp, over_tcp) = (Arc::clone(&state), Arc::clone(&state));
        let mut server = NameServer { address, state, threads: Vec::new() };
        server.replace(script);
        server.threads.push(std::thread::spawn(move || serve_udp(&udp, &over_udp)));
        server.threads.push(std::thread::spawn(move || serve_tcp(&tcp, &over_tcp)));
        server
    }

    /// Another script from now on.
    pub fn replace(&self, script: &str) {
        let lines = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| {
                let mut words = line.split_whitespace().map(str::to_owned);
                let name = words.next().unwrap().to_lowercase();
                Line { name, words: words.collect() }
            })
            .collect();
        *self.state.lines.lock().unwrap_or_else(PoisonError::into_inner) = lines;
    }

    /// The questions so far, as `name TYPE`.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A resolv.conf(5) that names this server and nobody else.
    pub fn resolv_conf(&self) -> String {
        format!("nameserver [{}]:{}\noptions timeout:1 attempts:1\n", self.address.ip(), self.address.port())
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::SeqCst);
        // Both threads wait for input; this is some.
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            let _ = socket.send_to(&[0], self.address);
        }
        let _ = TcpStream::connect(self.address);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One port number, free for both.
fn sockets() -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, state: &State) {
    let mut buffer = [0; 1500];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
        if state.stopping.load(Ordering::SeqCst) {
            return;
        }
        if let Some(reply) = answer(&buffer[..length], state, true) {
            let _ = socket.send_to(&reply, peer);
        }
    }
}

fn serve_tcp(listener: &TcpListener, state: &State) {
    for stream in listener.incoming() {
        if state.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(mut stream) = stream else { continue };
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let mut length = [0; 2];
        while stream.read_exact(&mut length).is_ok() {
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut query).is_err() {
                break;
            }
            let Some(reply) = answer(&query, state, false) else { break };
            let mut framed = (reply.len() as u16).to_be_bytes().to_vec();
            framed.extend(reply);
            if stream.write_all(&framed).is_err() {
                break;
            }
        }
    }
}

/// The reply to a question, if there is to be one.
fn answer(query: &[u8], state: &State, udp: bool) -> Option<Vec<u8>> {
    let query = Message::from_octets(query).ok()?;
    let question = query.sole_question().ok()?;
    let (asked, rtype) = (question.qname().to_string().to_lowercase(), question.qtype());
    state.asked.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{asked} {rtype}"));
    let lines = state.lines.lock().unwrap_or_else(PoisonError::into_inner);
    let here = |word: &str| lines.iter().any(|line| line.name == asked && line.is(word));
    let covers = |line: &&Line| {
        line.name == asked || asked.strip_suffix(&line.name).is_some_and(|above| above.ends_with('.'))
    };
    if here("TIMEOUT") {
        return None;
    }
    // Through aliases, as a resolver does.
    let mut records: Vec<&Line> = Vec::new();
    let mut name = asked.clone();
    for _ in 0..10 {
        let of = |wanted: &str| -> Vec<&Line> {
            let is = |line: &&Line| line.name == name && line.record_type() == Some(wanted);
            lines.iter().filter(is).collect()
        };
        let found = of(&rtype.to_string());
        let alias = of("CNAME").first().copied().filter(|_| found.is_empty() && rtype != Rtype::CNAME);
        records.extend(found);
        let Some(alias) = alias else { break };
        records.push(alias);
        name = alias.words[2].to_lowercase();
    }
    let known = lines.iter().any(|line| line.name == name && line.record_type().is_some());
    let code = match () {
        () if here("SERVFAIL") => Rcode::SERVFAIL,
        () if here("REFUSED") => Rcode::REFUSED,
        () if !known => Rcode::NXDOMAIN,
        () => Rcode::NOERROR,
    };
    let mut builder = MessageBuilder::new_vec().start_answer(&query, code).ok()?;
    builder.header_mut().set_ra(true);
    builder.header_mut().set_ad(lines.iter().any(|line| line.is("AD") && covers(&line)));
    if udp && here("TRUNCATED") {
        builder.header_mut().set_tc(true);
        return Some(builder.finish());
    }
    if matches!(code, Rcode::SERVFAIL | Rcode::REFUSED) {
        return Some(builder.finish());
    }
    for record in &records {
        push(&mut builder, record);
    }
    let absent = records.iter().all(|record| record.record_type() == Some("CNAME")) && rtype != Rtype::CNAME;
    let mut builder = builder.authority();
    if absent && let Some(line) = lines.iter().find(|line| line.is("SOA") && covers(line)) {
        let host = owner("ns.invalid");
        let second = Ttl::from_secs(1);
        let soa = Soa::new(host.clone(), host, Serial(1), second, second, second, line.ttl());
        builder.push((owner(&line.name), Class::IN, line.ttl(), soa)).unwrap();
    }
    Some(builder.finish())
}

/// Adds one record of the script to the answer.
fn push(builder: &mut impl RecordSectionBuilder<Vec<u8>>, line: &Line) {
    let (name, ttl, data) = (owner(&line.name), line.ttl(), &line.words[2..]);
    let number = |n: usize| data[n].parse::<u16>().unwrap();
    match line.words[1].as_str() {
        "A" => builder.push((name, Class::IN, ttl, A::from_str(&data[0]).unwrap())),
        "AAAA" => builder.push((name, Class::IN, ttl, Aaaa::from_str(&data[0]).unwrap())),
        "MX" => builder.push((name, Class::IN, ttl, Mx::new(number(0), owner(&data[1])))),
        "SRV" => {
            builder.push((name, Class::IN, ttl, Srv::new(number(0), number(1), number(2), owner(&data[3]))))
        }
        "CNAME" => builder.push((name, Class::IN, ttl, Cname::new(owner(&data[0])))),
        "PTR" => builder.push((name, Class::IN, ttl, Ptr::new(owner(&data[0])))),
        "TXT" => {
            let mut text = TxtBuilder::<Vec<u8>>::new();
            text.append_slice(data.join(" ").as_bytes()).unwrap();
            builder.push((name, Class::IN, ttl, text.finish().unwrap()))
        }
        "TLSA" => {
            let small = |n: usize| number(n) as u8;
            let data = Tlsa::new(small(0).into(), small(1).into(), small(2).into(), hex(&data[3]));
            builder.push((name, Class::IN, ttl, data))
        }
        other => panic!("the name server has no records of type {other}"),
    }
    .unwrap();
}

fn owner(name: &str) -> Name<Vec<u8>> {
    Name::from_str(name).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
