//! Looking a name up in alias_maps (aliases(5)), and who owns what is found.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use mail::Address;
use route::alias::{self, Destination};
use tables::Lookup;

use super::LocalAgent;
use crate::failure::Failure;
use crate::user::Rights;

/// An alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    /// The name that was found.
    pub(super) name: String,
    pub(super) destinations: Vec<Destination>,
    /// The owner of the database, when that is not root: with his rights its commands and files are used.
    pub(super) owner: Option<Rights>,
    /// `owner-name`, or what it stands for (expand_owner_alias): gets what can not be delivered.
    pub(super) errors_to: Option<Address>,
    /// The name was found without its extension.
    pub(super) extension_unmatched: bool,
}

impl LocalAgent {
    /// The alias for `local`, or else for `user`, which is `local` without its extension.
    pub(super) async fn find_alias(&self, local: &str, user: &str) -> Result<Option<Alias>, Failure> {
        let names = if local == user { vec![local] } else { vec![local, user] };
        for name in names {
            let Some((value, database)) = self.look_up_alias(name).await? else { continue };
            let errors_to = match name.starts_with("owner-") || !self.settings.owner_request_special {
                true => None,
                false => self.owner_alias(name).await?,
            };
            return Ok(Some(Alias {
                destinations: alias::parse(&value),
                owner: owner_of_database(&database),
                errors_to,
                extension_unmatched: name != local,
                name: name.to_owned(),
            }));
        }
        Ok(None)
    }

    /// The value of an alias, and the table that has it. Both forms of a name with special characters are tried, quoted first.
    async fn look_up_alias(&self, name: &str) -> Result<Option<(String, String)>, Failure> {
        let internal = Address::internal(name).map_err(|why| Failure::system(why.to_string()))?;
        let quoted = internal.to_external();
        let keys = if quoted == name { vec![name] } else { vec![quoted.as_str(), name] };
        for map in self.settings.alias_maps.iter() {
            for key in &keys {
                match map.lookup(key).await {
                    Lookup::Found(value) => return Ok(Some((value, map.spec().to_owned()))),
                    Lookup::Absent => {}
                    Lookup::Failed(why) => {
                        maillog::warning!(self.log, "{}: lookup of '{name}' failed: {why}", map.spec());
                        return Err(Failure::system("alias database unavailable"));
                    }
                }
            }
        }
        Ok(None)
    }

    async fn owner_alias(&self, name: &str) -> Result<Option<Address>, Failure> {
        let owner = format!("owner-{name}");
        let Some((value, _)) = self.look_up_alias(&owner).await? else { return Ok(None) };
        let expanded = match &alias::parse(&value)[..] {
            [Destination::Address(only)] if self.settings.expand_owner_alias => Some(only.clone()),
            _ => None,
        };
        let Some(address) = expanded.or_else(|| Address::internal(owner).ok()) else { return Ok(None) };
        Ok(Some(self.routing.rewrite(route::Context::Local, &address)))
    }
}

/// The owner of the file behind `type:name`. `None` for root, and for tables that are no files: default_privs counts then.
fn owner_of_database(spec: &str) -> Option<Rights> {
    let (_, name) = spec.split_once(':')?;
    if !name.starts_with('/') {
        return None;
    }
    let found = ["db", "lmdb", "cdb", "dir"]
        .iter()
        .map(|suffix| format!("{name}.{suffix}"))
        .chain([name.to_owned()])
        .find_map(|path| std::fs::metadata(Path::new(&path)).ok())?;
    (found.uid() != 0).then(|| Rights { uid: found.uid(), gid: found.gid() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_owns_a_database() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("aliases");
        std::fs::write(format!("{}.db", path.display()), "").unwrap();
        let uid = std::fs::metadata(directory.path()).unwrap().uid();
        let found = owner_of_database(&format!("hash:{}", path.display()));
        assert_eq!(found.map(|rights| rights.uid), (uid != 0).then_some(uid));
        for spec in ["inline:{a=b}", "hash:/no/such/aliases", "static:x", "odd"] {
            assert_eq!(owner_of_database(spec), None, "{spec}");
        }
    }
}
