//! What a session asks, answered: access control, limits, room, and the message's way into the queue.

use std::time::{Instant, SystemTime};

use access::{Asked, Decision, Effect, Note};
use link::message::FlushWhat;
use link::{Reply as LinkReply, Request};
use mail::{Detail, Envelope, Origin, Reply};
use route::Context;
use smtp::server::{
    AuthVerdict, Commit, Connect, Data, EndOfData, Etrn, Helo, MailFrom, Pending, Question, RcptTo, Step,
    Verdict, reply,
};

use super::connection::Connection;
use super::{Driver, InHand};
use crate::anvil::Event;
use crate::cleanup::{Beginning, Intake};

impl Driver<'_> {
    /// Answers one question.
    pub(super) async fn answer(&mut self, question: Question, connection: &mut Connection) -> Step {
        match question {
            Question::Connect(question) => self.connect(question, connection).await,
            Question::Helo(question) => self.helo(question).await,
            Question::Mail(question) => self.mail_from(question).await,
            Question::Rcpt(question) => self.rcpt_to(question).await,
            Question::Data(question) => self.data(question).await,
            Question::EndOfData(question) => self.end_of_data(question).await,
            Question::Vrfy(question) => {
                let asked = Asked {
                    recipient: Some(&question.about.address),
                    ..Asked::of(question.session().client())
                };
                let decision = self.service.access.rcpt(&asked).await;
                self.log_decision("VRFY", &asked, &decision);
                question.answer(verdict(decision.refusal))
            }
            Question::Etrn(question) => self.etrn(question).await,
            Question::StartTls(question) => question.answer(Verdict::Accept),
            // Never asked while no mechanism is offered.
            Question::Auth(question) => question.answer(AuthVerdict::Refuse(reply::AUTH_OFF)),
        }
    }

    async fn connect(&mut self, mut question: Pending<Connect>, connection: &mut Connection) -> Step {
        let limits = &self.service.limits;
        let (sessions, rate) = self.counts;
        for (count, limit, what) in
            [(sessions, limits.connections, "concurrency"), (rate, limits.connection_rate, "rate")]
        {
            if self.exceeds(count, limit, &format!("Connection {what}")) {
                let text =
                    format!("{} Error: too many connections from {}", self.service.hostname, self.address);
                return question.give_up(Reply::new(421, Detail(7, 0), text));
            }
        }
        let asked = Asked::of(question.session().client());
        let decision = self.service.access.connect(&asked).await;
        self.log_decision("CONNECT", &asked, &decision);
        // Who talks before the greeting is seen now.
        connection.read_now(question.input());
        question.answer(verdict(decision.refusal))
    }

    async fn helo(&mut self, question: Pending<Helo>) -> Step {
        let mut client = question.session().client().clone();
        client.helo = Some(question.about.name.clone());
        client.esmtp |= question.about.esmtp;
        let asked = Asked::of(&client);
        let decision = self.service.access.helo(&asked).await;
        self.log_decision(if question.about.esmtp { "EHLO" } else { "HELO" }, &asked, &decision);
        question.answer(verdict(decision.refusal))
    }

    async fn mail_from(&mut self, question: Pending<MailFrom>) -> Step {
        if self.exceeds_rate(
            Event::Message,
            self.service.limits.message_rate,
            "Message delivery request rate",
        ) {
            let text = format!("Error: too much mail from {}", self.address);
            return question.answer(Verdict::Refuse(Reply::new(450, Detail(7, 1), text)));
        }
        if !self.service.room.is_there() {
            maillog::warning!(self.log, "not enough free space in the file system of the mail queue");
            let refusal = Reply::new(452, Detail(3, 1), "Insufficient system storage");
            return question.answer(Verdict::Refuse(refusal));
        }
        let asked = Asked {
            sender: Some(&question.about.transaction.envelope.sender),
            ..Asked::of(question.session().client())
        };
        let decision = self.service.access.mail(&asked).await;
        self.log_decision("MAIL", &asked, &decision);
        self.mail = Some(InHand { effects: decision.effects, ..InHand::default() });
        question.answer(verdict(decision.refusal))
    }

    async fn rcpt_to(&mut self, question: Pending<RcptTo>) -> Step {
        if self.exceeds_rate(Event::Recipient, self.service.limits.recipient_rate, "Recipient address rate") {
            let text = format!("Error: too many recipients from {}", self.address);
            return question.answer(Verdict::Refuse(Reply::new(450, Detail(7, 1), text)));
        }
        let session = question.session();
        let asked = Asked {
            sender: session.transaction().map(|transaction| &transaction.envelope.sender),
            recipient: Some(&question.about.recipient.address),
            ..Asked::of(session.client())
        };
        let Decision { refusal, effects, mut notes } = self.service.access.rcpt(&asked).await;
        // Said once for the whole message.
        let known = self.mail.as_ref().map_or(&[][..], |mail| &mail.effects);
        notes.retain(|note| match note {
            Note::Action { word: "hold", .. } => !known.contains(&Effect::Hold),
            Note::Action { word: "discard", .. } => !known.contains(&Effect::Discard),
            _ => true,
        });
        self.log_decision("RCPT", &asked, &Decision { notes, ..Decision::default() });
        if refusal.is_none() {
            self.name_message(session.client());
        }
        self.add_effects(effects);
        question.answer(verdict(refusal))
    }

    /// The message gets its id with the first recipient.
    fn name_message(&mut self, client: &mail::ClientFacts) {
        let mail = self.mail.get_or_insert_default();
        if mail.id.is_some() {
            return;
        }
        let id = self.receive.next_id();
        let sasl = match &client.sasl {
            Some(sasl) => format!(", sasl_method={}, sasl_username={}", sasl.method, sasl.username),
            None => String::new(),
        };
        maillog::info!(self.log, "{id}: client={}{sasl}", self.name);
        mail.id = Some(id);
    }

    /// Effects of several recipients add up; the same one twice is one.
    fn add_effects(&mut self, effects: Vec<Effect>) {
        let mail = self.mail.get_or_insert_default();
        for effect in effects {
            if !mail.effects.contains(&effect) {
                mail.effects.push(effect);
            }
        }
    }

    async fn data(&mut self, question: Pending<Data>) -> Step {
        let session = question.session();
        let asked = Asked {
            sender: session.transaction().map(|transaction| &transaction.envelope.sender),
            ..Asked::of(session.client())
        };
        let Decision { refusal, effects, notes } = self.service.access.data(&asked).await;
        self.log_decision("DATA", &asked, &Decision { notes, ..Decision::default() });
        if refusal.is_some() {
            return question.answer(verdict(refusal));
        }
        self.add_effects(effects);
        let (local, decision) = self.service.access.rewrites_headers_of(&asked).await;
        self.log_decision("DATA", &asked, &decision);
        let context = if local { Context::Local } else { Context::Remote };
        if let Some(transaction) = session.transaction() {
            self.begin_intake(session.client(), &transaction.envelope, context).await;
        }
        question.answer(Verdict::Accept)
    }

    async fn begin_intake(&mut self, client: &mail::ClientFacts, envelope: &Envelope, context: Context) {
        let cleanup = &self.service.cleanup;
        let Some(mail) = self.mail.as_mut() else { return };
        let Some(id) = mail.id.clone() else { return };
        let arrival = SystemTime::now();
        let mut first_lines = String::new();
        for effect in &mail.effects {
            if let Effect::Prepend(header) = effect {
                first_lines.push_str(header);
                first_lines.push('\n');
            }
        }
        first_lines.push_str(&cleanup.received.of_client(client, envelope, &id, arrival));
        let beginning = Beginning {
            id,
            arrival,
            sender: envelope.sender.clone(),
            full_name: None,
            context,
            first_lines,
            discard: mail.effects.contains(&Effect::Discard),
        };
        let intake = Intake::begin(cleanup.clone(), self.receive.queue.clone(), beginning).await;
        mail.intake = Some(Box::new(intake));
    }

    async fn end_of_data(&mut self, question: Pending<EndOfData>) -> Step {
        let session = question.session();
        let asked = Asked {
            sender: session.transaction().map(|transaction| &transaction.envelope.sender),
            ..Asked::of(session.client())
        };
        let Decision { refusal, effects, notes } = self.service.access.end_of_data(&asked).await;
        let decision = Decision { notes, ..Decision::default() };
        self.log_decision("END-OF-MESSAGE", &asked, &decision);
        if let Some(reply) = refusal {
            return question.answer(Commit::Refuse(reply));
        }
        self.add_effects(effects);
        let commit = match (self.mail.take(), session.transaction()) {
            (Some(InHand { id: Some(id), effects, intake: Some(intake) }), Some(transaction)) => {
                let origin = Origin::Client(Box::new(session.client().clone()));
                match intake.keep(&transaction.envelope, origin, &effects).await {
                    Ok(()) => Commit::Queued(id.to_string()),
                    Err(trouble) => Commit::Refuse(trouble.reply()),
                }
            }
            // The session asks only with a transaction that was begun here.
            _ => Commit::RefuseAndClose(reply::local_data_error(&self.service.hostname)),
        };
        question.answer(commit)
    }

    async fn etrn(&mut self, question: Pending<Etrn>) -> Step {
        let domain = question.about.domain.clone();
        let asked = Asked { etrn_domain: Some(&domain), ..Asked::of(question.session().client()) };
        let decision = self.service.access.etrn(&asked).await;
        self.log_decision("ETRN", &asked, &decision);
        if let Some(reply) = decision.refusal {
            return question.answer(Verdict::Refuse(reply));
        }
        match self.service.flushes(&domain).await {
            Ok(true) => {}
            Ok(false) => {
                let refusal = Reply::bare(459, format!("<{domain}>: service unavailable"));
                return question.answer(Verdict::Refuse(refusal));
            }
            Err(why) => {
                maillog::warning!(self.log, "{why}");
                return question.answer(Verdict::Refuse(reply::ETRN_UNABLE));
            }
        }
        let flush = Request::Flush(FlushWhat::Site(domain.clone()));
        match self.receive.queue.call(flush, Vec::new()).await {
            Ok((LinkReply::Done, _)) => question.answer(Verdict::Accept),
            Ok(_) | Err(_) => question.answer(Verdict::Refuse(reply::ETRN_UNABLE)),
        }
    }

    // ---- limits per client

    fn exceeds_rate(&self, event: Event, limit: u32, what: &str) -> bool {
        if !self.limited || limit == 0 {
            return false;
        }
        let count = self.receive.prepared.anvil.count(self.service.line, self.address, event, Instant::now());
        self.exceeds(count, limit, what)
    }

    fn exceeds(&self, count: u32, limit: u32, what: &str) -> bool {
        if !self.limited || limit == 0 || count <= limit {
            return false;
        }
        maillog::warning!(
            self.log,
            "{what} limit exceeded: {count} from {} for service {}",
            self.name,
            self.service.name
        );
        true
    }
}

fn verdict(refusal: Option<Reply>) -> Verdict {
    refusal.map_or(Verdict::Accept, Verdict::Refuse)
}
