//! `pipemap:{type:name, type:name}`: each table is asked with the result of the one before; the last result
//! counts. An absence anywhere is an absence of the whole.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::lookup::Lookup;
use crate::map::{Map, Opened, Opening, WaitingTable};

struct PipeMap(Vec<Arc<Map>>);

pub(crate) fn open(opening: &Opening<'_>) -> Result<Opened, String> {
    Ok(Opened::Waiting(Box::new(PipeMap(members(opening)?))))
}

/// The tables in braces, for pipemap and unionmap.
pub(crate) fn members(opening: &Opening<'_>) -> Result<Vec<Arc<Map>>, String> {
    let specs = config::list::braced(opening.name).map(config::list::split).unwrap_or_default();
    if specs.is_empty() || specs.iter().any(|spec| !spec.contains(':')) {
        let kind = opening.type_name;
        return Err(format!("bad syntax: \"{kind}:{}\"; need \"{kind}:{{type:name...}}\"", opening.name));
    }
    Ok(specs.into_iter().map(|spec| opening.tables.map(spec, opening.flags)).collect())
}

impl WaitingTable for PipeMap {
    fn lookup<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Lookup> + Send + 'a>> {
        Box::pin(async move {
            let mut query = key.to_owned();
            for map in &self.0 {
                match map.lookup(&query).await {
                    Lookup::Found(result) => query = result,
                    other => return other,
                }
            }
            Lookup::Found(query)
        })
    }

    /// The first table sees the key, so it decides.
    fn is_pattern(&self) -> bool {
        self.0.first().is_some_and(|map| map.is_pattern())
    }
}

#[cfg(test)]
mod tests {
    use crate::map::Flags;
    use crate::map::tests::{listening, now};

    #[test]
    fn results_travel_through_the_pipe() {
        for (spec, expected) in [
            ("pipemap:{inline:{a=b},inline:{b=c}}", Ok(Some("c"))),
            ("pipemap:{inline:{a=b},inline:{x=c}}", Ok(None)),
            ("pipemap:{inline:{a=b},fail:f}", Err("fail:f: lookup error")),
            ("pipemap:{}", Err("bad syntax: \"pipemap:{}\"; need \"pipemap:{type:name...}\"")),
            ("pipemap:{x}", Err("bad syntax: \"pipemap:{x}\"; need \"pipemap:{type:name...}\"")),
        ] {
            let (tables, _) = listening();
            let found = now(tables.map(spec, Flags::default()).lookup("a")).into_result();
            assert_eq!(found.as_ref().map(Option::as_deref).map_err(String::as_str), expected, "{spec}");
        }
    }
}
