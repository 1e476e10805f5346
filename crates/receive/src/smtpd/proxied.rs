//! A session whose mail goes through a filter before the queue: when the filter hears what.

use access::{Asked, Effect};
use mail::Reply;
use smtp::server::{Commit, MailFrom, RcptTo, Session};

use super::Driver;
use super::proxy_filter::{NotTaken, ProxyFilter, ProxySettings, unusable};

impl Driver<'_> {
    /// The MAIL command, for the filter to hear with the first recipient: Postfix connects no sooner.
    pub(super) fn proxy_hears_later(&mut self, about: &MailFrom) {
        if self.service.proxy_filter.is_some() {
            self.mail.get_or_insert_default().mail_line = format!("MAIL FROM:{}", words(&about.words));
        }
    }

    /// A recipient that we would accept. Gives the refusal of the filter, or ours when it can not be used.
    pub(super) async fn proxy_rcpt(
        &mut self,
        settings: &ProxySettings,
        session: &Session,
        about: &RcptTo,
    ) -> Option<Reply> {
        let line = format!("RCPT TO:{}", words(&about.words));
        let opened = self.mail.as_ref().is_some_and(|mail| mail.proxy.is_some());
        if !opened {
            let client = session.client();
            let (is_local, decision) = self.service.access.rewrites_headers_of(&Asked::of(client)).await;
            self.log_decision("RCPT", &Asked::of(client), &decision);
            let mail = self.mail.get_or_insert_default();
            if !std::mem::replace(&mut mail.is_told, true) {
                let forwarded = client.forwarded.as_deref().map(super::answers::told_of).unwrap_or_default();
                maillog::info!(self.log, "NOQUEUE: client={}{forwarded}", self.name);
            }
            match ProxyFilter::open(settings, client, is_local, &mail.mail_line).await {
                Ok(proxy) => mail.proxy = Some(Box::new(proxy)),
                Err(not_taken) => {
                    let line = mail.mail_line.clone();
                    return Some(self.not_taken(not_taken, &line));
                }
            }
        }
        let proxy = self.mail.as_mut()?.proxy.as_mut()?;
        match proxy.command(&line, 2).await {
            Ok(_) => None,
            Err(not_taken) => Some(self.not_taken(not_taken, &line)),
        }
    }

    /// DATA, and the lines that stand before the client's header.
    pub(super) async fn proxy_data(&mut self, session: &Session) -> Option<Reply> {
        let mail = self.mail.as_mut()?;
        for effect in mail.effects.iter().filter(|effect| !matches!(effect, Effect::Prepend(_))) {
            maillog::warning!(
                self.log,
                "with smtpd_proxy_filter specified, this action is unavailable: {effect:?}"
            );
        }
        let Some(proxy) = mail.proxy.as_mut() else { return Some(unusable()) };
        if let Err(not_taken) = proxy.command("DATA", 3).await {
            return Some(self.not_taken(not_taken, "DATA"));
        }
        let mut lines = super::answers::prepended(&mail.effects);
        if let Some(transaction) = session.transaction() {
            let now = std::time::SystemTime::now();
            lines += &self.service.received.of_client(session.client(), &transaction.envelope, None, now);
        }
        proxy.content(lines.as_bytes()).await;
        None
    }

    /// The end of the message: the filter's word is what the client hears.
    pub(super) async fn proxy_end(&mut self, proxy: ProxyFilter, session: &Session) -> Commit {
        let (reply, is_taken) = match proxy.finish().await {
            Ok(reply) => {
                let is_taken = reply.code / 100 == 2;
                (reply, is_taken)
            }
            Err(not_taken) => (self.not_taken(not_taken, "END-OF-MESSAGE"), false),
        };
        let envelope = session.transaction().map(|transaction| &transaction.envelope);
        let asked = Asked {
            sender: envelope.map(|envelope| &envelope.sender),
            recipient: envelope.and_then(|envelope| envelope.recipients.last()).map(|last| &last.address),
            ..Asked::of(session.client())
        };
        let word = if is_taken { "proxy-accept" } else { "proxy-reject" };
        maillog::info!(
            self.log,
            "{word}: END-OF-MESSAGE: {reply};{}",
            super::facts_of(&asked, self.log.form())
        );
        if is_taken { Commit::Said(reply) } else { Commit::Refuse(reply) }
    }

    fn not_taken(&mut self, not_taken: NotTaken, line: &str) -> Reply {
        match not_taken {
            NotTaken::Refused(reply) => {
                let name = self.service.proxy_filter.as_ref().map(ProxySettings::name).unwrap_or_default();
                maillog::warning!(self.log, "proxy {name} rejected \"{line}\": \"{reply}\"");
                reply
            }
            NotTaken::Trouble(why) => {
                maillog::warning!(self.log, "{why}");
                if let Some(mail) = &mut self.mail {
                    mail.proxy = None;
                }
                unusable()
            }
        }
    }
}

/// The path in angle brackets, and parameters.
fn words(words: &[String]) -> String {
    let mut out = words.join(" ");
    if let Some(path) = words.first().filter(|path| !path.starts_with('<')) {
        out = format!("<{path}>{}", &out[path.len()..]);
    }
    out
}
