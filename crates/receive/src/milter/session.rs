//! The Milters of one session, asked one after another at each stage. The first that refuses ends the round.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use mail::{Address, ClientFacts, QueueId, Reply};
use maillog::Log;
use route::{Context, Routing};

use super::filter::{Action, Filter};
use super::macros::{self, Values};
use super::protocol::{self, Command};
use super::settings::{MacroLists, Milter, Milters};

/// See the module.
pub(crate) struct Filtering {
    pub(super) filters: Vec<Filter>,
    lists: Arc<MacroLists>,
    /// Of the client, and of the transaction.
    client: HashMap<&'static str, String>,
    transaction: HashMap<&'static str, String>,
}

impl Filtering {
    /// For a network client; `None` when it has no Milters. The error is for the log, and mail can not be accepted then.
    pub(crate) async fn of_client(
        milters: &Milters,
        address: IpAddr,
        log: &Log,
    ) -> Result<Option<Box<Filtering>>, String> {
        Ok(Filtering::new(milters.of_client(address).await?, milters, log))
    }

    /// For mail without a client.
    pub(crate) fn of_no_client(milters: &Milters, log: &Log) -> Option<Box<Filtering>> {
        Filtering::new(milters.listed(), milters, log)
    }

    fn new(listed: Arc<[Milter]>, milters: &Milters, log: &Log) -> Option<Box<Filtering>> {
        let filters: Vec<Filter> =
            listed.iter().map(|milter| Filter::new(milter.clone(), log.clone())).collect();
        (!filters.is_empty()).then(|| {
            Box::new(Filtering {
                filters,
                lists: Arc::clone(&milters.macros),
                client: HashMap::new(),
                transaction: HashMap::new(),
            })
        })
    }

    /// A client is there.
    pub(crate) async fn connect(&mut self, client: &ClientFacts) -> Option<Action> {
        self.client = macros::of_client(client);
        let mut data = protocol::texts(&[&client.name]);
        match client.address {
            Some(address) => {
                data.push(if address.is_ipv4() { b'4' } else { b'6' });
                data.extend_from_slice(&client.port.to_be_bytes());
                data.extend(protocol::texts(&[address.to_string()]));
            }
            None => data.push(b'U'),
        }
        self.tell(Command::Connect, &data).await
    }

    /// HELO or EHLO, also after STARTTLS.
    pub(crate) async fn helo(&mut self, client: &ClientFacts, name: &str) -> Option<Action> {
        self.abort().await;
        self.client = macros::of_client(client);
        self.tell(Command::Helo, &protocol::texts(&[name])).await
    }

    /// MAIL FROM; `author` is its `AUTH=`, `parameters` as the client wrote them.
    pub(crate) async fn mail(
        &mut self,
        client: &ClientFacts,
        author: Option<&str>,
        sender: &Address,
        parameters: &[String],
        routing: &Routing,
    ) -> Option<Action> {
        self.abort().await;
        self.client = macros::of_client(client);
        if let Some(author) = author {
            self.transaction.insert("{auth_author}", author.to_owned());
        }
        self.transaction.insert("{mail_addr}", sender.as_str().to_owned());
        if let Some((host, mailer)) = resolve(routing, sender, sender).await {
            self.transaction.insert("{mail_host}", host);
            self.transaction.insert("{mail_mailer}", mailer);
        }
        self.tell(Command::Mail, &path(sender, parameters)).await
    }

    /// RCPT TO that we would accept.
    pub(crate) async fn rcpt(
        &mut self,
        sender: &Address,
        recipient: &Address,
        parameters: &[String],
        routing: &Routing,
    ) -> Option<Action> {
        self.transaction.insert("{rcpt_addr}", recipient.as_str().to_owned());
        for name in ["{rcpt_host}", "{rcpt_mailer}"] {
            self.transaction.remove(name);
        }
        if let Some((host, mailer)) = resolve(routing, sender, recipient).await {
            self.transaction.insert("{rcpt_host}", host);
            self.transaction.insert("{rcpt_mailer}", mailer);
        }
        self.tell(Command::Rcpt, &path(recipient, parameters)).await
    }

    /// RCPT TO that we refuse: for Milters that want to know (SMFIP_RCPT_REJ). What they say of it changes nothing.
    pub(crate) async fn refused_rcpt(&mut self, recipient: &Address, parameters: &[String], refusal: &Reply) {
        let status = refusal.status().map(|status| status.to_string()).unwrap_or_default();
        self.transaction.insert("{rcpt_mailer}", "error".into());
        self.transaction.insert("{rcpt_host}", status);
        self.transaction.insert("{rcpt_addr}", refusal.text.replace('\n', " "));
        let data = path(recipient, parameters);
        let (filters, values) = self.parts();
        for filter in filters.iter_mut().filter(|filter| filter.hears_rejected_recipients()) {
            filter.tell(Command::Rcpt, &data, &values.values()).await;
        }
    }

    /// The message has a name from now on.
    pub(crate) fn name_message(&mut self, id: &QueueId) {
        self.transaction.insert("i", id.to_string());
    }

    /// DATA, or the first BDAT.
    pub(crate) async fn data(&mut self) -> Option<Action> {
        self.tell(Command::Data, &[]).await
    }

    /// A command that is none.
    pub(crate) async fn unknown(&mut self, line: &str) -> Option<Action> {
        self.tell(Command::Unknown, &protocol::texts(&[line])).await
    }

    /// What holds for the client whatever it says.
    pub(crate) fn standing(&self) -> Option<Action> {
        self.filters.iter().find_map(Filter::standing)
    }

    /// The transaction is over without a message.
    pub(crate) async fn abort(&mut self) {
        for filter in &mut self.filters {
            filter.abort().await;
        }
        self.transaction.clear();
    }

    /// The session is over.
    pub(crate) async fn quit(self) {
        for filter in self.filters {
            filter.quit().await;
        }
    }

    pub(super) async fn tell(&mut self, command: Command, data: &[u8]) -> Option<Action> {
        let (filters, values) = self.parts();
        let mut hold = None;
        for filter in filters {
            match filter.tell(command, data, &values.values()).await {
                None => {}
                // Others may still have something graver to say.
                Some(Action::Hold) => hold = Some(Action::Hold),
                action => return action,
            }
        }
        hold
    }

    /// The Milters, and the macros' values for them.
    pub(super) fn parts(&mut self) -> (&mut Vec<Filter>, Known<'_>) {
        let mut known = self.client.clone();
        known.extend(self.transaction.iter().map(|(name, value)| (*name, value.clone())));
        (&mut self.filters, Known { lists: &self.lists, known })
    }
}

/// Values of one moment.
pub(super) struct Known<'a> {
    lists: &'a MacroLists,
    known: HashMap<&'static str, String>,
}

impl Known<'_> {
    pub(super) fn values(&self) -> Values<'_> {
        Values { lists: self.lists, known: &self.known }
    }
}

/// `<address>` and parameters.
fn path(address: &Address, parameters: &[String]) -> Vec<u8> {
    let mut words = vec![format!("<{}>", address.to_external())];
    words.extend_from_slice(parameters);
    protocol::texts(&words)
}

/// Next hop and transport; nothing when a table fails, which other questions will bring to light.
async fn resolve(routing: &Routing, sender: &Address, address: &Address) -> Option<(String, String)> {
    if address.is_null() {
        return None;
    }
    let standard = routing.rewrite(Context::Local, address);
    let resolved = routing.resolve(sender, &standard).await.ok()?;
    Some((resolved.next_hop, resolved.transport))
}
