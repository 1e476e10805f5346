//! virtual(8): mailboxes of domains whose recipients are no users of this machine. Where a mailbox is, and whose, is what
//! tables say; no alias, `.forward` or command is looked at.

use std::time::SystemTime;

use config::{Settings, params};
use mail::{Address, Outcome, Recipient, Status};
use maillog::Log;
use tables::address_search::{self, Order};
use tables::{Flags, Maps, Tables};

use crate::content::{Format, delivered_to, envelope_from, from_line, original_to, return_path};
use crate::deliver_as::Deliverer;
use crate::failure::Failure;
use crate::in_hand::{InHand, Report};
use crate::job::{Done, Work};
use crate::lock::Locking;
use crate::maildir::Store;
use crate::mbox::{Append, FileKind};
use crate::user::Rights;

/// One service of master.cf that runs virtual(8).
pub(crate) struct VirtualAgent {
    base: String,
    mailbox_maps: Maps,
    uid_maps: Maps,
    gid_maps: Maps,
    minimum_uid: u32,
    limit: u64,
    locking: Locking,
    strict_ownership: bool,
    delimiters: String,
    hostname: String,
    deliverer: Deliverer,
    log: Log,
    transport: String,
}

/// Where and as whom.
#[derive(Debug, PartialEq, Eq)]
struct Mailbox {
    path: String,
    rights: Rights,
}

impl VirtualAgent {
    /// Reads the settings. The error is fatal for the service.
    pub(crate) fn new(
        settings: &Settings,
        tables: &Tables,
        deliverer: Deliverer,
        log: Log,
        transport: &str,
    ) -> Result<VirtualAgent, String> {
        let maps = |name: &str, value: &str| Maps::open(tables, name, value, Flags::without_substitution());
        let base = settings.get(params::virtual_mailbox_base);
        if base.is_empty() {
            return Err("virtual_mailbox_base is empty: set it to the directory of the mailboxes".into());
        }
        Ok(VirtualAgent {
            base: base.to_owned(),
            mailbox_maps: maps("virtual_mailbox_maps", settings.get(params::virtual_mailbox_maps)),
            uid_maps: maps("virtual_uid_maps", settings.get(params::virtual_uid_maps)),
            gid_maps: maps("virtual_gid_maps", settings.get(params::virtual_gid_maps)),
            minimum_uid: u32::try_from(settings.get(params::virtual_minimum_uid)).unwrap_or(u32::MAX),
            limit: u64::try_from(settings.get(params::virtual_mailbox_limit)).unwrap_or(0),
            locking: Locking::new(settings.get(params::virtual_mailbox_lock), settings),
            strict_ownership: settings.get(params::strict_mailbox_ownership),
            delimiters: settings.get(params::recipient_delimiter).to_owned(),
            hostname: settings.get(params::myhostname).to_owned(),
            deliverer,
            log,
            transport: transport.to_owned(),
        })
    }

    /// Delivers to every recipient in turn.
    pub(crate) async fn deliver(&self, in_hand: &InHand) -> Vec<Report> {
        let mut reports = Vec::new();
        for recipient in &in_hand.message.envelope.recipients {
            let outcome = match self.deliver_to(in_hand, recipient).await {
                Ok(text) => Outcome::sent(&self.transport, text),
                Err(failure) => failure.outcome(&self.transport),
            };
            reports.push(Report::of(recipient, outcome));
        }
        reports
    }

    async fn deliver_to(&self, in_hand: &InHand, recipient: &Recipient) -> Result<&'static str, Failure> {
        let Mailbox { path, rights } = self.find(&recipient.address).await?;
        let sender = &in_hand.message.envelope.sender;
        let head = return_path(&sender.to_external())
            + &original_to(&recipient.original)
            + &delivered_to(&recipient.address);
        let is_maildir = path.ends_with('/');
        if in_hand.is_probe() {
            return Ok(if is_maildir { "delivers to maildir" } else { "delivers to mailbox" });
        }
        let work = if is_maildir {
            Work::Store(Store {
                path: path.clone(),
                format: Format::plain(head),
                hostname: self.hostname.clone(),
                limit: self.limit,
            })
        } else {
            let from = from_line(&envelope_from(sender), SystemTime::now());
            let owner = self.strict_ownership.then(|| self.deliverer.rights(rights).uid);
            Work::Append(Append {
                path: path.clone(),
                format: Format::mbox(from + &head),
                locking: self.locking.clone(),
                limit: self.limit,
                kind: FileKind::Mailbox { owner },
            })
        };
        match self.deliverer.perform(rights, None, work, Some(&in_hand.body)).await {
            Done::Delivered(_) if is_maildir => Ok("delivered to maildir"),
            Done::Delivered(_) => Ok("delivered to mailbox"),
            Done::Failed(failure) => Err(self.explained(failure, &path, rights)),
            Done::List { .. } | Done::NoList | Done::UnsafeList(_) => {
                Err(Failure::system("the delivery process gave an answer that makes no sense"))
            }
        }
    }

    fn explained(&self, failure: Failure, path: &str, rights: Rights) -> Failure {
        if path.ends_with('/') {
            if failure.text.ends_with("Permission denied") {
                let Rights { uid, gid } = rights;
                maillog::warning!(
                    self.log,
                    "maildir access problem for UID/GID={uid}/{gid}: {}; perhaps you need to create the maildirs in \
                     advance",
                    failure.text
                );
            }
            return failure;
        }
        match failure.text.starts_with("destination ") {
            true => failure,
            false => failure.preceded_by(&format!("delivery failed to mailbox {path}: ")),
        }
    }

    async fn find(&self, recipient: &Address) -> Result<Mailbox, Failure> {
        let unknown = || Failure::new(Status::new(5, 1, 1), format!("unknown user: \"{recipient}\""));
        let mailbox = self.look_up(&self.mailbox_maps, recipient).await?.ok_or_else(unknown)?;
        let uid = self.number(&self.uid_maps, "uid", recipient, self.minimum_uid).await?;
        let gid = self.number(&self.gid_maps, "gid", recipient, 1).await?;
        Ok(Mailbox { path: format!("{}/{mailbox}", self.base), rights: Rights { uid, gid } })
    }

    /// A number that must be there and must not be below `least`.
    async fn number(&self, maps: &Maps, what: &str, recipient: &Address, least: u32) -> Result<u32, Failure> {
        let name = maps.parameter();
        let wrong = |text: String| {
            maillog::warning!(self.log, "{text}");
            Failure::new(Status::new(4, 3, 5), "mail system configuration error")
        };
        match self.look_up(maps, recipient).await? {
            None => Err(wrong(format!("recipient {recipient}: not found in {name}"))),
            Some(text) => match text.trim().parse() {
                Ok(number) if number >= least => Ok(number),
                _ => Err(wrong(format!("recipient {recipient}: bad {what} {text} in {name}"))),
            },
        }
    }

    async fn look_up(&self, maps: &Maps, recipient: &Address) -> Result<Option<String>, Failure> {
        let order = Order { local_part_if_local: false, ..Order::DEFAULT };
        let context = address_search::Context { delimiters: &self.delimiters, domain_is_local: false };
        match address_search::find(maps, recipient, order, context).await {
            Ok(found) => Ok(found.map(|found| found.value)),
            Err(why) => {
                maillog::warning!(self.log, "table {}: lookup {recipient}: {why}", maps.parameter());
                Err(Failure::new(Status::new(4, 3, 5), "mail system configuration error"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::in_hand::tests::in_hand;

    fn agent(main_cf: &str) -> VirtualAgent {
        let main = config::MainCf::parse("main.cf", main_cf.as_bytes()).unwrap();
        let settings = Settings::load(&main, &[], &config::HostFacts::default()).unwrap();
        let log = Log::new(Arc::new(maillog::Sink::discard()), "postfix", "virtual");
        VirtualAgent::new(&settings, &Tables::silent(), Deliverer::in_process(), log, "virtual").unwrap()
    }

    const MAIN: &str =
        "recipient_delimiter = +\nvirtual_uid_maps = static:5000\nvirtual_gid_maps = static:5000\n";

    #[tokio::test]
    async fn where_mailboxes_are_and_what_is_wrong() {
        let tables = |more: &str| format!("{MAIN}virtual_mailbox_base = /mail\n{more}");
        for (main_cf, recipient, expected) in [
            ("virtual_mailbox_maps = inline:{joe@v.test=v/joe/}", "joe@v.test", Ok("/mail/v/joe/")),
            ("virtual_mailbox_maps = inline:{joe@v.test=v/joe/}", "Joe+x@v.test", Ok("/mail/v/joe/")),
            ("virtual_mailbox_maps = inline:{joe+x@v.test=x,joe@v.test=j}", "joe+x@v.test", Ok("/mail/x")),
            ("virtual_mailbox_maps = inline:{@v.test=all/}", "joe@v.test", Ok("/mail/all/")),
            (
                "virtual_mailbox_maps = inline:{joe=j}",
                "joe@v.test",
                Err("5.1.1 unknown user: \"joe@v.test\""),
            ),
            ("virtual_mailbox_maps = fail:x", "joe@v.test", Err("4.3.5 mail system configuration error")),
            (
                "virtual_mailbox_maps = static:x\nvirtual_uid_maps = static:99",
                "joe@v.test",
                Err("4.3.5 mail system configuration error"),
            ),
            (
                "virtual_mailbox_maps = static:x\nvirtual_uid_maps = static:root",
                "joe@v.test",
                Err("4.3.5 mail system configuration error"),
            ),
            (
                "virtual_mailbox_maps = static:x\nvirtual_gid_maps =",
                "joe@v.test",
                Err("4.3.5 mail system configuration error"),
            ),
            (
                "virtual_mailbox_maps = static:x\nvirtual_gid_maps = static:0",
                "joe@v.test",
                Err("4.3.5 mail system configuration error"),
            ),
        ] {
            let found = agent(&tables(main_cf)).find(&Address::internal(recipient).unwrap()).await;
            let found = match &found {
                Ok(mailbox) => Ok(mailbox.path.clone()),
                Err(failure) => Err(format!("{} {}", failure.status, failure.text)),
            };
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(found, expected, "{main_cf}");
        }
    }

    #[tokio::test]
    async fn both_formats_are_delivered() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().display();
        let main = format!(
            "{MAIN}virtual_mailbox_base = {base}\nvirtual_mailbox_maps = inline:{{a@v.test=a/,b@v.test=b}}\n"
        );
        let agent = agent(&main);
        let content = "Subject: x\n\nFrom here\n";
        let report = agent.deliver(&in_hand("a@v.test", content)).await;
        assert_eq!(report[0].outcome, Outcome::sent("virtual", "delivered to maildir"));
        let report = agent.deliver(&in_hand("b@v.test", content)).await;
        assert_eq!(report[0].outcome, Outcome::sent("virtual", "delivered to mailbox"));
        let text = std::fs::read_to_string(directory.path().join("b")).unwrap();
        let (from, rest) = text.split_once('\n').unwrap();
        assert!(from.starts_with("From sender@client.test  "), "{from}");
        assert_eq!(
            rest,
            "Return-Path: <sender@client.test>\nX-Original-To: b@v.test\nDelivered-To: b@v.test\n\
             Subject: x\n\n>From here\n\n"
        );
        let found = std::fs::read_dir(directory.path().join("a/new")).unwrap().next().unwrap().unwrap();
        let text = std::fs::read_to_string(found.path()).unwrap();
        assert!(text.ends_with("Delivered-To: a@v.test\nSubject: x\n\nFrom here\n"), "{text}");
    }

    #[tokio::test]
    async fn a_mailbox_that_can_not_be_written_says_which() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().display();
        std::fs::create_dir(directory.path().join("b")).unwrap();
        let main = format!("{MAIN}virtual_mailbox_base = {base}\nvirtual_mailbox_maps = static:b\n");
        let report = agent(&main).deliver(&in_hand("b@v.test", "A: b\n\n")).await;
        let text = format!("delivery failed to mailbox {base}/b: cannot open file: Is a directory");
        assert_eq!(report[0].outcome, Outcome::deferred(Status::new(4, 2, 0), "virtual", text));
    }
}
