//! pipe(8): delivery by a command that master.cf names, with the rights of the user that it names.

mod attributes;
mod macros;

use std::time::{Duration, SystemTime};

use config::master_cf::Service;
use config::{Settings, params};
use mail::{Outcome, Recipient, Status};
use maillog::Log;
use tables::{Flags, Lookup, Map, Tables};

use crate::command::{Invocation, Run};
use crate::content::{Format, delivered_to, from_line, original_to, return_path};
use crate::deliver_as::Deliverer;
use crate::environment;
use crate::failure::Failure;
use crate::in_hand::{InHand, Report};
use crate::job::{Done, Work};
use crate::user::{Rights, Users};
use attributes::Attributes;
use macros::Macros;

/// One service of master.cf that runs pipe(8).
pub(crate) struct PipeAgent {
    attributes: Attributes,
    mail_owner: String,
    time_limit: Duration,
    queue_directory: String,
    delimiters: String,
    environment: Vec<(String, String)>,
    users: Users,
    groups: std::sync::Arc<Map>,
    deliverer: Deliverer,
    log: Log,
    transport: String,
}

impl PipeAgent {
    /// Reads the service's attributes and settings. The error is fatal for the service.
    pub(crate) fn new(
        service: &Service,
        settings: &Settings,
        tables: &Tables,
        deliverer: Deliverer,
        log: Log,
    ) -> Result<PipeAgent, String> {
        let attributes = Attributes::parse(&service.args, &mut |text| maillog::warning!(log, "{text}"))
            .map_err(|why| {
                format!("{}, line {}: service {}: {why}", service.file, service.line, service.name)
            })?;
        Ok(PipeAgent {
            attributes,
            mail_owner: settings.get(params::mail_owner).to_owned(),
            time_limit: settings.time_for_transport("_time_limit", &service.name),
            queue_directory: settings.get(params::queue_directory).to_owned(),
            delimiters: settings.get(params::recipient_delimiter).to_owned(),
            environment: environment::of_process(settings.get(params::export_environment)),
            users: Users::open(tables, Users::SYSTEM),
            groups: tables.map("unix:group.byname", Flags { fold: false, ..Flags::default() }),
            deliverer,
            log,
            transport: service.name.clone(),
        })
    }

    /// Delivers to all recipients at once, or, where a header names the recipient, to one after the other.
    pub(crate) async fn deliver(&self, in_hand: &InHand) -> Vec<Report> {
        let recipients = &in_hand.message.envelope.recipients;
        let one_by_one = self.attributes.has('D') || self.attributes.has('O');
        let mut reports = Vec::new();
        for part in recipients.chunks(if one_by_one { 1 } else { recipients.len().max(1) }) {
            let outcome = match self.deliver_to(in_hand, part).await {
                Ok(text) => Outcome::sent(&self.transport, text),
                Err(failure) => failure.outcome(&self.transport),
            };
            reports.extend(part.iter().map(|recipient| Report::of(recipient, outcome.clone())));
        }
        reports
    }

    async fn deliver_to(&self, in_hand: &InHand, recipients: &[Recipient]) -> Result<String, Failure> {
        let attributes = &self.attributes;
        if attributes.size > 0 && in_hand.message.data_size > attributes.size {
            return Err(Failure::new(Status::new(5, 2, 3), "message too large"));
        }
        if attributes.has('D')
            && let Some(again) = recipients.iter().find(|r| in_hand.was_delivered_to(&r.address))
        {
            let text = format!("mail forwarding loop for {}", again.address);
            return Err(Failure::new(Status::new(5, 4, 6), text));
        }
        let configuration_error = |why: String| {
            maillog::error!(self.log, "service {}: {why}", self.transport);
            Failure::new(Status::new(4, 3, 5), "mail system configuration error")
        };
        let macros = Macros { attributes, in_hand, delimiters: &self.delimiters };
        let arguments = macros.arguments(recipients).map_err(configuration_error)?;
        let rights = self.rights().await.map_err(configuration_error)?;
        let run = Work::Run(Run {
            what: Invocation::Arguments(arguments),
            environment: self.environment.clone(),
            directory: self.directory(),
            format: self.format(in_hand, recipients),
            time_limit: self.time_limit,
            agent: "pipe".into(),
        });
        let chroot = attributes.chroot.clone();
        if in_hand.is_probe() {
            return Ok(format!("delivers to command: {}", self.attributes.argv[0]));
        }
        match self.deliverer.perform(rights, chroot, run, Some(&in_hand.body)).await {
            Done::Delivered(said) if said.is_empty() => {
                Ok(format!("delivered via {} service", self.transport))
            }
            Done::Delivered(said) => {
                let said: String = said.trim_end().chars().take(100).collect();
                Ok(format!("delivered via {} service ({said})", self.transport))
            }
            Done::Failed(failure) => Err(failure),
            Done::List { .. } | Done::NoList | Done::UnsafeList(_) => {
                Err(Failure::system("the delivery process gave an answer that makes no sense"))
            }
        }
    }

    fn directory(&self) -> String {
        match (&self.attributes.directory, &self.attributes.chroot) {
            (Some(directory), _) => directory.clone(),
            (None, Some(_)) => "/".into(),
            (None, None) => self.queue_directory.clone(),
        }
    }

    fn format(&self, in_hand: &InHand, recipients: &[Recipient]) -> Format {
        let flags = &self.attributes;
        let sender = in_hand.sender_or(&flags.null_sender);
        let mut head = String::new();
        if flags.has('F') {
            head.push_str(&from_line(&sender, SystemTime::now()));
        }
        if flags.has('R') {
            head.push_str(&return_path(&sender));
        }
        if let [only] = recipients {
            if flags.has('O') {
                head.push_str(&original_to(&only.original));
            }
            if flags.has('D') {
                head.push_str(&delivered_to(&only.address));
            }
        }
        Format {
            head,
            quote_from: flags.has('>'),
            quote_dot: flags.has('.'),
            eol: flags.eol.clone(),
            blank_line: flags.has('B'),
        }
    }

    /// `user=`. Never root's, never those of the mail system itself.
    async fn rights(&self) -> Result<Rights, String> {
        if let Deliverer::InProcess(_) = self.deliverer {
            return Ok(self.deliverer.rights(Rights { uid: 0, gid: 0 }));
        }
        let name = &self.attributes.user;
        let user = self.users.find(name).await?.ok_or_else(|| format!("unknown username: {name}"))?;
        let group = match &self.attributes.group {
            None => None,
            Some(group) => match self.groups.lookup(group).await {
                Lookup::Found(line) => line.split(':').nth(2).and_then(|gid| gid.parse::<u32>().ok()),
                Lookup::Absent => return Err(format!("unknown group: {group}")),
                Lookup::Failed(why) => return Err(why),
            },
        };
        let rights = Rights { uid: user.uid, gid: group.unwrap_or(user.gid) };
        let owner = self.users.find(&self.mail_owner).await?.map(|owner| owner.rights());
        match () {
            () if rights.uid == 0 => Err("user= command-line attribute specifies root privileges".into()),
            () if rights.gid == 0 => {
                Err("user= command-line attribute specifies privileged group id 0".into())
            }
            () if owner.is_some_and(|owner| owner.uid == rights.uid) => {
                let owner = &self.mail_owner;
                Err(format!("user= command-line attribute specifies mail system owner {owner}"))
            }
            () => Ok(rights),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use config::MasterCf;

    use super::*;
    use crate::in_hand::tests::in_hand;

    fn agent(args: &str, deliverer: Deliverer) -> PipeAgent {
        let main = config::MainCf::parse("main.cf", b"queue_directory = /\n").unwrap();
        let settings = Settings::load(&main, &[], &config::HostFacts::default()).unwrap();
        let line = format!("filter unix - n n - - pipe {args}\n");
        let master = MasterCf::parse("master.cf", line.as_bytes()).unwrap();
        let (services, _) = master.services(false).unwrap();
        let log = Log::new(Arc::new(maillog::Sink::discard()), "postfix", "pipe");
        PipeAgent::new(&services[0], &settings, &Tables::silent(), deliverer, log).unwrap()
    }

    async fn outcome(args: &str, content: &str) -> String {
        let report = agent(args, Deliverer::in_process()).deliver(&in_hand("Joe@x.test", content)).await;
        let Outcome { kind, status, text, .. } = report[0].outcome.clone();
        format!("{kind} {status} {text}")
    }

    #[tokio::test]
    async fn what_becomes_of_a_delivery() {
        for (args, content, expected) in [
            ("user=x argv=/bin/true", "A: b\n", "sent 2.0.0 delivered via filter service"),
            (
                "flags=RDO user=x argv=/bin/cat",
                "A: b\n",
                "sent 2.0.0 delivered via filter service (Return-Path: <sender@client.test> X-Original-To: \
                 Joe@x.test Delivered-To: Joe@x.test A: b)",
            ),
            ("user=x argv=/bin/false", "A: b\n", "bounced 5.3.0 Command died with status 1: \"/bin/false\""),
            ("user=x argv=/bin/sh -c {exit 75}", "A: b\n", "deferred 4.3.0 temporary failure"),
            ("user=x argv=/bin/cat $colour", "A: b\n", "deferred 4.3.5 mail system configuration error"),
            ("user=x size=3 argv=/bin/cat", "A: b\n", "bounced 5.2.3 message too large"),
            (
                "flags=D user=x argv=/bin/cat",
                "Delivered-To: joe@x.test\n",
                "bounced 5.4.6 mail forwarding loop for Joe@x.test",
            ),
            (
                "user=x argv=/bin/cat",
                "Delivered-To: joe@x.test\n",
                "sent 2.0.0 delivered via filter service (Delivered-To: joe@x.test)",
            ),
        ] {
            assert_eq!(outcome(args, content).await, expected, "{args}");
        }
    }

    #[tokio::test]
    async fn rights_that_a_command_never_has() {
        for (user, expected) in [
            ("root", "user= command-line attribute specifies root privileges"),
            ("no-such-user-here", "unknown username: no-such-user-here"),
        ] {
            let agent = agent(&format!("user={user} argv=/bin/true"), Deliverer::children());
            assert_eq!(agent.rights().await, Err(expected.to_owned()));
        }
    }
}
