//! The tests before the greeting: does the client talk before its turn, and what do DNS lists say of it?

use std::sync::Arc;

use config::escape::escape;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::dnsbl::Inquiry;
use super::screening::{DnsblResult, Next};
use super::stamps::Test;
use super::{End, Session, now};
use crate::smtpd::connection::Connection;

/// How much of what a client says too early is looked at, in bytes.
const SEEN: usize = 1023;

/// What ends the wait, or a part of it.
enum Event {
    /// So many bytes came too early.
    Talk(Vec<u8>),
    HungUp,
    /// All DNS lists have answered.
    Dnsbl,
    /// postscreen_greet_wait is over.
    Time,
}

impl Session<'_> {
    /// Both tests, at the same time. `None`: the session goes on.
    pub(super) async fn early_tests(&mut self) -> Option<End> {
        self.begin_phase("tests before SMTP handshake");
        let listens = self.screening.is_todo(Test::Pregreet);
        if listens && !self.send_teaser().await {
            return Some(End::HungUp);
        }
        let client = self.ends.client.ip();
        let inquiry = self.screening.is_todo(Test::Dnsbl).then(|| self.screen.dnsbl.ask(client, &self.log));
        let mut result = None;
        if let Some(end) = self.wait(listens, inquiry.as_ref(), &mut result).await {
            return Some(end);
        }
        self.screening.greet_wait_is_over(&self.screen.policy, &mut self.place.shared().stamps, now());
        let inquiry = inquiry?;
        let result = match result {
            Some(result) => result,
            // Lists that have not answered by now do not count.
            None => self.take_dnsbl(&inquiry).await,
        };
        if result.score >= self.screen.policy.dnsbl_threshold {
            maillog::info!(self.log, "DNSBL rank {} for {}", result.score, self.name);
        }
        let policy = &self.screen.policy;
        let stamps = &mut self.place.shared().stamps;
        match self.screening.judge_dnsbl(policy, client, &result, stamps, now()) {
            Next::Continue => None,
            Next::Drop(reply) => Some(End::Closed(reply)),
        }
    }

    /// The first half of a greeting: who takes it for the whole talks too early.
    async fn send_teaser(&mut self) -> bool {
        let mut teaser = format!("220-{}\r\n", self.screen.teaser).into_bytes();
        let limit = self.command_time_limit();
        self.connection.write(&mut teaser, limit).await.is_ok()
    }

    /// Waits until all results are there, or the time is over.
    async fn wait(
        &mut self,
        mut listens: bool,
        inquiry: Option<&Arc<Inquiry>>,
        result: &mut Option<DnsblResult>,
    ) -> Option<End> {
        let wait = self.screen.greet_wait.under(self.screen.clients.is_stressed());
        let deadline = Instant::now() + wait;
        loop {
            let asked = inquiry.filter(|_| result.is_none());
            match self.next_event(listens, asked, deadline).await {
                Event::Time => return None,
                Event::HungUp => return Some(End::HungUp),
                Event::Dnsbl => *result = Some(self.take_dnsbl(asked?).await),
                Event::Talk(text) => {
                    listens = false;
                    if let Next::Drop(reply) = self.talked(&text) {
                        return Some(End::Closed(reply));
                    }
                }
            }
            if self.screening.early_tests_are_done() {
                return None;
            }
        }
    }

    async fn next_event(&self, listens: bool, inquiry: Option<&Arc<Inquiry>>, deadline: Instant) -> Event {
        let talk = async {
            match &self.connection {
                Connection::Plain(stream) if listens => first_words(stream).await,
                _ => std::future::pending().await,
            }
        };
        let answered = async {
            match inquiry {
                Some(inquiry) => inquiry.answered().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // What the client did before counts before what time did.
            biased;
            event = talk => event,
            () = answered => Event::Dnsbl,
            () = tokio::time::sleep_until(deadline) => Event::Time,
        }
    }

    fn talked(&mut self, text: &[u8]) -> Next {
        maillog::info!(
            self.log,
            "PREGREET {} after {} from {}: {:.100}",
            text.len(),
            self.elapsed(),
            self.name,
            escape(text)
        );
        self.screening.pregreeted(&self.screen.policy)
    }

    async fn take_dnsbl(&mut self, inquiry: &Inquiry) -> DnsblResult {
        let result = self.screen.dnsbl.result(inquiry).await;
        let stamps = &mut self.place.shared().stamps;
        self.screening.dnsbl_answered(&self.screen.policy, &result, stamps, now());
        result
    }
}

/// What the client says, which stays in the connection for those who hear it next.
async fn first_words(stream: &TcpStream) -> Event {
    let mut seen = [0; SEEN];
    match stream.peek(&mut seen).await {
        Ok(0) | Err(_) => Event::HungUp,
        Ok(count) => Event::Talk(seen[..count].to_vec()),
    }
}
