//! One session without a message: greeting, EHLO, STARTTLS, EHLO, QUIT.

use std::sync::Arc;
use std::time::Duration;

use mail::{Outcome, Status, TlsFacts};
use smtp::client::{self, Greeted, Next, Peer, Stage, Step};
use tls::journal::{Gravity, Journal};
use tls::log_level::LogLevels;
use tls::policy::{Offer, Plan, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Finger, Mode, Report};
use crate::session::Stream;

struct Talk<'a> {
    finger: &'a Finger,
    report: &'a mut Report,
    peer: Peer,
    plan: Plan,
    stream: Box<dyn Stream>,
    /// What was heard of a line that has not ended.
    heard: Vec<u8>,
}

/// Carries the session out.
pub(super) async fn run(
    finger: &Finger,
    report: &mut Report,
    peer: Peer,
    plan: Plan,
    stream: Box<dyn Stream>,
) {
    let mut talk = Talk { finger, report, peer: peer.clone(), plan, stream, heard: Vec::new() };
    // What the server says to QUIT is part of the picture.
    let options = Arc::new(client::Options {
        skip_quit_response: false,
        loop_detection: None,
        ..(*finger.service.options).clone()
    });
    let secured = match talk.plan.is_wrapper() {
        false => None,
        true => match talk.shake().await {
            Some(facts) => Some(facts),
            None => return,
        },
    };
    talk.drive(client::begin(options, peer, secured)).await;
}

impl Talk<'_> {
    async fn drive(&mut self, mut step: Step) {
        loop {
            self.show('>', &step.send);
            if !step.send.is_empty() {
                let limit = self.finger.service.time_limit(Stage::MailFrom);
                let write = async {
                    self.stream.write_all(&step.send).await?;
                    self.stream.flush().await
                };
                let _ = tokio::time::timeout(limit, write).await;
            }
            step = match step.next {
                Next::Read(mut conversation) => {
                    if !conversation.needs_input() {
                        conversation.receive()
                    } else {
                        let limit = self.finger.service.time_limit(conversation.stage());
                        let before = conversation.input().len();
                        let read = self.stream.read_buf(conversation.input());
                        match tokio::time::timeout(limit, read).await {
                            Ok(Ok(n)) if n > 0 => {
                                let new = conversation.input()[before..].to_vec();
                                self.hear(&new);
                                conversation.receive()
                            }
                            Ok(_) => conversation.lost(),
                            Err(_elapsed) => conversation.timed_out(),
                        }
                    }
                }
                Next::Greeted(greeted) => self.greeted(greeted),
                Next::StartTls(upgrade) => match self.shake().await {
                    Some(facts) => upgrade.secured(facts),
                    None => return,
                },
                Next::Closed(closed) => return self.closed(closed).await,
                // There is no message, and nothing is asked for that leads to these.
                Next::Challenge(_) | Next::Ready(_) | Next::Body(_) | Next::Done(_) => return,
            };
        }
    }

    fn greeted(&mut self, greeted: Greeted) -> Step {
        self.report.server_name = Some(greeted.features().hostname.clone());
        if greeted.tls().is_none() {
            let starttls = greeted.features().starttls;
            self.report.offers_starttls = Some(starttls);
            if let Some(refusal) = greeted.starttls_refusal() {
                self.report.problem(&format!(
                    "STARTTLS is announced and refused: {}",
                    refusal.text.replace('\n', " ")
                ));
                return self.leave(greeted);
            }
            let offer = Offer { starttls, local_socket: self.peer.port.is_none() };
            match self.plan.way(offer) {
                Ok(Way::Tls) => return greeted.start_tls(),
                Ok(Way::Plaintext) => self.report.mode = Mode::Plaintext,
                Err(unmet) => self.report.problem(&unmet.text(&self.peer.to_string())),
            }
        }
        self.leave(greeted)
    }

    fn leave(&self, greeted: Greeted) -> Step {
        greeted.refuse(Outcome::deferred(Status::new(4, 0, 0), "none", ""))
    }

    async fn closed(&mut self, closed: client::Closed) {
        if closed.stage == Stage::Quit {
            let mut buffer = vec![0; 1024];
            let limit = self.finger.service.time_limit(Stage::Quit);
            if let Ok(Ok(n)) = tokio::time::timeout(limit, self.stream.read(&mut buffer)).await {
                self.hear(&buffer[..n]);
            }
        } else if let Some(outcome) = closed.outcome {
            (self.finger.say)(&outcome.text);
            self.report.problem(&outcome.text);
        }
        let _ = tokio::time::timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }

    async fn shake(&mut self) -> Option<TlsFacts> {
        let Ok(engine) = &self.finger.service.client else { return None };
        let Peer { host, address, port } = &self.peer;
        let name = match port {
            Some(port) => format!("{}[{address}]:{port}", host.to_ascii_lowercase()),
            None => format!("{host}[{address}]"),
        };
        let say = Arc::clone(&self.finger.say);
        let write = move |gravity, line: &str| match gravity {
            Gravity::Info => say(line),
            Gravity::Warning => say(&format!("warning: {line}")),
        };
        let levels = LogLevels::parse("-L", &self.finger.wanted.log_levels, &mut Vec::new());
        let journal = Journal::new(name.clone(), levels, Arc::new(write));
        let server = tls::client::Server { host: host.clone(), address: address.clone(), port: *port };
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        match engine.connect(&self.plan, &server, plain, journal).await {
            Ok(connection) => {
                self.report.handshake(&self.plan, &connection, engine.digest());
                self.stream = Box::new(connection.stream);
                Some(connection.facts)
            }
            Err(failure) => {
                if !failure.is_told() {
                    (self.finger.say)(&format!("SSL_connect error to {name}: {}", failure.cause));
                }
                for line in &failure.library {
                    (self.finger.say)(&format!("warning: {line}"));
                }
                self.report.problem(&format!("the handshake failed: {failure}"));
                None
            }
        }
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        if let Some(end) = self.heard.iter().rposition(|byte| *byte == b'\n') {
            let lines: Vec<u8> = self.heard.drain(..=end).collect();
            self.show('<', &lines);
        }
    }

    /// A dialogue, line by line; what is no text becomes `?`.
    fn show(&self, direction: char, bytes: &[u8]) {
        if !self.finger.wanted.chat {
            return;
        }
        for line in String::from_utf8_lossy(bytes).lines() {
            let line: String = line.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
            (self.finger.say)(&format!("{direction} {line}"));
        }
    }
}
