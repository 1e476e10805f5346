//! local(8): delivery to the users of this machine, through aliases(5) and `.forward` files.
//!
//! The order for one name (local(8), postconf(5) mailbox_transport): alias, `.forward`, mailbox_transport_maps,
//! mailbox_transport, mailbox_command_maps, mailbox_command, home_mailbox, mail_spool_directory; for a name that is no user
//! fallback_transport_maps, fallback_transport, luser_relay. `expansion.rs` follows what aliases and `.forward` files
//! say, `recipient.rs` decides for one name, `mailbox.rs` makes the jobs. Nothing here runs with a recipient's rights.

mod alias;
mod expansion;
mod mailbox;
mod names;
mod recipient;
mod settings;

use std::sync::Arc;

use mail::Recipient;
use maillog::Log;
use route::Routing;

use crate::biff::Biff;
use crate::deliver_as::Deliverer;
use crate::failure::Failure;
use crate::in_hand::{InHand, Report};
use crate::resubmit::Resubmitter;
use crate::user::{Rights, Users};
use expansion::Expansion;
pub(crate) use settings::LocalSettings;

/// One service of master.cf that runs local(8).
pub(crate) struct LocalAgent {
    pub(crate) settings: LocalSettings,
    pub(crate) routing: Arc<Routing>,
    pub(crate) users: Users,
    pub(crate) deliverer: Deliverer,
    pub(crate) resubmitter: Arc<Resubmitter>,
    /// Who is told of new mail in mailboxes.
    pub(crate) biff: Option<Biff>,
    /// `postfix/local`.
    pub(crate) log: Log,
    /// The service's name: what `relay=` says, and what routing calls this agent.
    pub(crate) transport: String,
}

impl LocalAgent {
    /// Delivers to every recipient in turn.
    pub(crate) async fn deliver(&self, in_hand: &InHand) -> Vec<Report> {
        let mut reports = Vec::new();
        for recipient in &in_hand.message.envelope.recipients {
            reports.push(self.deliver_to(in_hand, recipient).await);
        }
        reports
    }

    async fn deliver_to(&self, in_hand: &InHand, recipient: &Recipient) -> Report {
        let mut expansion = Expansion::new(self, in_hand, recipient);
        expansion.run().await;
        expansion.report().await
    }

    /// default_privs: for commands and files that are nobody's own.
    async fn default_rights(&self) -> Result<Rights, Failure> {
        let name = &self.settings.default_privs;
        let user = self.users.find(name).await.map_err(|why| {
            maillog::warning!(self.log, "default_privs = {name}: {why}");
            Failure::system(format!("error looking up passwd info for {name}"))
        })?;
        match user {
            Some(user) if user.uid != 0 => Ok(user.rights()),
            found => {
                let why = if found.is_some() { "has the rights of root" } else { "no such user" };
                maillog::error!(self.log, "default_privs = {name}: {why}; name a user without any rights");
                Err(Failure::system("mail system configuration error"))
            }
        }
    }
}
