//! The file system as a role may see it (Landlock, Linux 5.13 and later): what programs need to run, what the configuration
//! names, and nothing else. Best effort: an older kernel has no jail, and the log says so.
//!
//! It comes on top of the user that a role runs as; it does not restrict the network or UNIX-domain sockets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use config::{Configuration, Settings, params};
use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus,
};

/// What every program reads: libraries, name services, certificates, time zones, random numbers.
const SYSTEM: [&str; 8] = ["/etc", "/usr", "/lib", "/lib64", "/run", "/var/run", "/dev", "/proc"];

/// What a role may touch.
pub struct Jail {
    read: BTreeSet<PathBuf>,
    write: BTreeSet<PathBuf>,
}

impl Jail {
    /// Reading for what the configuration names. Writing below the paths of `write`, and to the log.
    pub fn new(configuration: &Configuration, settings: &Settings, write: &[PathBuf]) -> Jail {
        let mut read: BTreeSet<PathBuf> = SYSTEM.iter().map(PathBuf::from).collect();
        read.insert(configuration.directory().to_owned());
        let overrides =
            configuration.services().iter().flat_map(|service| service.overrides.iter().map(|(_, v)| v));
        for value in configuration.main().entries().iter().map(|entry| &entry.value).chain(overrides) {
            let value = settings.expand(value).unwrap_or_default();
            read.extend(paths_in(&value));
        }
        // A file that is replaced by renaming another over it is a new file: its directory is what stays.
        let parents: Vec<PathBuf> = read
            .iter()
            .filter(|path| path.is_file())
            .filter_map(|path| path.parent().map(Path::to_owned))
            .collect();
        read.extend(parents.into_iter().filter(|parent| parent != Path::new("/")));
        // The store belongs to those who may write to it, whatever else names it.
        read.remove(Path::new(settings.get(params::queue_directory)));
        let mut write: BTreeSet<PathBuf> = write.iter().cloned().collect();
        write.insert("/dev/null".into());
        write.insert(settings.get(params::data_directory).into());
        if let Some(directory) =
            Path::new(settings.get(params::maillog_file)).parent().filter(|d| d.is_absolute())
        {
            write.insert(directory.to_owned());
        }
        Jail { read, write }
    }

    /// Locks this process in, for good. False when the kernel has no such thing.
    pub fn lock(&self) -> Result<bool, String> {
        let abi = ABI::V3;
        let all = AccessFs::from_all(abi);
        let built = || -> Result<_, landlock::RulesetError> {
            let mut ruleset =
                Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all)?.create()?;
            for (paths, access) in [(&self.read, AccessFs::from_read(abi)), (&self.write, all)] {
                for path in paths {
                    // What is not there can not be read anyhow.
                    let Ok(descriptor) = PathFd::new(path) else { continue };
                    let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
                    ruleset = ruleset.add_rule(PathBeneath::new(descriptor, access))?;
                }
            }
            ruleset.restrict_self()
        };
        match built() {
            Ok(status) => Ok(status.ruleset != RulesetStatus::NotEnforced),
            Err(error) => Err(format!("cannot enter the jail: {error}")),
        }
    }
}

/// The absolute paths in a value: alone, in lists, behind `type:`.
fn paths_in(value: &str) -> Vec<PathBuf> {
    value
        .split([' ', '\t', ',', '{', '}', '=', ':'])
        .filter(|word| word.starts_with('/') && word.len() > 1)
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_wherever_they_stand() {
        let text = |value: &str| -> Vec<String> {
            paths_in(value).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(
            text("hash:/etc/postfix/virtual, proxy:mysql:/etc/x.cf"),
            ["/etc/postfix/virtual", "/etc/x.cf"]
        );
        assert_eq!(text("permit_mynetworks, / , 10.0.0.0/8"), Vec::<String>::new());
        assert_eq!(text("unix:/run/dovecot/lmtp"), ["/run/dovecot/lmtp"]);
    }
}
