//! Who may look at the queue and who may flush it (`authorized_mailq_users`, `authorized_flush_users`). Root and the queue's owner
//! always may; changing messages is theirs alone.

use std::sync::{Arc, Mutex, PoisonError};

use config::{Settings, params};
use link::Request;
use tables::users::User;
use tables::{MatchList, MatchStyle, Tables};

/// Both lists.
pub(crate) struct Permissions {
    view: MatchList,
    flush: MatchList,
}

/// The permissions in force; a reload puts others in their place.
#[derive(Clone)]
pub(crate) struct Current(Arc<Mutex<Arc<Permissions>>>);

impl Current {
    pub(crate) fn new(permissions: Permissions) -> Current {
        Current(Arc::new(Mutex::new(Arc::new(permissions))))
    }

    pub(crate) fn replace(&self, permissions: Permissions) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(permissions);
    }

    pub(crate) fn get(&self) -> Arc<Permissions> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Permissions {
    pub(crate) fn open(settings: &Settings, tables: &Tables) -> Permissions {
        let list = |name, value| MatchList::open(tables, name, value, MatchStyle::Strings);
        Permissions {
            view: list("authorized_mailq_users", settings.get(params::authorized_mailq_users)),
            flush: list("authorized_flush_users", settings.get(params::authorized_flush_users)),
        }
    }

    /// May this user ask this? The error is what the user reads. A list that can not be asked permits nobody.
    pub(crate) async fn check(&self, request: &Request, uid: u32) -> Result<(), String> {
        let (list, what) = match request {
            Request::List { .. } => (&self.view, "view"),
            Request::Flush(_) => (&self.flush, "flush"),
            _ => return Ok(()),
        };
        if uid == 0 || uid == rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        let name = user_name(uid);
        match list.matches(&name).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(format!("User {name}({uid}) is not allowed to {what} the mail queue")),
            Err(why) => Err(format!("User {name}({uid}) is not allowed to {what} the mail queue now: {why}")),
        }
    }
}

/// The user's name, or `unknown`, as in Postfix.
fn user_name(uid: u32) -> String {
    let user = User::numbered(uid).ok().flatten();
    user.map_or_else(|| "unknown".into(), |user| user.name)
}

#[cfg(test)]
mod tests {
    use config::HostFacts;
    use config::main_cf::MainCf;
    use link::message::FlushWhat;

    use super::*;

    #[tokio::test]
    async fn lists_name_who_may() {
        let main = MainCf::parse(
            "main.cf",
            b"authorized_mailq_users = !nobody, static:anyone\nauthorized_flush_users = daemon",
        );
        let settings = Settings::load(&main.unwrap(), &[], &HostFacts::default()).unwrap();
        let tables = Tables::new(Arc::new(|_: &str| {}));
        let permissions = Permissions::open(&settings, &tables);
        let list = Request::List { select: Box::default(), after: None };
        let flush = Request::Flush(FlushWhat::All);
        // Numbers of Debian, as of all systems that this runs on: daemon is 1, nobody 65534.
        for (request, uid, expected) in [
            (&list, 0, Ok(())),
            (&list, 1, Ok(())),
            (&list, 65534, Err("User nobody(65534) is not allowed to view the mail queue")),
            (&flush, 0, Ok(())),
            (&flush, 1, Ok(())),
            (&flush, 65534, Err("User nobody(65534) is not allowed to flush the mail queue")),
            (&Request::Ping, 65534, Ok(())),
        ] {
            let allowed = permissions.check(request, uid).await;
            assert_eq!(allowed, expected.map_err(str::to_owned), "{request:?} {uid}");
        }
    }
}
