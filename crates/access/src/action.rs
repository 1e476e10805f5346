//! The right-hand side of access(5) tables.

use mail::{Address, Detail, Reply};

use crate::asked::Effect;
use crate::evaluation::{Evaluation, Outcome, split_status};
use crate::list::Reader;

impl Evaluation<'_> {
    /// Carries out what a table says of what it was asked for.
    pub(crate) async fn act(&mut self, table: &str, asked: &str, value: &str) -> Outcome {
        let value = value.trim();
        let (word, rest) = match value.find([' ', '\t']) {
            Some(end) => (&value[..end], value[end..].trim_start()),
            None => (value, ""),
        };
        let codes = self.access.codes;
        let action = word.to_ascii_uppercase();
        if let Some(why) = self.unavailable(&action) {
            self.warn(format!("access table {table}: {why}"));
            return Outcome::Dunno;
        }
        match action.as_str() {
            "OK" | "RELAY" => {
                self.note_permit(&action, self.subject(), &format!("from {table}")).await;
                Outcome::Permit
            }
            "DUNNO" => Outcome::Dunno,
            "REJECT" => self.refuse_with(codes.map_reject, Detail(7, 1), rest),
            "DEFER" => self.refuse_with(codes.map_defer, Detail(7, 1), rest),
            "DEFER_IF_PERMIT" => {
                let reply = self.deferring(rest);
                self.defer_if_permitted(reply)
            }
            "DEFER_IF_REJECT" => {
                let reply = self.deferring(rest);
                self.defer_if_rejected(reply)
            }
            "HOLD" => {
                self.note_action("hold", rest, "triggers HOLD action");
                self.add(Effect::Hold);
                Outcome::Dunno
            }
            "DISCARD" => {
                self.note_action("discard", rest, "triggers DISCARD action");
                self.add(Effect::Discard);
                Outcome::Permit
            }
            "FILTER" if rest.contains(':') => {
                self.note_effect("filter", "FILTER", rest);
                self.add(Effect::Filter(rest.to_owned()));
                Outcome::Dunno
            }
            "FILTER" if rest.is_empty() => {
                self.warn(format!(
                    "access table {table} entry \"{asked:.100}\" has FILTER entry without value"
                ));
                Outcome::Dunno
            }
            "FILTER" => self.ignore(table, asked, "transport:destination"),
            "REDIRECT" | "BCC" => {
                match Address::external(rest).ok().filter(|address| address.domain().is_some()) {
                    Some(address) if word.eq_ignore_ascii_case("BCC") => {
                        self.note_effect("bcc", "BCC", rest);
                        self.add(Effect::Bcc(address));
                        Outcome::Dunno
                    }
                    Some(address) => {
                        self.note_effect("redirect", "REDIRECT", rest);
                        self.add(Effect::Redirect(address));
                        Outcome::Dunno
                    }
                    None => self.ignore(table, asked, "user@domain target"),
                }
            }
            "PREPEND" if rest.contains(':') => {
                self.add(Effect::Prepend(rest.to_owned()));
                Outcome::Dunno
            }
            "PREPEND" => self.ignore(table, asked, "header: text"),
            "WARN" => {
                self.note("warn", rest.to_owned());
                Outcome::Dunno
            }
            "INFO" => {
                self.note("info", rest.to_owned());
                Outcome::Dunno
            }
            // Numbers alone are what pop-before-smtp tables hold.
            _ if is_number(word) && rest.is_empty() => Outcome::Permit,
            _ => match reply_code(word) {
                Some(code) => self.refuse_with(code, Detail(7, 1), rest),
                None => self.restrictions(table, value).await,
            },
        }
    }

    /// Why an action on a message can not be taken now: there is none, or it is too late.
    fn unavailable(&self, action: &str) -> Option<String> {
        let asked = self.asked;
        let skipped = || {
            format!(
                "with smtpd_delay_reject=no, action {action} is always skipped in Client host or Helo command restrictions"
            )
        };
        match action {
            "PREPEND" if asked.sender.is_none() => Some(skipped()),
            "PREPEND" if asked.stage == "END-OF-MESSAGE" => {
                Some("action PREPEND must be used before smtpd_end_of_data_restrictions".into())
            }
            "FILTER" | "HOLD" | "DISCARD" | "REDIRECT" | "BCC" if asked.etrn_domain.is_some() => {
                Some(format!("action {action} is unavailable in smtpd_etrn_restrictions"))
            }
            "FILTER" | "HOLD" | "DISCARD" | "REDIRECT" | "BCC" if asked.sender.is_none() => Some(skipped()),
            _ => None,
        }
    }

    fn refuse_with(&mut self, code: u16, default: Detail, rest: &str) -> Outcome {
        let (status, text) = split_status(rest, code, default);
        let (_, class) = self.subject();
        let detail = self.fitting(class, status);
        self.refuse_subject(code, detail, if text.is_empty() { "Access denied" } else { text })
    }

    fn deferring(&mut self, rest: &str) -> Reply {
        let (name, class) = self.subject();
        let code = self.access.codes.map_defer;
        let (status, text) = split_status(rest, code, Detail(7, 1));
        let detail = self.fitting(class, status);
        let text = if text.is_empty() { "Service unavailable" } else { text };
        Reply::new(code, detail, format!("<{name}>: {class} rejected: {text}"))
    }

    fn note_action(&mut self, word: &'static str, text: &str, default: &str) {
        let (name, class) = self.subject();
        let text = if text.is_empty() { default } else { text };
        self.note(word, format!("<{name}>: {class} {text}"));
    }

    fn note_effect(&mut self, word: &'static str, action: &str, target: &str) {
        let (name, class) = self.subject();
        self.note(word, format!("<{name}>: {class} triggers {action} {target}"));
    }

    /// Postfix warns of an action without its argument and goes on.
    fn ignore(&mut self, table: &str, asked: &str, wanted: &str) -> Outcome {
        self.warn(format!("access table {table} entry \"{asked:.100}\" requires {wanted}"));
        Outcome::Dunno
    }

    /// Names of restrictions and classes.
    async fn restrictions(&mut self, table: &str, value: &str) -> Outcome {
        if value.split([' ', '\t', ',']).any(|word| word.contains(':')) {
            self.warn(format!("access table {table} has entry with lookup table: {value:.200}"));
            self.warn("do not specify lookup tables inside SMTPD access maps".into());
            return self.misconfigured("define a restriction class and specify its name instead.");
        }
        let reader = Reader { classes: self.access.class_names(), tables: None, policy: None };
        let steps = reader.read(self.list, table, value);
        self.run_steps(&steps).await
    }
}

/// Nothing at all is no number: a service that says nothing permits nothing.
fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit())
}

/// `4NN` or `5NN`.
fn reply_code(word: &str) -> Option<u16> {
    let refuses = word.len() == 3 && (word.starts_with('4') || word.starts_with('5'));
    if refuses { word.parse().ok() } else { None }
}
