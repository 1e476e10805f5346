//! One restriction list as it is written, turned into steps.

use std::collections::HashSet;
use std::sync::Arc;

use tables::{Flags, Maps, Tables};

use crate::certificate::CertificateTable;
use crate::dns_list::DnsList;
use crate::policy::{Defaults, PolicyService};
use crate::restriction::{self, Argument, Restriction, Takes, WARN_IF_REJECT};

/// The lists, by the stage they belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum List {
    Client,
    Helo,
    Sender,
    Relay,
    Recipient,
    Data,
    EndOfData,
    Etrn,
    /// `local_header_rewrite_clients`.
    HeaderRewrite,
}

impl List {
    /// What a bare `type:table` stands for; the error is what a list is called where it could be anything.
    fn access_check(self) -> Result<&'static str, &'static str> {
        Ok(match self {
            List::Client => "check_client_access",
            List::Helo => "check_helo_access",
            List::Sender => "check_sender_access",
            List::Relay | List::Recipient => "check_recipient_access",
            List::Data => return Err("Data command"),
            List::EndOfData => return Err("End-of-data"),
            List::Etrn => "check_etrn_access",
            List::HeaderRewrite => "check_address_map",
        })
    }
}

/// One step of a list.
#[derive(Clone)]
pub(crate) struct Step {
    /// `warn_if_reject` stands before it.
    pub(crate) warn_only: bool,
    pub(crate) kind: StepKind,
}

/// What a step does.
#[derive(Clone)]
pub(crate) enum StepKind {
    /// One of the table.
    Run(&'static Restriction, Argument),
    /// The list of that name in `smtpd_restriction_classes`.
    Class(String),
    /// What can not be used; the text is the warning.
    Broken(String),
}

/// Reads lists.
pub(crate) struct Reader<'a> {
    /// The names in `smtpd_restriction_classes`.
    pub(crate) classes: &'a HashSet<String>,
    /// Opens tables; `None` inside the result of a table, where none may be named.
    pub(crate) tables: Option<&'a Tables>,
    /// What policy services go by; `None` like `tables`.
    pub(crate) policy: Option<&'a Defaults>,
}

impl Reader<'_> {
    /// Reads one list.
    pub(crate) fn read(&self, list: List, parameter: &str, text: &str) -> Vec<Step> {
        let mut words = config::list::split(text).into_iter();
        let mut steps = Vec::new();
        let mut warn_only = false;
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(WARN_IF_REJECT) {
                warn_only = true;
                continue;
            }
            let kind = self.step(list, parameter, word, &mut words);
            steps.push(Step { warn_only: std::mem::take(&mut warn_only), kind });
        }
        if warn_only {
            let text = format!("{parameter}: nothing follows {WARN_IF_REJECT}");
            steps.push(Step { warn_only: false, kind: StepKind::Broken(text) });
        }
        steps
    }

    fn step<'a>(
        &self,
        list: List,
        parameter: &str,
        word: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> StepKind {
        if self.classes.contains(word) {
            return StepKind::Class(word.to_owned());
        }
        let Some(restriction) = restriction::find(word) else {
            let is_table = word.contains(':') && !word.starts_with('/');
            let check = match list.access_check() {
                Ok(check) => restriction::find(check),
                Err(list) if is_table => {
                    return StepKind::Broken(format!(
                        "specify one of (check_client_access, check_reverse_client_hostname_access, check_helo_access, \
                         check_sender_access, check_recipient_access, check_etrn_access) before {list} restriction \"{word}\""
                    ));
                }
                Err(_) => None,
            };
            return match check {
                Some(check) if is_table => self.with_table(check, parameter, word),
                _ => StepKind::Broken(format!("unknown smtpd restriction: \"{word}\"")),
            };
        };
        if restriction.takes == Takes::Nothing {
            return StepKind::Run(restriction, Argument::Nothing);
        }
        let argument = match words.next() {
            Some(argument) => argument,
            // As in Postfix, the name itself is then taken for the table.
            None if restriction.takes == Takes::Table => word,
            None => return StepKind::Broken(format!("restriction {word} requires an argument")),
        };
        match restriction.takes {
            Takes::Table if !argument.contains(':') => StepKind::Broken(format!(
                "restriction {word}: bad argument \"{argument}\": need maptype:mapname"
            )),
            Takes::Table => self.with_table(restriction, parameter, argument),
            Takes::CertificateTable => {
                match self.tables.map(|tables| CertificateTable::read(argument, tables)) {
                    Some(Ok(table)) => StepKind::Run(restriction, Argument::Certificates(table)),
                    Some(Err(why)) => StepKind::Broken(why),
                    None => StepKind::Broken(table_in_result(argument)),
                }
            }
            Takes::Seconds => match argument.parse() {
                Ok(seconds) => StepKind::Run(restriction, Argument::Seconds(seconds)),
                Err(_) => {
                    StepKind::Broken(format!("restriction {word} requires a number, not \"{argument}\""))
                }
            },
            Takes::DnsList => match DnsList::parse(argument) {
                Ok(list) => StepKind::Run(restriction, Argument::DnsList(Arc::new(list))),
                Err(why) => StepKind::Broken(format!("restriction {word}: {why}")),
            },
            Takes::Policy => match self.policy.map(|defaults| PolicyService::parse(argument, defaults)) {
                Some(Ok(service)) => StepKind::Run(restriction, Argument::Policy(service)),
                Some(Err(why)) => StepKind::Broken(why),
                None => StepKind::Broken(format!(
                    "access table result names a policy service: \"{argument}\"; use a restriction class"
                )),
            },
            Takes::Nothing => StepKind::Run(restriction, Argument::Nothing),
        }
    }

    fn with_table(&self, restriction: &'static Restriction, parameter: &str, table: &str) -> StepKind {
        match self.tables {
            Some(tables) => {
                let maps = Maps::open(tables, parameter, table, Flags::default());
                StepKind::Run(restriction, Argument::Table(Arc::new(maps)))
            }
            None => StepKind::Broken(table_in_result(table)),
        }
    }
}

fn table_in_result(table: &str) -> String {
    format!("access table result names a table: \"{table}\"; use a restriction class")
}

/// What is wrong with a list in a way that can be seen at start: steps that nothing reaches, and those that will answer 451.
pub(crate) fn warnings(parameter: &str, steps: &[Step]) -> Vec<String> {
    let mut found = Vec::new();
    let mut end: Option<&str> = None;
    for step in steps {
        let name = match &step.kind {
            StepKind::Run(restriction, _) => restriction.name,
            StepKind::Class(name) => name,
            StepKind::Broken(text) => {
                found.push(format!("{parameter}: {text}"));
                continue;
            }
        };
        if let Some(end) = end {
            found.push(format!("restriction `{name}' after `{end}' is ignored"));
        }
        if matches!(name, "permit" | "reject" | "defer") && !step.warn_only {
            end = Some(name);
        }
    }
    found
}
