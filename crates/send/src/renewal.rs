//! Certificates, keys and authorities of the clients that changed on the disk: master hands over what this process can not open any
//! more (ARCHITECTURE.md, "A renewed certificate").

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::sync::Arc;

use maillog::Log;
use tls::files::Files;

use crate::service::Service;

/// The files of this process, and a change under way.
pub(crate) struct Renewal {
    files: Arc<Files>,
    log: Log,
    /// Files of a change whose other files are still to come.
    changed: BTreeSet<String>,
}

impl Renewal {
    pub(crate) fn new(files: Arc<Files>, log: Log) -> Renewal {
        Renewal { files, log, changed: BTreeSet::new() }
    }

    /// The files worth watching.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.files.paths()
    }

    /// A file that changed. With the last one of a change the new certificates come into force; the log has a line for each outcome,
    /// however many services share it.
    pub(crate) fn take(
        &mut self,
        path: String,
        file: Option<&File>,
        more: bool,
        services: &HashMap<String, Result<Arc<Service>, String>>,
    ) {
        if self.files.replace(&path, file) {
            self.changed.insert(path);
        }
        if more || self.changed.is_empty() {
            return;
        }
        let changed = std::mem::take(&mut self.changed);
        let mut notices = Vec::new();
        let mut renewed = BTreeSet::new();
        for (name, service) in services {
            if let Ok(Service { client: Ok(client), .. }) = service.as_deref()
                && client.renew(&changed, &mut notices)
            {
                renewed.insert(name.as_str());
            }
        }
        let warnings: BTreeSet<String> = notices.into_iter().map(|tls::Notice(text)| text).collect();
        for text in warnings {
            maillog::warning!(self.log, "{text}");
        }
        if !renewed.is_empty() {
            let files: Vec<String> = changed.into_iter().collect();
            let names: Vec<&str> = renewed.into_iter().collect();
            maillog::info!(
                self.log,
                "TLS files renewed: {}; in use from now on by service {}",
                files.join(", "),
                names.join(", ")
            );
        }
    }
}
