//! Which of the administrator's own parameters are used: those whose name appears as `$name` in a value that somebody
//! reads, restriction classes, and the settings of database clients that stand in main.cf. What is set and not
//! used is probably misspelled, and is warned about.

use std::collections::BTreeMap;

use super::database;
use super::namespace::{Class, Namespace, Node};
use super::{Fatal, Report};
use crate::expand;
use crate::list;
use crate::renamed;

/// What to do with the files of database clients that values name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Files {
    /// Nothing.
    #[default]
    Leave,
    /// Read them, and warn when that fails.
    Read,
    /// As well, warn about settings that the client does not know.
    Check,
}

/// Looks through all values, of the services first, and adds the names that are set and used to those known.
pub(super) fn register(names: &mut Namespace, files: Files, report: &mut Report) -> Result<(), Fatal> {
    let mut scan = Scan { names, database: database::Clients::new(files), report };
    for service in 0..scan.names.services.len() {
        if !scan.names.services[service].set.is_empty() {
            scan.name_space(Some(service))?;
        }
    }
    scan.defaults();
    scan.name_space(None)
}

pub(super) struct Scan<'a> {
    pub(super) names: &'a mut Namespace,
    database: database::Clients,
    pub(super) report: &'a mut Report,
}

impl Scan<'_> {
    fn name_space(&mut self, service: Option<usize>) -> Result<(), Fatal> {
        let settings = self.settings(service).clone();
        if let Some(classes) = settings.get("smtpd_restriction_classes") {
            // Only names of the same file count here.
            let lookup = |name: &str| settings.get(name).cloned();
            let classes = expand::expand(classes, &lookup).map_err(|error| error.to_string())?;
            for class in list::split_plain(&classes) {
                if service.is_none() {
                    self.names.restriction_classes.insert(class.to_owned());
                }
                self.used(class, false, service);
            }
        }
        for (name, value) in &settings {
            if let Some(number) = service
                && self.names.restriction_classes.contains(name)
            {
                self.names.services[number].valid.insert(name.clone());
            }
            let mut means_tables = false;
            if let Some(node) = self.names.known.get_mut(name) {
                if node.class == Class::ReadOnly {
                    let file = file_name(service);
                    let directory = &self.names.directory;
                    self.report.warn(format_args!(
                        "{directory}/{file}: read-only parameter assignment: {name}={value}"
                    ));
                    self.settings_mut(service).remove(name);
                    continue;
                }
                if node.class == Class::Unlisted {
                    node.class = Class::User;
                }
                if node.raw {
                    continue;
                }
                means_tables = matches!(node.class, Class::Builtin | Class::Service);
            }
            self.value(value, service);
            if means_tables {
                let expanded = self.names.expand(value, service)?;
                self.tables(&expanded, service);
            }
        }
        Ok(())
    }

    /// Defaults refer to old names, so that these still work; setting one is then no mistake.
    fn defaults(&mut self) {
        let unset =
            self.names.known.iter().filter(|(name, node)| !node.raw && !self.names.main.contains_key(*name));
        let defaults: Vec<_> = unset.map(|(_, node)| node.default.clone()).collect();
        for default in defaults {
            self.value(&default, None);
        }
    }

    fn value(&mut self, value: &str, service: Option<usize>) {
        let mut found = Vec::new();
        let outcome = expand::names(value, &mut |name| found.push(name.to_owned()));
        for name in found {
            self.used(&name, false, service);
        }
        if let Err(error) = outcome {
            self.report.warn(error);
        }
    }

    fn tables(&mut self, value: &str, service: Option<usize>) {
        // Taken out for the call: it calls back for each name that a table of the value stands for.
        let mut clients = std::mem::take(&mut self.database);
        clients.scan(self, value, service);
        self.database = clients;
    }

    /// A value refers to `name`. `optional`: nothing is wrong when nobody sets it.
    pub(super) fn used(&mut self, name: &str, optional: bool, service: Option<usize>) {
        let user = || Node { class: Class::User, raw: false, default: String::new() };
        let mut is_set = false;
        if let Some(number) = service
            && self.names.services[number].set.contains_key(name)
        {
            is_set = true;
            self.names.services[number].valid.insert(name.to_owned());
        } else if self.names.main.contains_key(name) {
            is_set = true;
            self.names.known.entry(name.to_owned()).or_insert_with(user);
        }
        if service.is_none() {
            for service in self.names.services.iter_mut().filter(|service| service.set.contains_key(name)) {
                is_set = true;
                service.valid.insert(name.to_owned());
            }
        }
        if !is_set && !optional && !self.names.known.contains_key(name) {
            let (directory, file) = (&self.names.directory, file_name(service));
            self.report.warn(format_args!("{directory}/{file}: undefined parameter: {name}"));
        }
    }

    /// The file of a value, and the service: for messages.
    pub(super) fn place(&self, service: Option<usize>) -> String {
        let path = format!("{}/{}", self.names.directory, file_name(service));
        match service {
            None => path,
            Some(number) => format!("{path}:{}", self.names.services[number].name_space),
        }
    }

    fn settings(&self, service: Option<usize>) -> &BTreeMap<String, String> {
        match service {
            None => &self.names.main,
            Some(number) => &self.names.services[number].set,
        }
    }

    fn settings_mut(&mut self, service: Option<usize>) -> &mut BTreeMap<String, String> {
        match service {
            None => &mut self.names.main,
            Some(number) => &mut self.names.services[number].set,
        }
    }
}

pub(super) fn file_name(service: Option<usize>) -> &'static str {
    if service.is_some() { "master.cf" } else { "main.cf" }
}

/// What main.cf and the services set, and nobody uses.
pub(super) fn unused(names: &Namespace) -> Vec<(Option<usize>, String)> {
    let of_main =
        names.main.keys().filter(|name| !names.known.contains_key(*name)).map(|name| (None, name.clone()));
    let of_services = names.services.iter().enumerate().flat_map(|(number, service)| {
        let unused = service
            .set
            .keys()
            .filter(|name| !names.known.contains_key(*name) && !service.valid.contains(*name));
        unused.map(move |name| (Some(number), name.clone()))
    });
    of_main.chain(of_services).collect()
}

/// Warns about what main.cf sets and nobody uses, and about old names. Whether there were old names.
pub(super) fn warn_main(names: &Namespace, report: &mut Report) -> bool {
    warn(&names.main, "main.cf", |name| names.known.contains_key(name), &names.directory, report)
}

/// As [`warn_main`], for the `-o` options of master.cf.
pub(super) fn warn_master(names: &Namespace, report: &mut Report) -> bool {
    let mut deprecated = false;
    for service in &names.services {
        let known = |name: &str| names.known.contains_key(name) || service.valid.contains(name);
        deprecated |= warn(&service.set, "master.cf", known, &names.directory, report);
    }
    deprecated
}

fn warn(
    settings: &BTreeMap<String, String>,
    file: &str,
    known: impl Fn(&str) -> bool,
    directory: &str,
    report: &mut Report,
) -> bool {
    let mut found = false;
    for (name, value) in settings {
        let old = renamed::deprecated(name);
        found |= old.is_some();
        match (known(name), old) {
            (true, None) => {}
            (true, Some(old)) => report.warn(format_args!(
                "{directory}/{file}: support for parameter \"{name}\" will be removed; instead, {}",
                old.instead
            )),
            (false, Some(old)) => report.warn(format_args!(
                "{directory}/{file}: support for parameter {name} has been removed; instead, {}",
                old.instead
            )),
            (false, None) => {
                report.warn(format_args!("{directory}/{file}: unused parameter: {name}={value}"))
            }
        }
    }
    found
}
