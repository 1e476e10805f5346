//! `inline:{ key=value, { key = value with blanks } }`: a table inside the configuration (DATABASE_README).

use crate::lookup::Lookup;
use crate::map::{Entries, Opened, Opening, Table};
use crate::texthash::{Pairs, sorted};

struct Inline(Pairs);

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    let spec = format!("inline:{}", opening.name);
    let need = "need \"inline:{name=value...}\"";
    let inside = config::list::braced(opening.name)
        .filter(|inside| !inside.is_empty())
        .ok_or_else(|| format!("bad syntax: \"{spec}\"; {need}"))?;
    let mut pairs = Pairs::new();
    for item in config::list::split(inside) {
        let pair = config::list::braced(item).unwrap_or(item);
        let (key, value) =
            split_pair(pair).map_err(|why| format!("{why} in '{pair}': \"{spec}\"; {need}"))?;
        let key = if opening.flags.fold { key.to_lowercase() } else { key.to_owned() };
        pairs.insert(key, value.to_owned());
    }
    if pairs.is_empty() {
        return Err(format!("empty table: \"{spec}\"; {need}"));
    }
    Ok(Opened::Local(Box::new(Inline(pairs))))
}

/// `name = value`; the name may be quoted to hold a `=`.
fn split_pair(pair: &str) -> Result<(&str, &str), &'static str> {
    let mut quoted = false;
    let equals = pair.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '=' && !quoted).then_some(at)
    });
    let Some(equals) = equals else { return Err("missing '=' after attribute name") };
    match pair[..equals].trim() {
        "" => Err("missing attribute name"),
        key => Ok((key, pair[equals + 1..].trim())),
    }
}

impl Table for Inline {
    fn lookup(&self, key: &str) -> Lookup {
        self.0.get(key).cloned().into()
    }

    fn entries(&self) -> Option<Result<Entries, String>> {
        Some(Ok(sorted(&self.0)))
    }
}

#[cfg(test)]
mod tests {
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn pairs_and_errors() {
        //   spec                                key      expected
        for (spec, key, expected) in [
            ("inline:{a=b, c=d}", "c", Ok(Some("d"))),
            ("inline:{ {a = b c}, {d e = f} }", "a", Ok(Some("b c"))),
            ("inline:{ {a = b c}, {d e = f} }", "d e", Ok(Some("f"))),
            ("inline:{A=b}", "a", Ok(Some("b"))),
            ("inline:{a=b}", "x", Ok(None)),
            ("inline:{\"a=b\"=c}", "\"a=b\"", Ok(Some("c"))),
            ("inline:{}", "a", Err("bad syntax: \"inline:{}\"; need \"inline:{name=value...}\"")),
            ("inline:a=b", "a", Err("bad syntax: \"inline:a=b\"; need \"inline:{name=value...}\"")),
            (
                "inline:{a}",
                "a",
                Err("missing '=' after attribute name in 'a': \"inline:{a}\"; \
                     need \"inline:{name=value...}\""),
            ),
        ] {
            let (tables, _) = listening();
            let found = now(tables.map(spec, Flags::default()).lookup(key)).into_result();
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(String::as_str), expected, "{spec}");
        }
    }
}
