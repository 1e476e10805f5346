//! The lists of one service as its settings have them, and what can be seen to be wrong with them before anybody connects.

use std::collections::{HashMap, HashSet};

use config::{Settings, params};
use tables::Tables;

use crate::list::{self, List, Reader, Step, StepKind};
use crate::policy::Defaults;

/// Lists and classes.
pub(crate) struct Lists {
    lists: HashMap<List, Vec<Step>>,
    classes: HashMap<String, Vec<Step>>,
    class_names: HashSet<String>,
}

/// One of these must be there, or everybody could send mail to everybody.
const RELAY_PREVENTING: [&str; 6] = [
    "reject_unauth_destination",
    "defer_unauth_destination",
    "reject",
    "defer",
    "defer_if_permit",
    "check_relay_domains",
];

/// What is wrong with the lists of a service, for commands: names that nobody knows, steps that nothing reaches, a class without a
/// definition, a server that would relay for everybody. What is wrong with tables goes to where they send their warnings.
pub fn inspect(settings: &Settings, tables: &Tables) -> Vec<String> {
    let mut found = Vec::new();
    if let Err(why) = Lists::read(settings, tables, &mut found) {
        found.push(why);
    }
    found
}

impl Lists {
    /// Reads the lists. The error is fatal for the service.
    pub(crate) fn read(
        settings: &Settings,
        tables: &Tables,
        warnings: &mut Vec<String>,
    ) -> Result<Lists, String> {
        let class_names: HashSet<String> =
            config::list::split(settings.get(params::smtpd_restriction_classes))
                .into_iter()
                .map(str::to_owned)
                .collect();
        let policy = Defaults::read(settings);
        let reader = Reader { classes: &class_names, tables: Some(tables), policy: Some(&policy) };
        let mut classes = HashMap::new();
        for name in &class_names {
            let text = settings.text_of(name).ok_or_else(|| {
                format!("restriction class `{name}' needs a definition: set {name} = ... in main.cf")
            })?;
            let steps = reader.read(List::Recipient, name, text);
            warnings.extend(list::warnings(name, &steps));
            classes.insert(name.clone(), steps);
        }
        let mut lists = HashMap::new();
        for (list, parameter) in [
            (List::Client, params::smtpd_client_restrictions),
            (List::Helo, params::smtpd_helo_restrictions),
            (List::Sender, params::smtpd_sender_restrictions),
            (List::Relay, params::smtpd_relay_restrictions),
            (List::Recipient, params::smtpd_recipient_restrictions),
            (List::Data, params::smtpd_data_restrictions),
            (List::EndOfData, params::smtpd_end_of_data_restrictions),
            (List::Etrn, params::smtpd_etrn_restrictions),
            (List::HeaderRewrite, params::local_header_rewrite_clients),
        ] {
            let steps = reader.read(list, parameter.name(), settings.get(parameter));
            warnings.extend(list::warnings(parameter.name(), &steps));
            lists.insert(list, steps);
        }
        let lists = Lists { lists, classes, class_names };
        if !lists.prevents_relaying(lists.steps(List::Relay), 0)
            && !lists.prevents_relaying(lists.steps(List::Recipient), 0)
        {
            return Err(format!(
                "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working \
                 instance of: {}",
                RELAY_PREVENTING.join(", ").replacen(", check_relay", " or check_relay", 1)
            ));
        }
        Ok(lists)
    }

    pub(crate) fn steps(&self, list: List) -> &[Step] {
        self.lists.get(&list).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn class(&self, name: &str) -> &[Step] {
        self.classes.get(name).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn class_names(&self) -> &HashSet<String> {
        &self.class_names
    }

    fn prevents_relaying(&self, steps: &[Step], depth: usize) -> bool {
        steps.iter().filter(|step| !step.warn_only).any(|step| match &step.kind {
            StepKind::Run(restriction, _) => RELAY_PREVENTING.contains(&restriction.name),
            StepKind::Class(name) => depth < 100 && self.prevents_relaying(self.class(name), depth + 1),
            StepKind::Broken(_) => false,
        })
    }
}
