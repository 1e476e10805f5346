//! One question on its way through the lists: the steps in order, what they leave behind, and the restrictions that look
//! at nothing.

use std::time::Duration;

use mail::{Address, Detail, Reply, Status};

use crate::asked::{Asked, Decision, Deferrals, Effect, Note};
use crate::detail;
use crate::list::{List, Step, StepKind};
use crate::lists::Access;
use crate::restriction::{Argument, Deciding, Needs, Restriction, Takes};

/// Classes may name classes; deeper is taken for a circle.
const MAX_DEPTH: usize = 100;

/// What one step says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Go on with the next one.
    Dunno,
    /// The list is over.
    Permit,
    /// Everything is over.
    Refuse(Reply),
}

/// The state of a question.
pub(crate) struct Evaluation<'a> {
    pub(crate) access: &'a Access,
    pub(crate) asked: &'a Asked<'a>,
    /// The list whose step is being taken.
    pub(crate) list: List,
    effects: Vec<Effect>,
    notes: Vec<Note>,
    /// Inside `warn_if_reject`.
    warn_only: bool,
    depth: usize,
    if_permitted: Option<Reply>,
    if_rejected: Option<Reply>,
    /// reject_unlisted_recipient has had its say.
    pub(crate) recipient_looked_up: bool,
    /// What the table in hand was asked about; otherwise a list is about its own subject.
    table_subject: Option<Subject>,
}

/// What a reply is about: a name and its kind.
pub(crate) type Subject = (String, &'static str);

impl<'a> Evaluation<'a> {
    pub(crate) fn new(access: &'a Access, asked: &'a Asked<'a>) -> Evaluation<'a> {
        let earlier = asked.deferrals.map(|Deferrals { client, helo, sender }| [sender, helo, client]);
        Evaluation {
            access,
            asked,
            list: List::Client,
            effects: Vec::new(),
            notes: Vec::new(),
            warn_only: false,
            depth: 0,
            if_permitted: earlier.into_iter().flatten().flatten().next().cloned(),
            if_rejected: None,
            recipient_looked_up: false,
            table_subject: None,
        }
    }

    /// Goes through one list. `Err` is a refusal.
    pub(crate) async fn run_list(&mut self, list: List) -> Result<bool, Reply> {
        let access = self.access;
        // defer_if_reject is about what follows in its own list; the two of RCPT TO count as one.
        let same = [List::Relay, List::Recipient];
        if !(same.contains(&list) && same.contains(&self.list)) {
            self.if_rejected = None;
        }
        self.list = list;
        match self.run_steps(access.steps(list)).await {
            Outcome::Dunno => Ok(false),
            Outcome::Permit => Ok(true),
            Outcome::Refuse(reply) => Err(reply),
        }
    }

    /// For a stage before RCPT TO: what earlier ones have put off is not its concern.
    pub(crate) fn early(access: &'a Access, asked: &'a Asked<'a>) -> Evaluation<'a> {
        Evaluation { if_permitted: None, ..Evaluation::new(access, asked) }
    }

    /// What would have refused something by now, if it had been asked, refuses it for the moment.
    pub(crate) fn deferral(&mut self) -> Option<Reply> {
        if self.discards() { None } else { self.if_permitted.take() }
    }

    /// The end of a stage before RCPT TO: what would be a deferral there waits until then.
    pub(crate) fn decide_early(mut self, refusal: Option<Reply>) -> Decision {
        let deferral = self.if_permitted.take().filter(|_| refusal.is_none());
        Decision { deferral, ..self.decide(refusal) }
    }

    /// The end of all lists.
    pub(crate) fn decide(mut self, refusal: Option<Reply>) -> Decision {
        let refusal = refusal.or_else(|| self.deferral());
        if let Some(reply) = &refusal {
            self.notes.push(Note::Action { word: "reject", text: reply.to_string() });
            self.effects.clear();
        }
        Decision { refusal, effects: self.effects, notes: self.notes, deferral: None }
    }

    /// Boxed because classes and tables lead here again.
    pub(crate) fn run_steps<'s>(&'s mut self, steps: &'s [Step]) -> Deciding<'s> {
        Box::pin(async move {
            if self.depth >= MAX_DEPTH {
                return self.misconfigured("restriction classes nested too deeply");
            }
            self.depth += 1;
            let mut outcome = Outcome::Dunno;
            for step in steps {
                let outer = self.warn_only;
                self.warn_only |= step.warn_only;
                outcome = self.run_step(&step.kind).await;
                self.warn_only = outer;
                if outcome != Outcome::Dunno {
                    break;
                }
            }
            self.depth -= 1;
            outcome
        })
    }

    async fn run_step(&mut self, kind: &StepKind) -> Outcome {
        match kind {
            StepKind::Run(restriction, argument) => {
                if !self.knows(restriction.needs) {
                    return Outcome::Dunno;
                }
                let outcome = (restriction.run)(self, argument).await;
                // A table's own word was told where it was found.
                if outcome == Outcome::Permit
                    && restriction.takes != Takes::Table
                    && !self.access.permit_log.is_empty()
                {
                    self.note_permit(restriction.name, self.permitted_subject(restriction), "").await;
                }
                outcome
            }
            StepKind::Class(name) => {
                let access = self.access;
                self.run_steps(access.class(name)).await
            }
            StepKind::Broken(text) => self.misconfigured(text),
        }
    }

    /// What a permit is about: the client, where it was permitted for what it is.
    fn permitted_subject(&self, restriction: &Restriction) -> Subject {
        match restriction.name {
            "permit" => self.subject(),
            "permit_auth_destination" | "permit_mx_backup" => {
                let recipient = self.asked.recipient.map(Address::as_str).unwrap_or_default();
                (recipient.to_owned(), "Recipient address")
            }
            _ => (self.asked.client.name_address(), "Client host"),
        }
    }

    /// smtpd_log_access_permit_actions: a line for a permit, unless something overrules it already.
    pub(crate) async fn note_permit(&mut self, action: &str, subject: Subject, text: &str) {
        if self.if_permitted.is_some() || self.discards() || self.access.permit_log.is_empty() {
            return;
        }
        match self.access.permit_log.matches(action).await {
            Ok(true) => {
                let (name, class) = subject;
                self.note("permit", format!("action={action} for {class}={name} {text}"));
            }
            Ok(false) => {}
            Err(why) => self.warn(why),
        }
    }

    fn knows(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::Helo => self.asked.client.helo.is_some(),
            Needs::Sender => self.asked.sender.is_some(),
            Needs::Recipient => self.asked.recipient.is_some(),
            Needs::Etrn => self.asked.etrn_domain.is_some(),
        }
    }

    // ---- what restrictions say

    /// A refusal with a text, which `warn_if_reject` turns into a line of the log and `defer_if_reject` into a 4xx.
    pub(crate) fn refuse(&mut self, code: u16, detail: Detail, text: String) -> Outcome {
        self.refuse_as(Reply::new(code, detail, text))
    }

    /// The same with a whole reply.
    pub(crate) fn refuse_as(&mut self, reply: Reply) -> Outcome {
        // The session would do the same; the log is to show it too.
        let reply = if self.access.soft_bounce { reply.softened() } else { reply };
        if self.warn_only {
            self.notes.push(Note::Action { word: "reject_warning", text: reply.to_string() });
            return Outcome::Dunno;
        }
        match self.if_rejected.take() {
            // An earlier reason to wait is the better one.
            Some(softer) if reply.code >= 500 => Outcome::Refuse(self.if_permitted.take().unwrap_or(softer)),
            _ => Outcome::Refuse(reply),
        }
    }

    /// `<NAME>: CLASS rejected: TEXT`, with what this list is about.
    pub(crate) fn refuse_subject(&mut self, code: u16, detail: Detail, text: &str) -> Outcome {
        let (name, class) = self.subject();
        self.refuse(code, detail, format!("<{name}>: {class} rejected: {text}"))
    }

    /// 451: the configuration can not be carried out.
    pub(crate) fn misconfigured(&mut self, why: &str) -> Outcome {
        self.warn(why.to_owned());
        self.refuse(451, Detail(3, 5), "Server configuration error".into())
    }

    /// 451: an access table could not be asked.
    pub(crate) fn table_failed(&mut self, why: String) -> Outcome {
        self.warn(why);
        self.refuse_subject(451, Detail(3, 5), "Server configuration error")
    }

    /// 451: another table could not be asked.
    pub(crate) fn lookup_failed(&mut self, why: String) -> Outcome {
        self.warn(why);
        let (name, _) = self.subject();
        self.refuse(451, Detail(3, 0), format!("<{name}>: Temporary lookup failure"))
    }

    /// Refuses with this 4xx unless something else refuses first.
    pub(crate) fn defer_if_permitted(&mut self, reply: Reply) -> Outcome {
        if self.warn_only {
            self.notes.push(Note::Action { word: "reject_warning", text: reply.to_string() });
        } else if self.if_permitted.is_none() {
            self.if_permitted = Some(reply);
        }
        Outcome::Dunno
    }

    pub(crate) fn defer_if_rejected(&mut self, reply: Reply) -> Outcome {
        if self.if_rejected.is_none() {
            self.if_rejected = Some(reply);
        }
        Outcome::Dunno
    }

    pub(crate) fn warn(&mut self, text: String) {
        self.notes.push(Note::Warning(text));
    }

    /// A line for the log that calls for no action.
    pub(crate) fn inform(&mut self, text: String) {
        self.notes.push(Note::Info(text));
    }

    /// What follows is about this, until the caller gives back what it got.
    pub(crate) fn replace_subject(&mut self, subject: Option<Subject>) -> Option<Subject> {
        std::mem::replace(&mut self.table_subject, subject)
    }

    /// What the status says in the form that fits `class`; the log is told of a change.
    pub(crate) fn fitting(&mut self, class: &str, status: Status) -> Detail {
        let fitting = Status { detail: detail::fit(class, status.detail), ..status };
        if fitting != status {
            self.notes.push(Note::Info(format!("mapping DSN status {status} into {class} status {fitting}")));
        }
        fitting.detail
    }

    /// Does warn_if_reject stand before what is asked now?
    pub(crate) fn only_warns(&self) -> bool {
        self.warn_only
    }

    pub(crate) fn note(&mut self, word: &'static str, text: String) {
        self.notes.push(Note::Action { word, text });
    }

    pub(crate) fn add(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// DISCARD was said: nobody gets the message, so nobody has to be known.
    pub(crate) fn discards(&self) -> bool {
        self.effects.contains(&Effect::Discard)
    }

    /// What the table or the list in hand is about, as it stands in replies.
    pub(crate) fn subject(&self) -> Subject {
        if let Some(subject) = &self.table_subject {
            return subject.clone();
        }
        let asked = self.asked;
        let address = |address: Option<&Address>| {
            address.map(|address| address.as_str().to_owned()).unwrap_or_default()
        };
        match self.list {
            List::Client | List::HeaderRewrite => (asked.client.name_address(), "Client host"),
            List::Helo => (asked.client.helo.clone().unwrap_or_default(), "Helo command"),
            List::Sender => (address(asked.sender), "Sender address"),
            List::Relay | List::Recipient => (address(asked.recipient), "Recipient address"),
            List::Data => ("DATA".into(), "Data command"),
            List::EndOfData => ("END-OF-MESSAGE".into(), "End-of-data"),
            List::Etrn => (asked.etrn_domain.unwrap_or_default().to_owned(), "Etrn command"),
        }
    }
}

/// A status of a table's text, or one in the class of the code that goes with it, and the rest of the text.
pub(crate) fn split_status(text: &str, code: u16, default: Detail) -> (Status, &str) {
    let class = if code / 100 == 4 { 4 } else { 5 };
    Status::split_from(text).unwrap_or((Status { class, detail: default }, text))
}

// ---- restrictions that look at nothing

pub(crate) fn permit<'a>(_: &'a mut Evaluation<'_>, _: &'a Argument) -> Deciding<'a> {
    Box::pin(async { Outcome::Permit })
}

pub(crate) fn reject<'a>(evaluation: &'a mut Evaluation<'_>, _: &'a Argument) -> Deciding<'a> {
    let code = evaluation.access.codes.reject;
    Box::pin(async move { evaluation.refuse_subject(code, Detail(7, 1), "Access denied") })
}

pub(crate) fn defer<'a>(evaluation: &'a mut Evaluation<'_>, _: &'a Argument) -> Deciding<'a> {
    let code = evaluation.access.codes.defer;
    Box::pin(async move { evaluation.refuse_subject(code, Detail(3, 2), "Try again later") })
}

fn try_again(evaluation: &Evaluation<'_>) -> Reply {
    let (name, class) = evaluation.subject();
    Reply::new(450, Detail(7, 0), format!("<{name}>: {class} rejected: defer_if_permit requested"))
}

pub(crate) fn defer_if_permit<'a>(evaluation: &'a mut Evaluation<'_>, _: &'a Argument) -> Deciding<'a> {
    let reply = try_again(evaluation);
    Box::pin(async move { evaluation.defer_if_permitted(reply) })
}

pub(crate) fn defer_if_reject<'a>(evaluation: &'a mut Evaluation<'_>, _: &'a Argument) -> Deciding<'a> {
    let (name, class) = evaluation.subject();
    let text = format!("<{name}>: {class} rejected: defer_if_reject requested");
    Box::pin(async move { evaluation.defer_if_rejected(Reply::new(450, Detail(7, 0), text)) })
}

/// The client waits; so does nobody else.
pub(crate) fn sleep<'a>(_: &'a mut Evaluation<'_>, argument: &'a Argument) -> Deciding<'a> {
    Box::pin(async move {
        if let Argument::Seconds(seconds) = argument {
            tokio::time::sleep(Duration::from_secs(*seconds)).await;
        }
        Outcome::Dunno
    })
}
