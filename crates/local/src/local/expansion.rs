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
    /// An owner-alias takes failures: every address goes into a new message, so that they reach it.
    pub(super) has_owner: bool,
    /// An address extension that no key matched, delimiter included.
    pub(super) extension: String,
    /// The aliases and `.forward` files on the way here, which are not followed again.
    pub(super) way: Vec<String>,
}

impl Named {
    pub(super) fn came_by(&self, step: &str) -> bool {
        self.way.iter().any(|earlier| earlier == step)
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
    forwards: Vec<(Address, Vec<Address>)>,
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
            has_owner: false,
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
        for (sender, addresses) in std::mem::take(&mut self.forwards) {
            if put_off {
                break;
            }
            if self.in_hand.is_probe() {
                for address in &addresses {
                    let recipient = Recipient { address: address.clone(), ..self.recipient.clone() };
                    self.delivered(&recipient, format!("forwards to {address}"));
                }
                continue;
            }
            match self.forward(sender, &addresses).await {
                Ok(id) => self.delivered(&self.recipient.clone(), format!("forwarded as {id}")),
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
        Report::together(self.lines, nothing)
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

    /// Lets a name come again.
    pub(super) fn forget(&mut self, name: &str) {
        self.seen.remove(name);
    }

    pub(super) fn forward_to(&mut self, sender: &Address, address: Address) {
        match self.forwards.iter_mut().find(|(other, _)| other == sender) {
            Some((_, addresses)) => addresses.push(address),
            None => self.forwards.push((sender.clone(), vec![address])),
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
        if resolved.transport == self.agent.transport && !named.has_owner {
            let recipient = Recipient { address: resolved.recipient, ..named.recipient.clone() };
            let named = Named { recipient, extension: String::new(), ..Named::clone(&named) };
            // Boxed: a local recipient may lead back here.
            Box::pin(self.local_recipient(Arc::new(named))).await;
        } else if self.is_first(format!("forward {} {}", named.sender, address).to_lowercase()) {
            self.forward_to(&named.sender, address);
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
        let unable = |why: String| {
            Failure::new(Status::new(4, 3, 5), format!("unable to lookup :include: file {path}: {why}"))
        };
        let found = std::fs::metadata(path).map_err(|error| unable(crate::failure::reason(&error)))?;
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
                let next =
                    Named { source: Some(Source::Include), rights: Some(rights), way, ..named.clone() };
                self.follow(destinations, next);
                Ok(())
            }
            Done::UnsafeList(why) => Err(Failure::new(Status::new(5, 7, 0), format!(":include: {why}"))),
            Done::Failed(failure) => Err(failure),
            Done::NoList | Done::Delivered(_) => {
                Err(Failure::new(Status::new(4, 3, 5), format!("cannot open include file {path}")))
            }
        }
    }

    // ---- new messages

    async fn forward(&self, sender: Address, addresses: &[Address]) -> Result<QueueId, Failure> {
        let agent = self.agent;
        let mut recipients: Vec<Recipient> = Vec::new();
        for address in addresses {
            for address in clean_up(&agent.routing, address).await? {
                if !recipients.iter().any(|other| other.address == address) {
                    recipients.push(Recipient { address, ..self.recipient.clone() });
                }
            }
        }
        let settings = &agent.settings;
        let loop_mark = match settings.prepends_delivered_to("forward") {
            true => delivered_to(&self.recipient.address),
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
            Ok(id) => self.delivered(recipient, format!("forwarded as {id}")),
            Err(failure) => self.failed(recipient, failure),
        }
    }

    /// May a text of this kind name commands, or files, as `allowed` says?
    pub(super) fn is_admitted(&self, named: &Named, allowed: &[String]) -> bool {
        named.source.is_none_or(|source| allowed.iter().any(|word| word == source.word()))
    }
}
