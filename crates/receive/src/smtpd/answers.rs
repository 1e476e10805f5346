//! What a session asks, answered: access control, limits, room, and the message's way into the queue.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use access::{Asked, Decision, Deferrals, Effect, Note};
use link::message::FlushWhat;
use link::{Reply as LinkReply, Request};
use mail::client::Forwarded;
use mail::{Address, Detail, Envelope, Origin, QueueId, Reply};
use route::Context;
use smtp::server::{
    Commit, Connect, Data, EndOfData, Etrn, Helo, Options, Pending, Question, Sender, Session, Step, To,
    Verdict, Vrfy, reply,
};

use super::connection::Connection;
use super::{Driver, InHand};
use crate::anvil::Event;
use crate::cleanup::checks::About;
use crate::cleanup::{Beginning, Intake};

/// Messages that were begun in this process.
static INSTANCES: AtomicU64 = AtomicU64::new(0);

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
                let Vrfy { address, smtputf8, .. } = &question.about;
                if self.is_illegal("VRFY", question.about.text(), address, *smtputf8).await {
                    return question.answer(Verdict::Refuse(reply::BAD_RECIPIENT));
                }
                let asked = Asked {
                    recipient: Some(&question.about.address),
                    ..self.asked(question.session(), "VRFY")
                };
                let decision = self.service.access.rcpt(&asked).await;
                self.log_decision("VRFY", &asked, &decision);
                let standing = self.milters_standing(question.session(), "VRFY");
                question.answer(verdict(decision.refusal.or(standing)))
            }
            Question::Etrn(question) => self.etrn(question).await,
            Question::StartTls(question) => {
                let refusal = match self.may_begin_tls("STARTTLS") {
                    true => self.milters_at_starttls(question.session()),
                    false => Some(Reply::new(
                        454,
                        Detail(7, 0),
                        format!("Error: too many new TLS sessions from {}", self.name),
                    )),
                };
                question.answer(verdict(refusal))
            }
            Question::Unknown(question) => {
                let refusal = self.milters_at_unknown(question.session(), &question.about.line).await;
                question.answer(verdict(refusal))
            }
            Question::Auth(question) => self.authenticate(question, connection).await,
        }
    }

    /// What is known at a stage.
    fn asked<'a>(&'a self, session: &'a Session, stage: &'a str) -> Asked<'a> {
        let transaction = session.transaction();
        let envelope = transaction.map(|transaction| &transaction.envelope);
        Asked {
            sender: envelope.map(|envelope| &envelope.sender),
            recipient_count: envelope.map_or(0, |envelope| envelope.recipients.len()),
            size: transaction.and_then(|transaction| transaction.size),
            sasl_sender: transaction.and_then(|transaction| transaction.auth.as_deref()),
            queue_id: self.mail.as_ref().and_then(|mail| mail.id.as_ref()).map(QueueId::as_str),
            instance: &self.instance,
            stage,
            pipelined: session.has_pipelined(),
            deferrals: Some(&self.deferrals),
            ..Asked::of(session.client())
        }
    }

    /// The same for all questions about one message, and for no others.
    fn new_instance(&self) -> String {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let session = INSTANCES.fetch_add(1, Ordering::Relaxed);
        format!("{:x}.{:x}.{:x}.0", std::process::id(), since.as_secs(), session)
    }

    /// XCLIENT: everything that goes by the client begins anew; rates are still those of the host that speaks for it, which is
    /// trusted and has none.
    async fn become_another(&mut self, question: &mut Pending<Connect>) -> Option<Reply> {
        let client = question.session().client().clone();
        self.name = client.name_address();
        // Nobody's tables and networks hold this one.
        self.address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.limited = false;
        self.mail = None;
        if let Some(milters) = self.milters.take() {
            milters.quit().await;
        }
        let (options, refusal) = self.options_of(&client).await;
        // Who may use XFORWARD was decided when it connected, as in Postfix.
        let xforward = question.session().options().xforward;
        question.replace_options(Arc::new(Options { xforward, ..(*options).clone() }));
        refusal
    }

    async fn connect(&mut self, mut question: Pending<Connect>, connection: &mut Connection) -> Step {
        if question.about.again
            && let Some(refusal) = self.become_another(&mut question).await
        {
            return question.give_up(refusal);
        }
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
        let stage = if question.about.again { "XCLIENT" } else { "CONNECT" };
        let asked = self.asked(question.session(), stage);
        let decision = self.service.access.connect(&asked).await;
        self.log_decision(stage, &asked, &decision);
        self.deferrals = Deferrals { client: decision.deferral, ..Deferrals::default() };
        // Who talks before the greeting is seen now.
        connection.read_now(question.input());
        let verdict = match decision.refusal {
            Some(refusal) => Verdict::Refuse(refusal),
            None => self.milters_at_connect(question.session().client()).await,
        };
        question.answer(verdict)
    }

    async fn helo(&mut self, question: Pending<Helo>) -> Step {
        let mut client = question.session().client().clone();
        client.helo = Some(question.about.name.clone());
        let stage = if question.about.esmtp { "EHLO" } else { "HELO" };
        let asked = Asked { client: &client, ..self.asked(question.session(), stage) };
        let decision = self.service.access.helo(&asked).await;
        self.log_decision(stage, &asked, &decision);
        self.deferrals.helo = decision.deferral;
        let Helo { raw, esmtp, .. } = &question.about;
        // The session speaks ESMTP once EHLO is accepted.
        client.esmtp |= esmtp;
        let verdict = match decision.refusal {
            Some(refusal) => Verdict::Refuse(refusal),
            None => self.milters_at_helo(&client, raw, *esmtp).await,
        };
        question.answer(verdict)
    }

    async fn mail_from(&mut self, question: Pending<Sender>) -> Step {
        if self.exceeds_rate(
            Event::Message,
            self.service.limits.message_rate,
            "Message delivery request rate",
        ) {
            let text = format!("Error: too much mail from {}", self.address);
            return question.refuse(Reply::new(450, Detail(7, 1), text));
        }
        if !self.service.room.is_there() {
            maillog::warning!(self.log, "not enough free space in the file system of the mail queue");
            return question.refuse(Reply::new(452, Detail(3, 1), "Insufficient system storage"));
        }
        self.instance = self.new_instance();
        let Sender { address, path, smtputf8, .. } = &question.about;
        if self.is_illegal("MAIL", path, address, *smtputf8).await {
            return question.illegal();
        }
        let question = match question.legal() {
            Ok(question) => question,
            Err(step) => return *step,
        };
        let transaction = &question.about.transaction;
        let asked = Asked {
            sender: Some(&transaction.envelope.sender),
            size: transaction.size,
            sasl_sender: transaction.auth.as_deref(),
            ..self.asked(question.session(), "MAIL")
        };
        let decision = self.service.access.mail(&asked).await;
        self.log_decision("MAIL", &asked, &decision);
        self.deferrals.sender = decision.deferral;
        self.mail = Some(InHand { effects: decision.effects, ..InHand::default() });
        self.proxy_hears_later(&question.about);
        let refusal = match decision.refusal {
            Some(refusal) => Some(refusal),
            None => self.milters_at_mail(question.session(), &question.about).await,
        };
        if refusal.is_none() && !self.service.opens_with_recipient && self.service.proxy_filter.is_none() {
            let author = question.about.transaction.auth.as_deref();
            self.name_message(question.session().client(), author);
        }
        question.answer(verdict(refusal))
    }

    async fn rcpt_to(&mut self, question: Pending<To>) -> Step {
        if self.exceeds_rate(Event::Recipient, self.service.limits.recipient_rate, "Recipient address rate") {
            let text = format!("Error: too many recipients from {}", self.address);
            return question.refuse(Reply::new(450, Detail(7, 1), text));
        }
        let To { address, path, .. } = &question.about;
        let smtputf8 = question.session().transaction().is_some_and(|mail| mail.envelope.smtputf8);
        if self.is_illegal("RCPT", path, address, smtputf8).await {
            return question.illegal();
        }
        let question = match question.legal() {
            Ok(question) => question,
            Err(step) => return *step,
        };
        let session = question.session();
        let asked =
            Asked { recipient: Some(&question.about.recipient.address), ..self.asked(session, "RCPT") };
        let Decision { refusal, effects, mut notes, .. } = match self.is_discarded() {
            false => self.service.access.rcpt(&asked).await,
            // Nobody gets it, so nothing needs to be asked.
            true => Decision::default(),
        };
        // Said once for the whole message.
        let known = self.mail.as_ref().map_or(&[][..], |mail| &mail.effects);
        notes.retain(|note| match note {
            Note::Action { word: "hold", .. } => !known.contains(&Effect::Hold),
            Note::Action { word: "discard", .. } => !known.contains(&Effect::Discard),
            _ => true,
        });
        self.log_decision("RCPT", &asked, &Decision { notes, ..Decision::default() });
        let mut refusal = self.milters_at_rcpt(session, &question.about, refusal).await;
        if let (None, Some(proxy)) = (&refusal, &self.service.proxy_filter) {
            refusal = self.proxy_rcpt(proxy, session, &question.about).await;
        } else if refusal.is_none() {
            let sender = session.transaction().and_then(|transaction| transaction.auth.as_deref());
            self.name_message(session.client(), sender);
        }
        self.add_effects(effects);
        question.answer(verdict(refusal))
    }

    /// Is it no address at all? The log shows it as it came.
    async fn is_illegal(&self, command: &str, text: &str, address: &Address, smtputf8: bool) -> bool {
        // A domain beyond ASCII is a name in mail that says so (RFC 6531 section 3.2), and nonsense in other mail.
        let beyond = !smtputf8 && address.domain().is_some_and(|domain| !domain.is_ascii());
        let illegal = !address.is_null() && (beyond || self.service.access.is_bad_syntax(address).await);
        if illegal {
            maillog::warning!(
                self.log,
                "Illegal address syntax from {} in {command} command: {text}",
                self.name
            );
        }
        illegal
    }

    /// Has a DISCARD action been taken for the message?
    fn is_discarded(&self) -> bool {
        self.mail.as_ref().is_some_and(|mail| mail.effects.contains(&Effect::Discard))
    }

    /// The message gets its id with the first recipient.
    fn name_message(&mut self, client: &mail::ClientFacts, sender: Option<&str>) {
        let mail = self.mail.get_or_insert_default();
        if mail.id.is_some() {
            return;
        }
        let id = self.receive.next_id();
        let sasl = match &client.sasl {
            Some(sasl) => {
                let sender = sender.map(|sender| format!(", sasl_sender={sender}"));
                let sender = sender.unwrap_or_default();
                format!(", sasl_method={}, sasl_username={}{sender}", sasl.method, sasl.username)
            }
            None => String::new(),
        };
        let forwarded = client.forwarded.as_deref().map(told_of).unwrap_or_default();
        maillog::info!(self.log, "{id}: client={}{sasl}{forwarded}", self.name);
        if let Some(milters) = &mut self.milters {
            milters.name_message(&id);
        }
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
        let asked = Asked { recipient: only_recipient(session), ..self.asked(session, "DATA") };
        let Decision { refusal, effects, notes, .. } = match self.is_discarded() {
            false => self.service.access.data(&asked).await,
            true => Decision::default(),
        };
        self.log_decision("DATA", &asked, &Decision { notes, ..Decision::default() });
        let refusal = match refusal {
            Some(refusal) => Some(refusal),
            None => self.milters_at_data(session).await,
        };
        if refusal.is_some() {
            return question.answer(verdict(refusal));
        }
        self.add_effects(effects);
        if self.service.proxy_filter.is_some() {
            let refusal = self.proxy_data(session).await;
            return question.answer(verdict(refusal));
        }
        let asked = self.asked(session, "DATA");
        let (local, decision) = self.service.access.rewrites_headers_of(&asked).await;
        self.log_decision("DATA", &asked, &decision);
        if let Some(mail) = self.mail.as_mut() {
            mail.is_local = local;
        }
        let context = if local { Context::Local } else { Context::Remote };
        if let Some(transaction) = session.transaction() {
            self.begin_intake(session.client(), &transaction.envelope, context).await;
        }
        question.answer(Verdict::Accept)
    }

    async fn begin_intake(&mut self, client: &mail::ClientFacts, envelope: &Envelope, context: Context) {
        let cleanup = &self.service.cleanup;
        let Some(mail) = self.mail.as_mut() else { return };
        let Some(id) = mail.id else { return };
        let arrival = SystemTime::now();
        let mut first_lines = prepended(&mail.effects);
        first_lines.push_str(&self.service.received.of_client(client, envelope, Some(&id), arrival));
        if envelope.require_tls && self.service.require_tls_header {
            first_lines.push_str("Require-TLS-ESMTP: yes\n");
        }
        let beginning = Beginning {
            id,
            arrival,
            sender: envelope.sender.clone(),
            full_name: None,
            context,
            first_lines,
            overrides: self.service.overrides.clone(),
            about: About::of_client(client, envelope),
            discard: mail.effects.contains(&Effect::Discard),
        };
        let intake = Intake::begin(cleanup.clone(), self.receive.queue.clone(), beginning).await;
        mail.intake = Some(Box::new(intake));
    }

    async fn end_of_data(&mut self, question: Pending<EndOfData>) -> Step {
        let session = question.session();
        let asked = Asked { recipient: only_recipient(session), ..self.asked(session, "END-OF-MESSAGE") };
        let Decision { refusal, effects, notes, .. } = match self.is_discarded() {
            false => self.service.access.end_of_data(&asked).await,
            true => Decision::default(),
        };
        let decision = Decision { notes, ..Decision::default() };
        self.log_decision("END-OF-MESSAGE", &asked, &decision);
        if let Some(reply) = refusal {
            return question.answer(Commit::Refuse(reply));
        }
        self.add_effects(effects);
        let commit = match (self.mail.take(), session.transaction()) {
            (Some(InHand { proxy: Some(proxy), .. }), _) => self.proxy_end(*proxy, session).await,
            (
                Some(InHand { id: Some(id), effects, intake: Some(intake), is_local, .. }),
                Some(transaction),
            ) => {
                let client = mail::ClientFacts { local: is_local, ..session.client().clone() };
                let origin = Origin::Client(Box::new(client));
                match intake.keep(&transaction.envelope, origin, &effects, self.milters.as_deref_mut()).await
                {
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
        let asked = Asked { etrn_domain: Some(&domain), ..self.asked(question.session(), "ETRN") };
        let decision = self.service.access.etrn(&asked).await;
        self.log_decision("ETRN", &asked, &decision);
        let standing = self.milters_standing(question.session(), "ETRN");
        if let Some(reply) = decision.refusal.or(standing) {
            return question.answer(Verdict::Refuse(reply));
        }
        match self.service.flushes(&domain).await {
            Ok(true) => {}
            Ok(false) => {
                maillog::warning!(self.log, "reject: ETRN {domain:.100}... from {}", self.name);
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

    pub(super) fn exceeds_rate(&self, event: Event, limit: u32, what: &str) -> bool {
        if !self.limited || limit == 0 {
            return false;
        }
        let count = self.receive.prepared.anvil.count(self.service.line, self.counted, event, Instant::now());
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

/// The headers of PREPEND actions, with line ends.
pub(super) fn prepended(effects: &[Effect]) -> String {
    let headers = effects.iter().filter_map(|effect| match effect {
        Effect::Prepend(header) => Some(format!("{header}\n")),
        _ => None,
    });
    headers.collect()
}

/// The recipient of a message that has one: what is said behind RCPT TO is about him.
fn only_recipient(session: &Session) -> Option<&Address> {
    match &session.transaction()?.envelope.recipients[..] {
        [only] => Some(&only.address),
        _ => None,
    }
}

/// `, orig_queue_id=ID, orig_client=NAME[ADDR]`, as far as a filter has said it.
pub(super) fn told_of(forwarded: &Forwarded) -> String {
    let ident = forwarded.ident.as_ref().map(|ident| format!(", orig_queue_id={ident}")).unwrap_or_default();
    let client = match forwarded.of_client {
        true => format!(", orig_client={}", forwarded.name_address()),
        false => String::new(),
    };
    ident + &client
}

fn verdict(refusal: Option<Reply>) -> Verdict {
    refusal.map_or(Verdict::Accept, Verdict::Refuse)
}
