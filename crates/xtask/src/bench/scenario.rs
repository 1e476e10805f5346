//! What is measured, one entry for each kind of work.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use openssl::ssl::SslVersion;

use super::load::{self, Load, Tls};
use super::processes;
use super::sink::{self, Sink};
use super::subject::{Kind, Subject};

/// One kind of work.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What a unit is.
    pub(crate) unit: &'static str,
    /// At most this part of Postfix's cost.
    pub(crate) goal: f64,
    work: Work,
}

enum Work {
    /// Sessions with messages, or with none.
    Sessions(Sessions),
    /// The same, until the sink has got everything.
    Relay { sessions: usize },
    /// The same, until everything is in the Maildir.
    Maildir { sessions: usize },
    /// Memory of a session that does nothing: with few sessions of Postfix, which has a process for each, and with many of Mailclad.
    Idle { postfix: usize, mailclad: usize },
    /// Time of `postqueue -p` with so many messages in the queue.
    List { messages: usize },
    /// From `postfix start` until mail is accepted.
    Start,
    /// `sendmail`, one after another.
    Submit { messages: usize },
}

struct Sessions {
    key: Key,
    tls: Option<Tls>,
    clients: usize,
    sessions: usize,
    /// In each session.
    messages: usize,
    size: usize,
    to: &'static str,
}

impl Sessions {
    fn load(&self, server: SocketAddr, scale: usize) -> Load {
        Load {
            server,
            tls: self.tls,
            clients: self.clients,
            sessions: (self.sessions * scale / 100).max(self.clients),
            messages: self.messages,
            size: self.size,
            recipient: self.to.to_owned(),
        }
    }
}

#[derive(Clone, Copy)]
enum Key {
    Rsa,
    Ecdsa,
}

/// What one run brought.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Milliseconds of CPU for a unit; for memory, kilobytes; for times, milliseconds.
    pub(crate) cost: f64,
    /// Units a second; 0 where that makes no sense.
    pub(crate) rate: f64,
}

/// What a run has to do with.
pub(crate) struct World<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) sink: &'a Sink,
    pub(crate) scale: usize,
}

const TLS13: Tls = Tls { version: SslVersion::TLS1_3, resumes: false, wrapper: false };
const TLS12: Tls = Tls { version: SslVersion::TLS1_2, resumes: false, wrapper: false };

const fn resumed(tls: Tls) -> Option<Tls> {
    Some(Tls { resumes: true, ..tls })
}

const fn messages(clients: usize, sessions: usize, key: Key, tls: Option<Tls>) -> Work {
    Work::Sessions(Sessions { key, tls, clients, sessions, messages: 1, size: 4096, to: "x@discard.test" })
}

const fn handshakes(clients: usize, sessions: usize, key: Key, tls: Option<Tls>) -> Work {
    Work::Sessions(Sessions { key, tls, clients, sessions, messages: 0, size: 0, to: "" })
}

/// All of them, with the goals for their cost as a part of Postfix's.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "accept-plain-10",
        unit: "message",
        goal: 1.0 / 6.0,
        work: messages(10, 3000, Key::Rsa, None),
    },
    Scenario {
        name: "accept-plain-50",
        unit: "message",
        goal: 1.0 / 6.0,
        work: messages(50, 3000, Key::Rsa, None),
    },
    Scenario {
        name: "handshake-rsa-1.3",
        unit: "session",
        goal: 1.0 / 2.0,
        work: handshakes(50, 1500, Key::Rsa, Some(TLS13)),
    },
    Scenario {
        name: "handshake-ecdsa-1.3",
        unit: "session",
        goal: 1.0 / 3.5,
        work: handshakes(50, 1500, Key::Ecdsa, Some(TLS13)),
    },
    Scenario {
        name: "handshake-rsa-1.3-10",
        unit: "session",
        goal: 1.0 / 2.0,
        work: handshakes(10, 1000, Key::Rsa, Some(TLS13)),
    },
    Scenario {
        name: "resumed-1.3",
        unit: "session",
        goal: 1.0 / 3.0,
        work: handshakes(50, 1500, Key::Rsa, resumed(TLS13)),
    },
    Scenario {
        name: "resumed-1.2",
        unit: "session",
        goal: 1.0 / 5.0,
        work: handshakes(50, 1500, Key::Rsa, resumed(TLS12)),
    },
    Scenario {
        name: "accept-tls-rsa",
        unit: "message",
        goal: 1.0 / 3.0,
        work: messages(50, 1500, Key::Rsa, Some(TLS13)),
    },
    Scenario {
        name: "accept-tls-ecdsa",
        unit: "message",
        goal: 1.0 / 4.0,
        work: messages(50, 1500, Key::Ecdsa, Some(TLS13)),
    },
    Scenario {
        name: "accept-tls-resumed",
        unit: "message",
        goal: 1.0 / 4.0,
        work: messages(50, 1500, Key::Rsa, resumed(TLS13)),
    },
    Scenario {
        name: "accept-tls-bulk",
        unit: "5 MB message",
        goal: 1.0 / 4.0,
        work: Work::Sessions(Sessions {
            key: Key::Ecdsa,
            tls: Some(TLS13),
            clients: 2,
            sessions: 2,
            messages: 15,
            size: 5_000_000,
            to: "x@discard.test",
        }),
    },
    Scenario { name: "relay-tls", unit: "message", goal: 1.0 / 8.0, work: Work::Relay { sessions: 1500 } },
    Scenario {
        name: "deliver-maildir",
        unit: "message",
        goal: 1.0 / 3.5,
        work: Work::Maildir { sessions: 1500 },
    },
    Scenario {
        name: "idle-memory",
        unit: "KB a TLS session",
        goal: 35.0 / 1530.0,
        work: Work::Idle { postfix: 90, mailclad: 10_000 },
    },
    Scenario {
        name: "list",
        unit: "µs a message of 20,000",
        goal: 1.0 / 5.0,
        work: Work::List { messages: 20_000 },
    },
    Scenario { name: "start", unit: "ms until mail is accepted", goal: 1.0 / 5.0, work: Work::Start },
    Scenario { name: "sendmail", unit: "message", goal: 1.0 / 2.0, work: Work::Submit { messages: 100 } },
];

impl Scenario {
    /// Is the cost CPU time of a unit?
    pub(crate) fn is_cpu(&self) -> bool {
        !matches!(self.work, Work::Idle { .. } | Work::List { .. } | Work::Start)
    }

    /// One run.
    pub(crate) async fn measure(&self, world: &World<'_>) -> Result<Measured, String> {
        let World { subject, sink, scale } = world;
        let scaled = |count: usize| (count * scale / 100).max(1);
        match &self.work {
            Work::Sessions(sessions) => {
                let load = sessions.load(address(subject, sessions.key), *scale);
                let before = subject.cpu_time();
                let elapsed = run(&load).await?;
                if load.messages > 0 {
                    subject.wait_until_idle()?;
                }
                Ok(Measured::cpu(subject.cpu_time() - before, elapsed, units(&load)))
            }
            Work::Relay { sessions } => {
                let sessions = scaled(*sessions);
                let goal = sink.taken.load(Ordering::Relaxed) + sessions;
                self.until(subject, sessions, "x@relay.test", || sink.taken.load(Ordering::Relaxed) >= goal)
                    .await
            }
            Work::Maildir { sessions } => {
                let sessions = scaled(*sessions);
                subject.empty_mailbox();
                self.until(subject, sessions, "x@maildir.test", || subject.delivered() >= sessions).await
            }
            Work::Idle { postfix, mailclad } => {
                let (sessions, first) = match subject.kind {
                    Kind::Postfix => (*postfix, 0),
                    // What the first sessions bring into memory belongs to all of them.
                    Kind::Mailclad => (scaled(*mailclad), scaled(*mailclad) / 10),
                };
                let load = Load {
                    server: address(subject, Key::Ecdsa),
                    tls: Some(TLS13),
                    clients: 1,
                    sessions: 1,
                    messages: 0,
                    size: 0,
                    recipient: String::new(),
                };
                // Processes of earlier work would hold these sessions for nothing.
                subject.restart()?;
                let some = load::idle(&load, first).await?;
                let before = subject.memory();
                let held = load::idle(&load, sessions - first).await?;
                let after = subject.memory();
                drop((some, held));
                let kilobytes = after.saturating_sub(before) as f64 / 1024.0 / (sessions - first) as f64;
                Ok(Measured { cost: kilobytes, rate: 0.0 })
            }
            Work::List { messages } => {
                let messages = scaled(*messages);
                subject.fill_queue(address(subject, Key::Rsa), messages).await?;
                // A queue at rest: neither system is still busy with what has just come in.
                tokio::time::sleep(Duration::from_secs(2)).await;
                let began = Instant::now();
                let output =
                    subject.command("postqueue", &["-p"]).output().map_err(|error| error.to_string())?;
                let taken = began.elapsed();
                let listed = output.stdout.windows(7).filter(|text| *text == b"x@held.").count();
                subject.empty_queue()?;
                match listed {
                    listed if listed == messages => {
                        Ok(Measured { cost: taken.as_secs_f64() * 1e6 / messages as f64, rate: 0.0 })
                    }
                    listed => Err(format!("{listed} of {messages} messages are listed")),
                }
            }
            Work::Start => {
                let taken = subject.restart()?;
                Ok(Measured { cost: taken.as_secs_f64() * 1000.0, rate: 0.0 })
            }
            Work::Submit { messages } => submit(subject, scaled(*messages)),
        }
    }

    /// The same sessions with a server that does nothing with the mail: less is not possible with this TLS library. `None` for other work.
    pub(crate) async fn measure_floor(
        &self,
        floor: &sink::Process,
        scale: usize,
    ) -> Option<Result<Measured, String>> {
        let Work::Sessions(sessions) = &self.work else { return None };
        let [rsa, ecdsa] = floor.addresses[..] else { return None };
        let server = match sessions.key {
            Key::Rsa => rsa,
            Key::Ecdsa => ecdsa,
        };
        let load = sessions.load(server, scale);
        let before = processes::cpu_time(floor.id());
        let done = run(&load).await;
        Some(
            done.map(|elapsed| {
                Measured::cpu(processes::cpu_time(floor.id()) - before, elapsed, units(&load))
            }),
        )
    }

    /// Accepts, and waits until all of it has arrived.
    async fn until(
        &self,
        subject: &Subject,
        sessions: usize,
        recipient: &str,
        mut arrived: impl FnMut() -> bool,
    ) -> Result<Measured, String> {
        let load = Load {
            server: address(subject, Key::Rsa),
            tls: None,
            clients: 20,
            sessions: sessions.max(20),
            messages: 1,
            size: 4096,
            recipient: recipient.to_owned(),
        };
        let (before, began) = (subject.cpu_time(), Instant::now());
        load::run(&load).await?;
        let deadline = Instant::now() + Duration::from_secs(120);
        while !arrived() {
            if Instant::now() > deadline {
                return Err("not everything arrives".into());
            }
            // The sink is served by this runtime.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let elapsed = began.elapsed();
        Ok(Measured::cpu(subject.cpu_time() - before, elapsed, load.sessions))
    }
}

impl Measured {
    fn cpu(cpu: Duration, elapsed: Duration, units: usize) -> Measured {
        let units = units as f64;
        Measured { cost: cpu.as_secs_f64() * 1000.0 / units, rate: units / elapsed.as_secs_f64() }
    }
}

/// Gives how long it took.
async fn run(load: &Load) -> Result<Duration, String> {
    let done = load::run(load).await?;
    match load.tls {
        Some(tls) if tls.resumes && done.resumed < load.sessions * 9 / 10 => {
            Err(format!("only {} of {} sessions were resumed", done.resumed, load.sessions))
        }
        _ => Ok(done.elapsed),
    }
}

fn units(load: &Load) -> usize {
    load.sessions * load.messages.max(1)
}

fn address(subject: &Subject, key: Key) -> SocketAddr {
    let port = match key {
        Key::Rsa => subject.rsa,
        Key::Ecdsa => subject.ecdsa,
    };
    ([127, 0, 0, 1], port).into()
}

/// The commands' own CPU time counts as well: they are children of this process.
fn submit(subject: &Subject, messages: usize) -> Result<Measured, String> {
    use std::io::Write;
    let children = processes::children_time;
    let (before, own_before, began) = (subject.cpu_time(), children(), Instant::now());
    for _ in 0..messages {
        let mut child = subject
            .command("sendmail", &["-f", "x@discard.test", "x@discard.test"])
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(b"Subject: load\n\nbody\n").map_err(|error| error.to_string())?;
        }
        if !child.wait().map_err(|error| error.to_string())?.success() {
            return Err("sendmail fails".into());
        }
    }
    let elapsed = began.elapsed();
    let own = children() - own_before;
    subject.wait_until_idle()?;
    Ok(Measured::cpu(subject.cpu_time() - before + own, elapsed, messages))
}
