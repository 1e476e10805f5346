//! `debug:type:name` (DATABASE_README, since Postfix 3.11): another table, each lookup of which stands in the log with its result.

use std::future::Future;
use std::pin::Pin;

use mail::secret::HIDDEN;

use crate::lookup::Lookup;
use crate::map::{Entries, Opened, Opening, Table, WaitingTable, Warn};

/// A table that answers at once stays one.
struct Debug<T: ?Sized> {
    /// `type:name` of the table.
    spec: String,
    /// Results are nobody's business.
    secret: bool,
    say: Warn,
    table: Box<T>,
}

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let (spec, secret, say) = (opening.name.to_owned(), opening.flags.secret, opening.tables_warn());
    Ok(match opening.tables.try_open(opening.name, opening.flags)? {
        Opened::Local(table) => Opened::Local(Box::new(Debug { spec, secret, say, table })),
        Opened::Waiting(table) => Opened::Waiting(Box::new(Debug { spec, secret, say, table })),
    })
}

impl<T: ?Sized> Debug<T> {
    fn tell(&self, key: &str, found: Lookup) -> Lookup {
        let result = match &found {
            Lookup::Found(_) if self.secret => HIDDEN,
            Lookup::Found(value) => value,
            Lookup::Absent => "not_found",
            Lookup::Failed(_) => "error",
        };
        (self.say)(&format!("info: {} lookup: \"{key}\" = \"{result}\"", self.spec));
        found
    }
}

impl Table for Debug<dyn Table> {
    fn lookup(&self, key: &str) -> Lookup {
        self.tell(key, self.table.lookup(key))
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        self.table.entries()
    }

    fn is_pattern(&self) -> bool {
        self.table.is_pattern()
    }
}

impl WaitingTable for Debug<dyn WaitingTable> {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move { self.tell(key, self.table.lookup(key).await) })
    }

    fn is_pattern(&self) -> bool {
        self.table.is_pattern()
    }
}

#[cfg(test)]
mod tests {
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn lookups_are_told() {
        for (spec, found, told) in [
            ("debug:inline:{a=b}", Ok(Some("b")), "info: inline:{a=b} lookup: \"a\" = \"b\""),
            ("debug:inline:{b=c}", Ok(None), "info: inline:{b=c} lookup: \"a\" = \"not_found\""),
            ("debug:fail:f", Err("fail:f: lookup error"), "info: fail:f lookup: \"a\" = \"error\""),
            ("debug:debug:static:x", Ok(Some("x")), "info: debug:static:x lookup: \"a\" = \"x\""),
            (
                "debug:pipemap:{inline:{a=b},inline:{b=c}}",
                Ok(Some("c")),
                "info: pipemap:{inline:{a=b},inline:{b=c}} lookup: \"a\" = \"c\"",
            ),
            (
                "debug:x",
                Err("need maptype:mapname instead of: x"),
                "error: need maptype:mapname instead of: x",
            ),
        ] {
            let (tables, heard) = listening();
            let got = now(tables.map(spec, Flags::default()).lookup("A")).into_result();
            assert_eq!(got.as_ref().map(Option::as_deref).map_err(String::as_str), found, "{spec}");
            assert_eq!(heard.lock().unwrap().last().map(String::as_str), Some(told), "{spec}");
            assert_eq!(
                tables.map(spec, Flags::default()).broken(),
                found.err().filter(|_| spec == "debug:x")
            );
        }
        let (tables, heard) = listening();
        assert!(now(tables.map("debug:static:password", Flags::secret()).lookup("a")).into_result().is_ok());
        assert_eq!(heard.lock().unwrap()[..], ["info: static:password lookup: \"a\" = \"***\""]);
        let (tables, heard) = listening();
        let found = now(tables.map(&"debug:".repeat(2000), Flags::default()).lookup("a"));
        assert!(found.into_result().is_err_and(|why| why.contains("nested too deeply")));
        assert_eq!(heard.lock().unwrap().len(), 1);
    }
}
