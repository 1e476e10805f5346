//! TLS of all services of this process: the files that they share, what happens when master hands over a newer one, and the
//! sessions that survive a restart.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maillog::Log;
use tls::files::Files;
use tls::server::Server;
use tokio::sync::watch;

use crate::serve::drained;

/// The TLS servers by the names of their services.
#[derive(Default)]
pub(crate) struct TlsEngines {
    /// Certificates, keys and authorities, read while that was possible.
    pub(crate) files: Arc<Files>,
    servers: Mutex<Vec<(String, Arc<Server>)>>,
    /// Files of a change whose other files are still to come.
    changed: Mutex<BTreeSet<String>>,
}

impl TlsEngines {
    /// Every server that shall follow renewed files is entered here.
    pub(crate) fn enter(&self, service: &str, server: &Arc<Server>) {
        lock(&self.servers).push((service.to_owned(), Arc::clone(server)));
    }

    /// master hands over a file that changed. With the last one of a change the new certificates come into force; the log has a line for
    /// each outcome, however many services share it.
    pub(crate) fn take(&self, path: String, file: Option<&File>, more: bool, log: &Log) {
        if self.files.replace(&path, file) {
            lock(&self.changed).insert(path);
        }
        if more {
            return;
        }
        let changed = std::mem::take(&mut *lock(&self.changed));
        if changed.is_empty() {
            return;
        }
        let mut notices = Vec::new();
        let mut renewed = Vec::new();
        let servers = lock(&self.servers);
        for (service, server) in servers.iter() {
            if server.renew(&mut notices) {
                renewed.push(service.as_str());
            }
        }
        let warnings: BTreeSet<String> = notices.into_iter().map(|tls::Notice(text)| text).collect();
        for text in warnings {
            maillog::warning!(log, "{text}");
        }
        if !renewed.is_empty() {
            let files: Vec<&str> = changed.iter().map(String::as_str).collect();
            maillog::info!(
                log,
                "TLS files renewed: {}; in use from now on by service {}",
                files.join(", "),
                renewed.join(", ")
            );
        }
    }

    /// Saves sessions now and then, and once more at the end.
    pub(crate) async fn keep_sessions(&self, mut draining: watch::Receiver<bool>, log: Log) {
        let warn = |why: &str| maillog::warning!(log, "{why}");
        tls::session_cache::keep_saved(drained(&mut draining), || self.save_sessions(), warn).await;
    }

    fn save_sessions(&self) -> Result<(), String> {
        let servers: Vec<_> = lock(&self.servers).iter().map(|(_, server)| Arc::clone(server)).collect();
        servers.iter().try_for_each(|server| server.save_sessions())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
