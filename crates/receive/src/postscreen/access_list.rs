//! postscreen_access_list: who is let through or refused before any test (postscreen(8), "permanent allow/denylist test").
//!
//! An element is `permit_mynetworks`, `permit`, `reject`, `dunno`, or `type:table`, which is asked for the client's address and
//! answers with more elements, tables excepted. The first that decides counts. What can not be understood or asked ends the
//! list without a decision, and the tests follow: the list can not be made weaker by breaking it.

use std::net::IpAddr;
use std::sync::Arc;

use tables::domain_search::ParentStyle;
use tables::{Flags, Lookup, Map, MatchList, MatchStyle, Tables};

/// The parameter.
const PARAMETER: &str = "postscreen_access_list";

/// The list, ready to be asked.
pub(super) struct AccessList {
    elements: Vec<Element>,
    mynetworks: MatchList,
}

/// What the list says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Allow,
    Deny,
    /// Nothing: the client is tested.
    No,
}

enum Element {
    PermitMynetworks,
    Permit,
    Reject,
    Dunno,
    Table(Arc<Map>),
    Unknown(String),
}

impl Element {
    fn parse(word: &str, tables: Option<&Tables>) -> Element {
        match (word.to_ascii_lowercase().as_str(), tables) {
            ("permit_mynetworks", _) => Element::PermitMynetworks,
            ("permit", _) => Element::Permit,
            ("reject", _) => Element::Reject,
            ("dunno", _) => Element::Dunno,
            (_, Some(tables)) if word.contains(':') => Element::Table(tables.map(word, Flags::default())),
            _ => Element::Unknown(word.to_owned()),
        }
    }
}

/// What one element says; `Err` ends the list, and is for the log.
type Answer = Result<Option<Listed>, String>;

impl AccessList {
    /// Compiles the parameter's value.
    pub(super) fn open(tables: &Tables, value: &str, mynetworks: &str) -> AccessList {
        let style = MatchStyle::HostsAndAddresses(ParentStyle::MatchParent);
        AccessList {
            elements: config::list::split(value)
                .into_iter()
                .map(|word| Element::parse(word, Some(tables)))
                .collect(),
            mynetworks: MatchList::open(tables, PARAMETER, mynetworks, style),
        }
    }

    /// Asks for a client. Trouble goes to `warn`.
    pub(super) async fn find(&self, client: IpAddr, warn: &impl Fn(&str)) -> Listed {
        for element in &self.elements {
            let answer = match element {
                Element::Table(map) => self.ask_table(map, client).await,
                other => self.ask(other, client).await,
            };
            match answer {
                Ok(None) => {}
                Ok(Some(listed)) => return listed,
                Err(why) => {
                    warn(&format!("{PARAMETER}: {why} -- ignoring the remainder of this access list"));
                    return Listed::No;
                }
            }
        }
        Listed::No
    }

    async fn ask(&self, element: &Element, client: IpAddr) -> Answer {
        match element {
            Element::PermitMynetworks => {
                let inside = self.mynetworks.matches_host("", Some(client)).await;
                inside
                    .map(|inside| inside.then_some(Listed::Allow))
                    .map_err(|why| format!("permit_mynetworks: mynetworks lookup error: {why}"))
            }
            Element::Permit => Ok(Some(Listed::Allow)),
            Element::Reject => Ok(Some(Listed::Deny)),
            Element::Dunno => Ok(Some(Listed::No)),
            Element::Unknown(word) => Err(format!("unknown command: {word}")),
            Element::Table(map) => Err(format!("{}: a table inside a table is not allowed", map.spec())),
        }
    }

    async fn ask_table(&self, map: &Map, client: IpAddr) -> Answer {
        let value = match map.lookup(&client.to_string()).await {
            Lookup::Found(value) => value,
            Lookup::Absent => return Ok(None),
            Lookup::Failed(why) => return Err(format!("{}: table lookup error: {why}", map.spec())),
        };
        for word in config::list::split(&value) {
            match self.ask(&Element::parse(word, None), client).await {
                Ok(None) => {}
                // As in the list of the parameter: the table has nothing to say, and the next element is asked.
                Ok(Some(Listed::No)) => return Ok(None),
                Err(why) => return Err(format!("table {}: {why}", map.spec())),
                decided => return decided,
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test]
    async fn the_first_element_that_decides_counts() {
        for (list, client, expected, warned) in [
            ("permit_mynetworks", "192.0.2.1", Listed::Allow, ""),
            ("permit_mynetworks", "198.51.100.1", Listed::No, ""),
            ("permit_mynetworks, reject", "198.51.100.1", Listed::Deny, ""),
            ("static:reject permit", "198.51.100.1", Listed::Deny, ""),
            ("cidr:{{198.51.100.0/24 reject}}", "198.51.100.1", Listed::Deny, ""),
            ("cidr:{{198.51.100.0/24 dunno}}, permit", "198.51.100.1", Listed::Allow, ""),
            ("dunno, permit", "198.51.100.1", Listed::No, ""),
            ("inline:{198.51.100.1=permit_mynetworks} REJECT", "198.51.100.1", Listed::Deny, ""),
            ("static:{permit_mynetworks permit}", "198.51.100.1", Listed::Allow, ""),
            ("inline:{2001:db8::1=permit}", "2001:db8::1", Listed::Allow, ""),
            ("nonsense, permit", "198.51.100.1", Listed::No, "unknown command: nonsense"),
            ("static:static:permit, reject", "198.51.100.1", Listed::No, "table static:static:permit: "),
            ("fail:x, permit", "198.51.100.1", Listed::No, "fail:x: table lookup error"),
        ] {
            let tables = Tables::silent();
            let opened = AccessList::open(&tables, list, "192.0.2.0/24");
            let warnings = Mutex::new(String::new());
            let warn = |text: &str| warnings.lock().unwrap().push_str(text);
            let found = opened.find(client.parse().unwrap(), &warn).await;
            assert_eq!(found, expected, "{list}");
            let warnings = warnings.into_inner().unwrap();
            assert!(
                warnings.contains(warned) && warnings.is_empty() == warned.is_empty(),
                "{list}: {warnings}"
            );
        }
    }
}
