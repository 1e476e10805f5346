//! The tests after the greeting: the driver of our own SMTP engine, with STARTTLS.

use std::sync::Arc;

use bytes::BytesMut;
use smtp::server::EhloKeywords;
use tables::{Key, Lookup};
use tokio::time::Instant;

use mail::{Detail, Reply};

use super::engine::{Engine, Judge, Next, Step};
use super::{End, Session, now};
use crate::smtpd::connection::{Connection, NoInput};
use crate::smtpd::handshake;

/// When a table can not be asked: the client may come again.
const UNAVAILABLE: Reply = Reply::fixed(421, Some(Detail(3, 2)), "Service currently unavailable");

impl Session<'_> {
    /// Speaks SMTP with the client until one of both has enough. It never reaches smtpd in this session.
    pub(super) async fn deep_tests(&mut self) -> End {
        self.begin_phase("tests after SMTP handshake");
        self.screening.keep_here();
        self.screening.enter_deep_tests();
        let discard = match self.discard().await {
            Ok(discard) => discard,
            Err(end) => return end,
        };
        let tls_available = self.screen.tls.as_ref().is_some_and(|server| server.is_available());
        let options = Arc::clone(&self.screen.engine);
        let mut engine = Engine::new(options, self.name.clone(), discard, tls_available);
        // Who talked early gets no greeting any more, so that its commands and our replies stay together.
        if !self.screening.talked_early() && !self.say(engine.greeting()).await {
            return End::HungUp;
        }
        let mut deadline = Instant::now() + self.command_time_limit();
        loop {
            let step = match self.judged(|judge| engine.next_line(judge)) {
                Step { log, next: Next::Line(line), .. } => {
                    self.write_log(&log);
                    let line = match self.filtered(line).await {
                        Ok(line) => line,
                        Err(end) => return end,
                    };
                    deadline = Instant::now() + self.command_time_limit();
                    self.judged(|judge| engine.execute(&line, judge))
                }
                step => step,
            };
            self.write_log(&step.log);
            if let Some(reply) = step.reply
                && !self.say(reply).await
            {
                return End::HungUp;
            }
            match step.next {
                Next::GoOn | Next::Line(_) => {}
                Next::Close(reply) => return End::Closed(reply),
                Next::StartTls => {
                    if !self.shake_hands().await {
                        return End::HungUp;
                    }
                    engine.secured();
                    deadline = Instant::now() + self.command_time_limit();
                }
                Next::Read => match self.read(engine.input(), deadline).await {
                    Ok(()) => {}
                    Err(NoInput::Lost) => return End::HungUp,
                    Err(NoInput::Timeout) => {
                        let step = engine.timed_out();
                        self.write_log(&step.log);
                        if let Next::Close(reply) = step.next {
                            return End::Closed(reply);
                        }
                    }
                },
            }
        }
    }

    fn judged(&mut self, work: impl FnOnce(&mut Judge<'_>) -> Step) -> Step {
        let mut shared = self.place.shared();
        work(&mut Judge {
            policy: &self.screen.policy,
            screening: &mut self.screening,
            stamps: &mut shared.stamps,
            now: now(),
        })
    }

    fn write_log(&self, lines: &[String]) {
        for line in lines {
            maillog::info!(self.log, "{line}");
        }
    }

    async fn read(&mut self, input: &mut BytesMut, deadline: Instant) -> Result<(), NoInput> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.connection.read(input, left).await
    }

    /// postscreen_discard_ehlo_keyword_address_maps, else postscreen_discard_ehlo_keywords.
    async fn discard(&self) -> Result<EhloKeywords, End> {
        let address = self.ends.client.ip().to_string();
        match self.screen.discard_maps.find(&address, Key::Full).await {
            Lookup::Absent => Ok(self.screen.discard),
            Lookup::Found(words) => {
                let discard = EhloKeywords::parse(&words);
                if discard != self.screen.discard && discard.is_noisy() {
                    maillog::info!(self.log, "{}: discarding EHLO keywords: {discard}", self.name);
                }
                Ok(discard)
            }
            Lookup::Failed(why) => {
                maillog::warning!(self.log, "postscreen_discard_ehlo_keyword_address_maps: {why}");
                Err(End::Closed(UNAVAILABLE))
            }
        }
    }

    /// postscreen_command_filter.
    async fn filtered(&self, line: Vec<u8>) -> Result<Vec<u8>, End> {
        if self.screen.command_filter.is_empty() {
            return Ok(line);
        }
        // Tables hold text.
        let Ok(text) = std::str::from_utf8(&line) else { return Ok(line) };
        match self.screen.command_filter.find(text.trim_start_matches([' ', '\t']), Key::Full).await {
            Lookup::Absent => Ok(line),
            Lookup::Found(new) => {
                maillog::info!(
                    self.log,
                    "{}: replacing command \"{text:.100}\" with \"{new:.100}\"",
                    self.name
                );
                Ok(new.into_bytes())
            }
            Lookup::Failed(why) => {
                maillog::warning!(self.log, "postscreen_command_filter: {why}");
                Err(End::Closed(UNAVAILABLE))
            }
        }
    }

    /// Turns TLS on, as tlsproxy(8) would, under its name in the log.
    async fn shake_hands(&mut self) -> bool {
        let Some(server) = &self.screen.tls else { return false };
        let log = self.screen.tls_log.session();
        maillog::info!(log, "CONNECT from {}", self.name);
        let connection = std::mem::replace(&mut self.connection, Connection::Gone);
        let Connection::Plain(stream) = connection else { return false };
        // postscreen(8) asks for no names.
        let address = self.ends.client.ip();
        let levels = self.screen.tls_levels.level_for(&address.to_string(), address, &self.log).await;
        match handshake::shake_hands(server, levels, stream, &self.name, &log).await {
            Some((stream, _)) => {
                self.connection = Connection::Secured(stream);
                true
            }
            None => {
                maillog::info!(log, "DISCONNECT {}", self.name);
                false
            }
        }
    }
}
