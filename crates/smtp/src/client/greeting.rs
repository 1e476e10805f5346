//! The opening of a session: greeting, EHLO or LHLO, HELO where that fails.

use std::sync::Arc;

use mail::{Status, TlsFacts};

use super::conversation::{Conversation, Core, State};
use super::features::Features;
use super::greeted::Greeted;
use super::notice::Notice;
use super::options::{Options, Protocol};
use super::peer::Peer;
use super::reply::ServerReply;
use super::{Next, Step, failure};

/// Begins a session on a new connection. `tls` is set when the connection began with a handshake
/// (`smtp_tls_wrappermode`).
pub fn begin(options: Arc<Options>, peer: Peer, tls: Option<TlsFacts>) -> Step {
    let core = Core::new(options, peer, tls);
    core.step(Vec::new(), |core| Next::Read(Conversation { core, state: State::Greeting }))
}

impl Core {
    pub(super) fn greeting(mut self, mut reply: ServerReply) -> Step {
        if !reply.is_positive() {
            if reply.class() == 5 && self.options.skip_5xx_greeting {
                reply.status.class = 4;
            }
            let outcome = failure::refused_to_talk(&self.peer, &reply);
            return self.leave(outcome);
        }
        // `220 ****2***`: a firewall that knows only the commands of old.
        self.pix = reply.text.bytes().all(|byte| b"20 *\t\n".contains(&byte));
        if self.pix && !self.options.pix.is_empty() {
            self.notices.push(Notice::PixWorkarounds(self.options.pix));
        }
        let mut words = reply.argument_words();
        let first = words.next().unwrap_or_default().to_owned();
        let esmtp = words.any(|word| word.eq_ignore_ascii_case("ESMTP"));
        if let Some(detection) = &self.options.loop_detection
            && detection.hostname.eq_ignore_ascii_case(&first)
        {
            self.notices.push(Notice::OwnName { in_greeting: true, hostname: first });
        }
        match self.options.protocol {
            Protocol::Lmtp => self.say_hello("LHLO", State::Lhlo),
            Protocol::Smtp => {
                let plain = self.options.never_send_ehlo || (self.pix && self.options.pix.disable_esmtp);
                let esmtp = (esmtp || self.options.always_send_ehlo) && !plain;
                if esmtp { self.say_hello("EHLO", State::Ehlo) } else { self.say_hello("HELO", State::Helo) }
            }
        }
    }

    /// EHLO or LHLO, also again behind a handshake.
    pub(super) fn hello_again(self) -> Step {
        match self.options.protocol {
            Protocol::Smtp => self.say_hello("EHLO", State::Ehlo),
            Protocol::Lmtp => self.say_hello("LHLO", State::Lhlo),
        }
    }

    fn say_hello(self, verb: &str, state: State) -> Step {
        let line = format!("{verb} {}", self.options.helo_name);
        self.command(&line, state)
    }

    pub(super) fn ehlo(self, reply: ServerReply) -> Step {
        if reply.is_positive() {
            self.introduced(&reply)
        } else if reply.code == 421 {
            let outcome = failure::refused_to_talk(&self.peer, &reply);
            self.leave(outcome)
        } else {
            self.say_hello("HELO", State::Helo)
        }
    }

    pub(super) fn lhlo(self, reply: ServerReply) -> Step {
        if reply.is_positive() {
            return self.introduced(&reply);
        }
        let outcome = failure::refused_to_talk(&self.peer, &reply);
        self.leave(outcome)
    }

    pub(super) fn helo(mut self, reply: ServerReply) -> Step {
        if !reply.is_positive() {
            let outcome = failure::refused_to_talk(&self.peer, &reply);
            return self.leave(outcome);
        }
        // Plain SMTP has no extensions, whatever the reply says.
        self.features = Features::default();
        self.step(Vec::new(), |core| Next::Greeted(Greeted::new(core)))
    }

    fn introduced(mut self, reply: &ServerReply) -> Step {
        let discard = self.options.discard;
        if discard.is_noisy() {
            self.notices.push(Notice::DiscardingEhloKeywords(discard.to_string()));
        }
        self.features = Features::parse(&reply.text, discard, self.tls.is_some(), &mut self.notices);
        if let Some(detection) = self.options.loop_detection.clone()
            && detection.hostname.eq_ignore_ascii_case(&self.features.hostname)
        {
            self.notices.push(Notice::OwnName { in_greeting: false, hostname: detection.hostname });
            // On the most preferred server the loop is certain; another one may be a mistake of the moment.
            let status = if detection.best_mx { Status::new(5, 4, 6) } else { Status::new(4, 4, 6) };
            let text = format!("mail for {} loops back to myself", detection.next_hop);
            let outcome = failure::local(&self.peer, status, text);
            return self.leave(outcome);
        }
        self.step(Vec::new(), |core| Next::Greeted(Greeted::new(core)))
    }
}

impl ServerReply {
    /// The words of all lines, codes included, behind the first code.
    fn argument_words(&self) -> impl Iterator<Item = &str> {
        self.text.split([' ', '\t', '\n', '-']).skip(1).filter(|word| !word.is_empty())
    }
}
