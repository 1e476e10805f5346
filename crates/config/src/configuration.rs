//! A whole configuration: main.cf, master.cf and the facts of the host, as one value that every role reads for itself.

use std::path::{Path, PathBuf};

use crate::config_error::ConfigErrors;
use crate::host::HostFacts;
use crate::main_cf::MainCf;
use crate::master_cf::{MasterCf, Service, ServiceKind};
use crate::settings::Settings;

/// main.cf and master.cf of one directory, read at the same time.
#[derive(Debug, Clone)]
pub struct Configuration {
    directory: PathBuf,
    main: MainCf,
    master: MasterCf,
    services: Vec<Service>,
    warnings: Vec<String>,
    host: HostFacts,
}

impl Configuration {
    /// Reads both files. The error names file and line, and the cure where one is known.
    pub fn read(directory: &Path, host: HostFacts) -> Result<Configuration, String> {
        let main_path = directory.join("main.cf");
        let mut main = MainCf::read(&main_path).map_err(|error| error.to_string())?;
        // The directory that was asked for is the directory, whatever the file says.
        main.set("config_directory", &directory.display().to_string(), 0);
        let master = MasterCf::read(&directory.join("master.cf")).map_err(|error| error.to_string())?;
        let mut warnings: Vec<String> = main.warnings().to_vec();
        warnings.extend(master.warnings().iter().cloned());
        // A chroot column of `-` means no since Postfix 3.0; compatibility levels below 1 meant yes, which has no meaning for
        // roles that are jailed anyhow.
        let (services, more) = master.services(false).map_err(|error| error.to_string())?;
        warnings.extend(more);
        Ok(Configuration { directory: directory.to_owned(), main, master, services, warnings, host })
    }

    /// The directory of both files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The facts of the host.
    pub fn host(&self) -> &HostFacts {
        &self.host
    }

    /// main.cf.
    pub fn main(&self) -> &MainCf {
        &self.main
    }

    /// master.cf.
    pub fn master(&self) -> &MasterCf {
        &self.master
    }

    /// The services of master.cf, in its order.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// What is odd in the two files, for the log at start.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The first service of that program, with its settings' overrides: `qmgr`, `cleanup`.
    pub fn service_of_program(&self, program: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.program == program)
    }

    /// The client or delivery service of that name: what a transport names.
    pub fn transport(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name && service.kind == ServiceKind::Unix)
    }

    /// The settings of a service: main.cf and its `-o` options.
    pub fn settings_of(&self, service: &Service) -> Result<Settings, ConfigErrors> {
        Settings::for_service(&self.main, service, &self.host)
    }

    /// The settings of main.cf alone, as the program of that name sees them.
    pub fn settings(&self, program: &str) -> Result<Settings, ConfigErrors> {
        let host = HostFacts { process_name: program.to_owned(), ..self.host.clone() };
        Settings::load(&self.main, &[], &host)
    }
}
