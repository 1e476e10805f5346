//! Milters at the end of a message: what they see is what cleanup made of it, and what they change is cleaned again.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use access::Effect;
use mail::{Address, ClientFacts, Envelope};

use super::{Intake, Trouble};
use crate::milter::{Action, Filtering, Finished, Unfinished, closing};

impl Intake {
    /// For a message that came without an SMTP session (`non_smtpd_milters`): Milters are told of one that could have been. Gives
    /// them for [`Intake::keep`].
    pub(crate) async fn pretend_session(
        &mut self,
        envelope: &Envelope,
    ) -> Result<(Option<Box<Filtering>>, Vec<Effect>), Trouble> {
        let cleanup = Arc::clone(&self.cleanup);
        let milters = match self.overrides.milters && self.trouble.is_none() && !self.discard {
            true => Filtering::of_no_client(&cleanup.milters, &cleanup.log),
            false => None,
        };
        let Some(mut milters) = milters else { return Ok((None, Vec::new())) };
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        let mut client = ClientFacts::new(Some(here), 0, Some((here, 0)));
        client.name = "localhost".into();
        self.checking.about.origin = client.name_address();
        let mut effects = Vec::new();
        let sender = &envelope.sender;
        let said = milters.connect(&client).await;
        effects.extend(self.heed("CONNECT", said, sender)?);
        let said = milters.helo(&client, &client.name).await;
        effects.extend(self.heed("EHLO", said, sender)?);
        milters.name_message(&self.id);
        let said = milters.mail(&client, None, sender, &[], &cleanup.routing).await;
        effects.extend(self.heed("MAIL", said, sender)?);
        for recipient in &envelope.recipients {
            let said = milters.rcpt(sender, &recipient.address, &[], &cleanup.routing).await;
            effects.extend(self.heed("RCPT", said, sender)?);
        }
        let said = milters.data().await;
        effects.extend(self.heed("DATA", said, sender)?);
        Ok((Some(milters), effects))
    }

    /// Shows the complete message to Milters. Gives what they and `milter_header_checks` want done with it.
    pub(super) async fn show_to(
        &mut self,
        milters: &mut Filtering,
        envelope: &mut Envelope,
    ) -> Result<Vec<Effect>, Trouble> {
        let cleanup = &self.cleanup;
        let finished = Finished {
            id: &self.id,
            log: &cleanup.log,
            content: &mut self.content,
            envelope,
            about: self.checking.about.clone(),
            header_checks: &cleanup.header.checks.milter_header,
            size_limit: cleanup.size_limit,
        };
        let outcome = match milters.message(finished).await {
            Ok(outcome) => outcome,
            Err(Unfinished::NotKept(why)) => return Err(cleanup.not_kept(&self.id, why)),
            Err(Unfinished::Table(why)) => return Err(cleanup.table_failed(&self.id, &why)),
            Err(Unfinished::TooBig) => {
                maillog::warning!(cleanup.log, "{}: message too big after a change by a Milter", self.id);
                return Err(Trouble::TooBig);
            }
        };
        if let Some(rejected) = outcome.rejected {
            return Err(rejected);
        }
        let mut effects = outcome.effects;
        effects.extend(self.heed("END-OF-MESSAGE", outcome.action, &envelope.sender)?);
        Ok(effects)
    }

    /// Logs what a Milter wants done at a stage, and gives it.
    fn heed(&self, stage: &str, action: Option<Action>, sender: &Address) -> Result<Option<Effect>, Trouble> {
        let log = |word: &str, text: &str| {
            let about = &self.checking.about;
            maillog::info!(
                self.cleanup.log,
                "{}: {word}: {stage} from {}: {text}; {}",
                self.id,
                about.origin,
                about.facts(sender, self.cleanup.log.form())
            );
        };
        match action {
            None => Ok(None),
            Some(Action::Hold) => {
                log("milter-hold", "milter triggers HOLD action");
                Ok(Some(Effect::Hold))
            }
            Some(Action::Discard) => {
                log("milter-discard", "milter triggers DISCARD action");
                Ok(Some(Effect::Discard))
            }
            Some(action @ (Action::Shutdown | Action::Refuse(_))) => {
                let reply = match action {
                    Action::Refuse(reply) => reply,
                    _ => closing(),
                };
                // The code is SMTP's business; Postfix leaves it out here.
                log("milter-reject", &reply.to_string().split_off(4));
                Err(Trouble::Milter(reply))
            }
        }
    }
}
