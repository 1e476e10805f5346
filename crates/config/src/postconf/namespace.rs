//! Which parameters exist for a configuration: those of the registry, those named after a service of master.cf, and
//! the administrator's own that are set and used.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use super::Fatal;
use crate::expand::{self, Scope};
use crate::families::FAMILIES;
use crate::host::HostFacts;
use crate::main_cf::MainCf;
use crate::master_cf::MasterCf;
use crate::name_hash::ByName;
use crate::param::{Default, Kind};
use crate::params;
use crate::settings;

/// The parameters of a configuration, and what is set.
pub(super) struct Namespace {
    pub(super) directory: String,
    /// Parameters that mean something, by name.
    pub(super) known: BTreeMap<String, Node>,
    /// What main.cf sets.
    pub(super) main: BTreeMap<String, String>,
    /// What each service sets, in the order of master.cf.
    pub(super) services: Vec<ServiceNames>,
    /// Restriction classes of main.cf; a service may set these too.
    pub(super) restriction_classes: HashSet<String>,
    /// Show and expand defaults only (`-d`).
    defaults_only: bool,
}

/// What is known of a name.
pub(super) struct Node {
    pub(super) class: Class,
    pub(super) raw: bool,
    pub(super) default: String,
}

/// Whose word a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Postfix's.
    Builtin,
    /// Postfix's; may not be set.
    ReadOnly,
    /// Postfix's of old, or ours alone; it counts as the administrator's once somebody sets it.
    Unlisted,
    /// Made of a service's name.
    Service,
    /// The administrator's.
    User,
}

/// What one service of master.cf sets.
pub(super) struct ServiceNames {
    pub(super) name_space: String,
    pub(super) process_name: String,
    pub(super) service_name: String,
    pub(super) set: BTreeMap<String, String>,
    /// Names that mean something in this service only.
    pub(super) valid: HashSet<String>,
}

impl Namespace {
    pub(super) fn new(
        directory: &str,
        main: &MainCf,
        master: &MasterCf,
        host: &HostFacts,
        defaults_only: bool,
    ) -> Namespace {
        let mut known = builtin(&settings::host_defaults(main, host));
        register_service_parameters(&mut known, master);
        let services = master.entries().iter().map(|entry| ServiceNames {
            name_space: entry.name_space(),
            process_name: entry.program().to_owned(),
            service_name: entry.words[0].clone(),
            set: entry.overrides().into_iter().collect(),
            valid: HashSet::new(),
        });
        Namespace {
            directory: directory.to_owned(),
            known,
            main: main.entries().iter().map(|entry| (entry.name.clone(), entry.value.clone())).collect(),
            services: services.collect(),
            restriction_classes: HashSet::new(),
            defaults_only,
        }
    }

    /// What counts for a service, or for main.cf alone: set there, set in main.cf, or the default.
    pub(super) fn value(&self, name: &str, service: Option<usize>) -> Option<&str> {
        let set = || {
            let local = service.and_then(|number| {
                let service = &self.services[number];
                match name {
                    "process_name" => Some(&service.process_name),
                    "service_name" => Some(&service.service_name),
                    _ => service.set.get(name),
                }
            });
            local.or_else(|| self.main.get(name))
        };
        let set = if self.defaults_only { None } else { set() };
        set.or_else(|| self.known.get(name).map(|node| &node.default)).map(String::as_str)
    }

    /// Expands a value as a service sees it, or main.cf.
    pub(super) fn expand(&self, value: &str, service: Option<usize>) -> Result<String, Fatal> {
        expand::expand(value, &Seen { names: self, service }).map_err(|error| error.to_string())
    }
}

struct Seen<'a> {
    names: &'a Namespace,
    service: Option<usize>,
}

impl Scope for Seen<'_> {
    fn raw(&self, name: &str) -> Option<Cow<'_, str>> {
        self.names.value(name, self.service).map(Cow::Borrowed)
    }

    fn recurses(&self, name: &str) -> bool {
        !self.names.known.get(name).is_some_and(|node| node.raw)
    }
}

fn builtin(computed: &ByName<&'static str, String>) -> BTreeMap<String, Node> {
    let nodes = params::AREAS.iter().flat_map(|area| {
        area.entries.iter().map(|entry| {
            let class = match entry.name {
                "process_id" | "process_name" | "service_name" => Class::ReadOnly,
                _ if params::is_unlisted(area) => Class::Unlisted,
                _ => Class::Builtin,
            };
            let default = match entry.default {
                Default::Text(text) => text.to_owned(),
                Default::Host(_) => computed.get(entry.name).cloned().unwrap_or_default(),
            };
            (entry.name.to_owned(), Node { class, raw: entry.rule.kind == Kind::Raw, default })
        })
    });
    nodes.collect()
}

/// A parameter that has a default of its own (`local_destination_recipient_limit`) keeps it, and changes its class.
fn register_service_parameters(known: &mut BTreeMap<String, Node>, master: &MasterCf) {
    for entry in master.entries() {
        // The program as it is written: with a directory before it Postfix does not know it.
        let program = entry.words[7].as_str();
        // postconf knows the transport of no such program, though master.cf may have its service.
        if matches!(program, "retry" | "discard") {
            continue;
        }
        for family in FAMILIES.iter().filter(|family| family.of.has(program)) {
            let name = format!("{}{}", entry.words[0], family.suffix);
            let node = Node { class: Class::Service, raw: false, default: format!("${}", family.default) };
            known.entry(name).or_insert(node).class = Class::Service;
        }
    }
}
