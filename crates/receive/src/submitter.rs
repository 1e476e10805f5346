//! Who on this machine may hand in mail, and as whom: authorized_submit_users, local_login_sender_maps (postdrop(1)).

use config::{Settings, list, params};
use mail::Address;
use tables::{Flags, Key, Maps, MatchList, MatchStyle, Tables};

/// The lists of pickup.
pub(crate) struct Submitters {
    users: MatchList,
    sender_maps: Maps,
    /// `empty_address_local_login_sender_maps_lookup_key`: how a pattern says the null sender.
    null_key: String,
    delimiters: String,
}

impl Submitters {
    pub(crate) fn open(settings: &Settings, tables: &Tables) -> Submitters {
        let (users, maps) = (params::authorized_submit_users, params::local_login_sender_maps);
        Submitters {
            users: MatchList::open(tables, users.name(), settings.get(users), MatchStyle::Strings),
            sender_maps: Maps::open(tables, maps.name(), settings.get(maps), Flags::default()),
            null_key: settings.get(params::empty_address_local_login_sender_maps_lookup_key).to_owned(),
            delimiters: settings.get(params::recipient_delimiter).to_owned(),
        }
    }

    /// May the user send as this? The error is for him; a list that can not be asked says no.
    pub(crate) async fn check(&self, uid: u32, name: Option<&str>, sender: &Address) -> Result<(), String> {
        let shown = format!("User {}({uid})", name.unwrap_or("unknown"));
        if !self.users.matches(name.unwrap_or("unknown")).await? {
            return Err(format!("{shown} is not allowed to submit mail"));
        }
        let key = name.map_or_else(|| format!("uid:{uid}"), str::to_owned);
        let patterns = self.sender_maps.find(&key, Key::Full).await.into_result()?.unwrap_or_default();
        match list::split(&patterns).iter().any(|pattern| self.admits(pattern, sender)) {
            true => Ok(()),
            false => Err(format!("{shown} is not allowed to submit mail as <{}>", sender.to_external())),
        }
    }

    fn admits(&self, pattern: &str, sender: &Address) -> bool {
        let bare = self.without_extension(sender);
        match pattern {
            "*" => true,
            pattern if sender.is_null() => pattern == self.null_key,
            pattern => match (pattern.strip_prefix('@'), sender.domain()) {
                (Some(domain), Some(own)) => own.eq_ignore_ascii_case(domain),
                _ => bare.eq_ignore_ascii_case(pattern),
            },
        }
    }

    fn without_extension(&self, sender: &Address) -> String {
        let local = sender.local_part();
        let end = local.find(|c| self.delimiters.contains(c)).filter(|end| *end > 0).unwrap_or(local.len());
        match sender.domain() {
            Some(domain) => format!("{}@{domain}", &local[..end]),
            None => local[..end].to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use config::{HostFacts, MainCf};

    use super::*;

    #[tokio::test]
    async fn users_and_senders() {
        let main_cf = "authorized_submit_users = !www, static:all\nrecipient_delimiter = +\n\
            local_login_sender_maps = inline:{ {joe = joe@x.test, @joe.test, <>} {root = *} {uid:7 = seven@x.test} {www = *} }";
        let main = MainCf::parse("main.cf", main_cf.as_bytes()).unwrap();
        let settings = Settings::load(&main, &[], &HostFacts::default()).unwrap();
        let submitters = Submitters::open(&settings, &Tables::silent());
        for (uid, name, sender, expected) in [
            (1, Some("joe"), "joe@x.test", ""),
            (1, Some("joe"), "Joe+ext@X.test", ""),
            (1, Some("joe"), "any@JOE.test", ""),
            (1, Some("joe"), "", ""),
            (1, Some("joe"), "other@x.test", "User joe(1) is not allowed to submit mail as <other@x.test>"),
            (
                1,
                Some("joe"),
                "any@sub.joe.test",
                "User joe(1) is not allowed to submit mail as <any@sub.joe.test>",
            ),
            (0, Some("root"), "any@x.test", ""),
            (7, None, "seven@x.test", ""),
            (8, Some("jim"), "jim@x.test", "User jim(8) is not allowed to submit mail as <jim@x.test>"),
            (9, Some("www"), "www@x.test", "User www(9) is not allowed to submit mail"),
        ] {
            let said = submitters.check(uid, name, &Address::internal(sender).unwrap()).await;
            assert_eq!(said.err().unwrap_or_default(), expected, "{name:?} {sender}");
        }
        let plain =
            Settings::load(&MainCf::parse("main.cf", b"").unwrap(), &[], &HostFacts::default()).unwrap();
        let anybody = Submitters::open(&plain, &Tables::silent());
        assert_eq!(anybody.check(8, None, &Address::internal("x@y.test").unwrap()).await, Ok(()));
        let broken = MainCf::parse("main.cf", b"local_login_sender_maps = fail:x").unwrap();
        let broken = Settings::load(&broken, &[], &HostFacts::default()).unwrap();
        let broken = Submitters::open(&broken, &Tables::silent());
        assert!(broken.check(8, Some("x"), &Address::null()).await.is_err());
    }
}
