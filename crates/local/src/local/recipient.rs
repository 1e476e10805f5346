//! What becomes of one local name: alias, `.forward`, mailbox, or nobody. The order stands in `mod.rs`.

use std::sync::Arc;

use mail::{Address, Notify, Recipient, Status};
use route::alias::{self, Destination};

use super::expansion::{Expansion, Named, Source};
use super::names::Names;
use crate::failure::Failure;
use crate::job::{Done, ReadList, Work};
use crate::user::User;

impl Expansion<'_> {
    /// Delivers to `named.recipient`, whose domain is ours.
    pub(super) async fn local_recipient(&mut self, named: Arc<Named>) {
        if let Err(failure) = self.try_local_recipient(&named).await {
            self.failed(&named.recipient, failure);
        }
    }

    async fn try_local_recipient(&mut self, named: &Named) -> Result<(), Failure> {
        let address = &named.recipient.address;
        if self.in_hand.was_delivered_to(address) {
            let text = format!("mail forwarding loop for {address}");
            return Err(Failure::new(Status::new(5, 4, 6), text));
        }
        let names = Names::of(address, self.agent.routing.recipient_delimiter());
        if self.follow_alias(named, &names).await? {
            return Ok(());
        }
        if named.forwarder.as_ref().is_some_and(|forwarder| !forwarder.eq_ignore_ascii_case(&names.user)) {
            self.forward_to(named, address.clone());
            return Ok(());
        }
        if !self.is_first(format!("mailbox {}", names.local)) {
            return Ok(());
        }
        let user = self.agent.users.find(&names.user).await.map_err(|why| {
            maillog::warning!(self.agent.log, "{}: {why}", self.in_hand.message.id);
            Failure::system(format!("error looking up passwd info for {}", names.user))
        })?;
        let names = match &user {
            Some(user) => names.with(user),
            None => names,
        };
        if let Some(user) = &user
            && self.agent.settings.require_home_directory
            && let Err(error) = std::fs::metadata(&user.home)
        {
            let why = crate::failure::reason(&error);
            let text = format!("cannot access home directory {}: {why}", user.home);
            return Err(Failure::new(Status::new(4, 3, 0), text));
        }
        if let Some(user) = &user
            && self.follow_forward(named, &names, user).await?
        {
            return Ok(());
        }
        // These come before it matters whether the user exists: LDAP accounts need not be known to passwd(5).
        let settings = &self.agent.settings;
        let maps = &settings.mailbox_transport_maps;
        if let Some(transport) = self.mapped(maps, &names, &settings.mailbox_transport).await? {
            self.pass(&transport, &named.recipient).await;
            return Ok(());
        }
        match user {
            Some(user) => self.mailbox(named, &names, &user).await,
            None => self.nobody(named, &names).await,
        }
    }

    /// True when the name is an alias, that is: dealt with.
    async fn follow_alias(&mut self, named: &Named, names: &Names) -> Result<bool, Failure> {
        let found = self.agent.find_alias(&names.local, &names.user).await?;
        let Some(alias) = found else { return Ok(false) };
        let step = format!("alias:{}", alias.name);
        // A name in its own expansion is the user of that name.
        if named.last_name() == Some(&step) {
            return Ok(false);
        }
        match named.came_by(&step) {
            // A user's `.forward` may lead back to an alias of his: it is followed once, which ends the circle.
            true if named.came_by_forward_since(&step) => {}
            true => {
                let text = format!("alias database loop for {}", alias.name);
                maillog::warning!(self.agent.log, "{}: {text}", self.in_hand.message.id);
                return Err(Failure::new(Status::new(5, 4, 6), text));
            }
            false if !self.is_first(format!("alias {} {}", named.sender, alias.name)) => return Ok(true),
            false => {}
        }
        let mut way = named.way.clone();
        way.push(step);
        let forwarder = match (&alias.errors_to, self.agent.settings.reset_owner_alias) {
            (Some(_), _) => Some(format!("owner-{}", alias.name)),
            (None, true) => None,
            (None, false) => named.forwarder.clone(),
        };
        // What becomes of mail that has an owner is no business of who sent it.
        let recipient = match alias.errors_to {
            Some(_) => {
                Recipient { original: Address::null(), ..Recipient::new(named.recipient.address.clone()) }
            }
            None => named.recipient.clone(),
        };
        // RFC 3461 section 5.2.7.3: that the alias was expanded is told; what becomes of each member is not.
        (self.is_alias, self.is_list) = (true, alias.errors_to.is_some());
        let notify = Notify { success: false, ..recipient.notify };
        let recipient = Recipient { notify, ..recipient };
        let next = Named {
            source: Some(Source::Alias),
            recipient,
            rights: alias.owner,
            user: None,
            sender: alias.errors_to.unwrap_or_else(|| named.sender.clone()),
            delivered: self.delivered_behind(named),
            forwarder,
            extension: match alias.extension_unmatched {
                true => names.local[names.user.len()..].to_owned(),
                false => String::new(),
            },
            way,
        };
        self.follow(alias.destinations, next);
        Ok(true)
    }

    /// True when the user has a `.forward` file that says where mail goes.
    async fn follow_forward(&mut self, named: &Named, names: &Names, user: &User) -> Result<bool, Failure> {
        let step = format!("forward:{}", user.name);
        if named.came_by(&step) {
            return Ok(false);
        }
        let agent = self.agent;
        let Some(list) = self.forward_files(names, user) else { return Ok(false) };
        let rights = match user.rights() {
            rights if rights.uid == 0 => agent.default_rights().await?,
            rights => rights,
        };
        let (path, text) = match agent.deliverer.perform(rights, None, Work::Read(list), None).await {
            Done::List { path, text } => (path, text),
            Done::NoList | Done::Delivered(_) => return Ok(false),
            Done::UnsafeList(why) => {
                maillog::warning!(agent.log, "{why}");
                return Ok(false);
            }
            Done::Failed(failure) => return Err(failure),
        };
        let destinations = alias::parse_file(&text, agent.settings.line_length_limit);
        // An empty file means: do not forward.
        if destinations.is_empty() {
            return Ok(false);
        }
        let mut way = named.way.clone();
        way.push(step);
        let matched = names.extension.as_ref().is_some_and(|extension| path.ends_with(extension.as_str()));
        let next = Named {
            source: Some(Source::Forward),
            recipient: named.recipient.clone(),
            rights: Some(rights),
            user: Some(user.clone()),
            sender: named.sender.clone(),
            delivered: self.delivered_behind(named),
            forwarder: named.forwarder.clone().or_else(|| Some(names.user.clone())),
            extension: match matched {
                true => String::new(),
                false => names.local[names.user.len()..].to_owned(),
            },
            way,
        };
        // The mailbox of the user himself may be one of the destinations.
        self.forget(&format!("mailbox {}", names.local));
        self.follow(destinations, next);
        Ok(true)
    }

    /// The files that forward_path names for this user, expanded.
    fn forward_files(&self, names: &Names, user: &User) -> Option<ReadList> {
        let settings = &self.agent.settings;
        if user.home.is_empty() {
            return None;
        }
        let mut paths: Vec<String> = Vec::new();
        for text in config::list::split(&settings.forward_path) {
            match names.expand(text, &settings.forward_expansion_filter) {
                Ok(path) if path.starts_with('/') && !paths.contains(&path) => paths.push(path),
                Ok(_) => {}
                Err(error) => maillog::warning!(self.agent.log, "forward_path = {text}: {error}"),
            }
        }
        let owner = self.agent.deliverer.rights(user.rights()).uid;
        (!paths.is_empty()).then_some(ReadList { paths, owner: Some(owner) })
    }

    /// What a table has for the recipient, or else the plain parameter; `None` when neither says anything.
    pub(super) async fn mapped(
        &self,
        maps: &tables::Maps,
        names: &Names,
        otherwise: &str,
    ) -> Result<Option<String>, Failure> {
        if !maps.is_empty() {
            for key in [&names.local, &names.user] {
                match maps.find(key, tables::Key::Full).await.into_result() {
                    Ok(Some(value)) => return Ok(Some(value)),
                    Ok(None) => {}
                    Err(why) => {
                        maillog::warning!(self.agent.log, "{}: {why}", self.in_hand.message.id);
                        return Err(Failure::system("table lookup failure"));
                    }
                }
            }
        }
        Ok((!otherwise.is_empty()).then(|| otherwise.to_owned()))
    }

    /// Neither alias nor user.
    async fn nobody(&mut self, named: &Named, names: &Names) -> Result<(), Failure> {
        let settings = &self.agent.settings;
        let maps = &settings.fallback_transport_maps;
        if let Some(transport) = self.mapped(maps, names, &settings.fallback_transport).await? {
            self.pass(&transport, &named.recipient).await;
            return Ok(());
        }
        if !settings.luser_relay.is_empty() && !named.came_by("luser_relay") {
            let text = names.expand_address(&settings.luser_relay).map_err(|error| {
                maillog::warning!(self.agent.log, "luser_relay = {}: {error}", settings.luser_relay);
                Failure::system("mail system configuration error")
            })?;
            let mut way = named.way.clone();
            way.push("luser_relay".into());
            let destinations = alias::parse(&text)
                .into_iter()
                .filter(|destination| matches!(destination, Destination::Address(_)))
                .collect();
            self.follow(destinations, Named { way, ..named.clone() });
            return Ok(());
        }
        // Every machine has these, whoever reads them: bounces of bounces must end somewhere.
        if ["postmaster", "mailer-daemon"].contains(&names.user.as_str()) {
            maillog::warning!(self.agent.log, "required alias not found: {}", names.user);
            self.delivered(&named.recipient, "discarded");
            return Ok(());
        }
        let text = format!("unknown user: \"{}\"", names.user);
        Err(Failure::new(Status::new(5, 1, 1), text))
    }
}
