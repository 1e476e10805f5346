//! Following aliases, `.forward` and `:include:` files from one recipient to all the places that they name.
//!
//! A list of destinations that wait, not recursion: its length, its depth and what it remembers are bounded. Addresses of others
//! are collected and become one new message at the end, and only if nothing has to be tried again: otherwise they
//! would get a copy at each attempt.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use mail::{Address, Outcome, QueueId, Recipient, Status, date};
use route::Context;
use route::alias::{self, Destination};

use super::LocalAgent;
use crate::content::delivered_to;
use crate::failure::Failure;
use crate::in_hand::{InHand, Report};
use crate::job::{Done, ReadList, Work};
use crate::resubmit::{Resubmission, clean_up};
use crate::user::{Rights, User};

/// How deep aliases may lead to aliases.
const MAX_DEPTH: usize = 100;
/// How many destinations one recipient may stand for.
const MAX_DESTINATIONS: usize = 100_000;

/// What kind of text named a destination: the words of allow_mail_to_commands and propagate_unmatched_extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Alias,
    Forward,
    Include,
}

impl Source {
    fn word(self) -> &'static str {
        match self {
            Source::Alias => "alias",
            Source::Forward => "forward",
            Source::Include => "include",
        }
    }
}

/// Where a destination was named.
#[derive(Clone)]
pub(super) struct Named {
    /// `None` for the recipient of the message itself.
    pub(super) source: Option<Source>,
    /// The recipient that the log speaks of.
    pub(super) recipient: Recipient,
    /// The owner of the text, unless it is root.
    pub(super) rights: Option<Rights>,
    /// The user whose `.forward` it is.
    pub(super) user: Option<User>,
    pub(super) sender: Address,
    /// What Delivered-To: says: the address that this attempt began with, or, without frozen_delivered_to, the alias or user that
    /// was followed last.
    pub(super) delivered: Address,
    /// Who forwards: the owner of an alias (owner-NAME), a user by his `.forward`, a recipient by a list. Mail for anybody else goes
    /// into a new message then, so that a failure there is no failure here.
    pub(super) forwarder: Option<String>,
    /// An address extension that no key matched, delimiter included.
    pub(super) extension: String,
    /// The aliases and `.forward` files on the way here, which are not followed again.
    pub(super) way: Vec<String>,
}

impl Named {
    pub(super) fn came_by(&self, step: &str) -> bool {
        self.way.iter().any(|earlier| earlier == step)
    }

    /// The innermost alias or `.forward` file.
    pub(super) fn last_name(&self) -> Option<&String> {
        self.way.iter().rev().find(|step| step.starts_with("alias:") || step.starts_with("forward:"))
    }

    /// Is there a `.forward` file on the way from the step to here?
    pub(super) fn came_by_forward_since(&self, step: &str) -> bool {
        let since = self.way.iter().rev().take_while(|earlier| *earlier != step);
        since.into_iter().any(|earlier| earlier.starts_with("forward:"))
    }
}

/// The work for one recipient of a message.
pub(super) struct Expansion<'a> {
    pub(super) agent: &'a LocalAgent,
    pub(super) in_hand: &'a InHand,
    /// As the queue gave it; what Delivered-To: says.
    pub(super) recipient: &'a Recipient,
    waiting: VecDeque<(Destination, Arc<Named>)>,
    seen: HashSet<String>,
    taken: usize,
    lines: Vec<(Recipient, Outcome)>,
    /// New messages: sender, Delivered-To:, recipients.
    forwards: Vec<(Address, Address, Vec<Recipient>)>,
    /// The recipient is an alias.
    pub(super) is_alias: bool,
    /// That alias has an owner.
    pub(super) is_list: bool,
    /// It, and what the sender asked to be told of it, went on in another message.
    passed_on: bool,
    had_duplicates: bool,
}

impl<'a> Expansion<'a> {
    /// One recipient, nothing done yet.
    pub(super) fn new(agent: &'a LocalAgent, in_hand: &'a InHand, recipient: &'a Recipient) -> Expansion<'a> {
        Expansion {
            agent,
            in_hand,
            recipient,
            waiting: VecDeque::new(),
            seen: HashSet::new(),
            taken: 0,
            lines: Vec::new(),
            forwards: Vec::new(),
            is_alias: false,
            is_list: false,
            passed_on: false,
            had_duplicates: false,
        }
    }

    /// Delivers to everything that the recipient leads to, but for addresses of others.
    pub(super) async fn run(&mut self) {
        let named = Named {
            source: None,
            recipient: self.recipient.clone(),
            rights: None,
            user: None,
            sender: self.in_hand.message.envelope.sender.clone(),
            delivered: self.recipient.address.clone(),
            forwarder: None,
            extension: String::new(),
            way: Vec::new(),
        };
        self.local_recipient(Arc::new(named)).await;
        while let Some((destination, named)) = self.waiting.pop_front() {
            self.taken += 1;
            if self.taken > MAX_DESTINATIONS || named.way.len() > MAX_DEPTH {
                let text = format!("alias database loop for {}", self.recipient.address);
                maillog::warning!(self.agent.log, "{}: {text}", self.in_hand.message.id);
                return self.failed(&named.recipient, Failure::new(Status::new(5, 4, 6), text));
            }
            self.destination(destination, named).await;
        }
    }

    /// Forwards what is to be forwarded, and says what became of the recipient.
    pub(super) async fn report(mut self) -> Report {
        let put_off = self.lines.iter().any(|(_, outcome)| outcome.kind == mail::OutcomeKind::Deferred);
        for (sender, delivered, recipients) in std::mem::take(&mut self.forwards) {
            if put_off {
                break;
            }
            if self.in_hand.is_probe() {
                for recipient in &recipients {
                    self.delivered(recipient, format!("forwards to {}", recipient.address));
                }
                continue;
            }
            match self.forward(sender, &delivered, recipients).await {
                Ok(id) => {
                    self.passed_on = true;
                    self.delivered(&self.recipient.clone(), format!("forwarded as {id}"));
                }
                Err(failure) => self.failed(&self.recipient.clone(), failure),
            }
        }
        let relay = &self.agent.transport;
        let nothing = match self.had_duplicates {
            true => Outcome::sent(relay, "duplicate recipient discarded"),
            false => Failure::system("mail system configuration error").outcome(relay),
        };
        if self.lines.is_empty() {
            let text = "no recipient in alias lookup result for";
            maillog::warning!(
                self.agent.log,
                "{}: {text} {}",
                self.in_hand.message.id,
                self.recipient.address
            );
            self.lines.push((self.recipient.clone(), nothing.clone()));
        }
        let mut report = Report::together(self.lines, nothing);
        if self.is_alias && self.recipient.notify.success && report.outcome.kind == mail::OutcomeKind::Sent {
            report.outcome = Outcome { to_list: self.is_list, ..Outcome::sent(relay, mail::ALIAS_EXPANDED) };
        } else {
            report.outcome.dsn_passed_on = self.passed_on;
        }
        report
    }

    // ---- for the other files of this agent

    pub(super) fn delivered(&mut self, recipient: &Recipient, text: impl Into<String>) {
        self.lines.push((recipient.clone(), Outcome::sent(&self.agent.transport, text)));
    }

    pub(super) fn failed(&mut self, recipient: &Recipient, failure: Failure) {
        self.lines.push((recipient.clone(), failure.outcome(&self.agent.transport)));
    }

    /// More destinations to follow.
    pub(super) fn follow(&mut self, destinations: Vec<Destination>, named: Named) {
        let named = Arc::new(named);
        for destination in destinations {
            if self.waiting.len() <= MAX_DESTINATIONS {
                self.waiting.push_back((destination, Arc::clone(&named)));
            }
        }
    }

    /// Is this the first time? Remembers duplicate_filter_limit names; beyond that, duplicates are delivered.
    pub(super) fn is_first(&mut self, name: String) -> bool {
        if self.seen.contains(&name) {
            self.had_duplicates = true;
            return false;
        }
        let limit = self.agent.settings.duplicate_filter_limit;
        if limit == 0 || self.seen.len() < limit {
            self.seen.insert(name);
        }
        true
    }

    /// What Delivered-To: says in the mailbox of this recipient, and behind an alias or a `.forward` of his.
    pub(super) fn delivered_behind(&self, named: &Named) -> Address {
        match self.agent.settings.frozen_delivered_to {
            true => named.delivered.clone(),
            false => named.recipient.address.clone(),
        }
    }

    /// Lets a name come again.
    pub(super) fn forget(&mut self, name: &str) {
        self.seen.remove(name);
    }

    /// An address that gets the message as a new one.
    pub(super) fn forward_to(&mut self, named: &Named, address: Address) {
        let sender = &named.sender;
        if !self.is_first(format!("forward {sender} {address}").to_lowercase()) {
            return;
        }
        let recipient = Recipient { address, ..named.recipient.clone() };
        let same = |(other, delivered, _): &&mut (Address, Address, _)| {
            other == sender && *delivered == named.delivered
        };
        match self.forwards.iter_mut().find(same) {
            Some((.., recipients)) => recipients.push(recipient),
            None => self.forwards.push((sender.clone(), named.delivered.clone(), vec![recipient])),
        }
    }

    // ---- one destination

    async fn destination(&mut self, destination: Destination, named: Arc<Named>) {
        let recipient = named.recipient.clone();
        let result = match destination {
            Destination::Address(address) if address.is_null() => Ok(()),
            Destination::Address(address) => return self.address(address, named).await,
            Destination::Command(command) => self.command(&command, &named).await,
            Destination::File(path) => self.file(&path, &named).await,
            Destination::HomeFile(path) => match &named.user {
                Some(user) if !user.home.is_empty() => {
                    self.file(&format!("{}/{path}", user.home), &named).await
                }
                _ => Err(Failure::new(Status::new(5, 3, 5), format!("unknown home directory for: ~/{path}"))),
            },
            Destination::Include(path) => self.include(&path, &named).await,
            Destination::BadHome(text) => {
                Err(Failure::new(Status::new(5, 3, 5), format!("bad home directory syntax for: {text}")))
            }
        };
        if let Err(failure) = result {
            self.failed(&recipient, failure);
        }
    }

    async fn address(&mut self, address: Address, named: Arc<Named>) {
        let address = self.with_extension(address, &named);
        let address = self.agent.routing.rewrite(Context::Local, &address);
        let resolved = match self.agent.routing.resolve(&named.sender, &address).await {
            Ok(resolved) => resolved,
            Err(why) => {
                maillog::warning!(self.agent.log, "{}: {why}", self.in_hand.message.id);
                return self.failed(&named.recipient, Failure::system("address resolver failure"));
            }
        };
        if resolved.transport == self.agent.transport {
            let recipient = Recipient { address: resolved.recipient, ..named.recipient.clone() };
            let named = Named { recipient, extension: String::new(), ..Named::clone(&named) };
            // Boxed: a local recipient may lead back here.
            Box::pin(self.local_recipient(Arc::new(named))).await;
        } else {
            self.forward_to(&named, address);
        }
    }

    /// propagate_unmatched_extensions.
    fn with_extension(&self, address: Address, named: &Named) -> Address {
        let propagates = named.source.is_some_and(|source| self.agent.routing.propagates(source.word()));
        if named.extension.is_empty() || !propagates {
            return address;
        }
        let local = format!("{}{}", address.local_part(), named.extension);
        let extended = match address.domain() {
            Some(domain) => Address::internal(format!("{local}@{domain}")),
            None => Address::internal(local),
        };
        extended.unwrap_or(address)
    }

    async fn include(&mut self, path: &str, named: &Named) -> Result<(), Failure> {
        use std::os::unix::fs::MetadataExt;
        if !path.starts_with('/') {
            let text = format!(":include:{path} uses a relative path");
            return Err(Failure::new(Status::new(5, 3, 5), text));
        }
        // Senders have no business with our files: the log tells.
        let unable = |class: u8, why: String| {
            maillog::warning!(self.agent.log, "{why}");
            Failure::new(Status::new(class, 3, 5), "mail system configuration error")
        };
        let found = std::fs::metadata(path).map_err(|error| {
            unable(4, format!("unable to lookup :include: file {path}: {}", crate::failure::reason(&error)))
        })?;
        // Without a user, the file's owner counts; and default_privs in the place of root.
        let owner = (found.uid() != 0).then(|| Rights { uid: found.uid(), gid: found.gid() });
        let rights = match named.rights.or(owner) {
            Some(rights) => rights,
            None => self.agent.default_rights().await?,
        };
        if !self.is_first(format!("include {} {path}", rights.uid)) {
            return Ok(());
        }
        let list = Work::Read(ReadList { paths: vec![path.to_owned()], owner: None });
        match self.agent.deliverer.perform(rights, None, list, None).await {
            Done::List { text, .. } => {
                let destinations = alias::parse_file(&text, self.agent.settings.line_length_limit);
                let mut way = named.way.clone();
                way.push(format!("include:{path}"));
                // local(8): recipients of a list get a message of their own, whoever owns the list.
                let forwarder = named.forwarder.clone().or_else(|| Some(self.recipient.address.to_string()));
                let next = Named {
                    source: Some(Source::Include),
                    rights: Some(rights),
                    forwarder,
                    way,
                    ..named.clone()
                };
                self.follow(destinations, next);
                Ok(())
            }
            Done::UnsafeList(why) => Err(unable(5, format!(":include: {why}"))),
            Done::Failed(failure) => Err(failure),
            Done::NoList | Done::Delivered(_) => Err(unable(4, format!("cannot open include file {path}"))),
        }
    }

    // ---- new messages

    async fn forward(
        &self,
        sender: Address,
        delivered: &Address,
        wanted: Vec<Recipient>,
    ) -> Result<QueueId, Failure> {
        let agent = self.agent;
        let mut recipients: Vec<Recipient> = Vec::new();
        for named in wanted {
            for address in clean_up(&agent.routing, &named.address).await? {
                if recipients.iter().any(|other| other.address == address) {
                    continue;
                }
                let original = match named.original.is_null() {
                    true => address.clone(),
                    false => named.original.clone(),
                };
                recipients.push(Recipient { address, original, ..named.clone() });
            }
        }
        let settings = &agent.settings;
        let loop_mark = match settings.prepends_delivered_to("forward") {
            true => delivered_to(delivered),
            false => String::new(),
        };
        let head = |id: &QueueId| {
            let date = date::rfc5322(std::time::SystemTime::now());
            let (host, name) = (&settings.myhostname, &settings.mail_name);
            format!("Received: by {host} ({name})\n\tid {id}; {date}\n{loop_mark}")
        };
        let new =
            Resubmission { of: &self.in_hand.message, sender, recipients, head: &head, transport: None };
        agent.resubmitter.submit(new, &self.in_hand.body).await
    }

    /// Hands the message for one recipient to another transport, as it is.
    pub(super) async fn pass(&mut self, transport: &str, recipient: &Recipient) {
        if self.in_hand.is_probe() {
            return self.delivered(recipient, format!("passes to transport: {transport}"));
        }
        let own = transport.split(':').next() == Some(self.agent.transport.as_str());
        let result = match own {
            true => Err(Failure::new(Status::new(4, 3, 5), "mail system configuration error")),
            false => {
                let new = Resubmission {
                    of: &self.in_hand.message,
                    sender: self.in_hand.message.envelope.sender.clone(),
                    recipients: vec![recipient.clone()],
                    head: &|_| String::new(),
                    transport: Some(transport.to_owned()),
                };
                self.agent.resubmitter.submit(new, &self.in_hand.body).await
            }
        };
        match result {
            Ok(id) => {
                self.passed_on = true;
                self.delivered(recipient, format!("forwarded as {id}"));
            }
            Err(failure) => self.failed(recipient, failure),
        }
    }

    /// May a text of this kind name commands, or files, as `allowed` says?
    pub(super) fn is_admitted(&self, named: &Named, allowed: &[String]) -> bool {
        named.source.is_none_or(|source| allowed.iter().any(|word| word == source.word()))
    }
}
