//! Questions and results with `%s`, `%u`, `%d` and their kin (mysql_table(5)).

/// A text with places to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(Place),
}

/// What is filled in. Of the key, or in a result format of the value: `%S`, `%U`, `%D` and the digits stay the key's there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `%s`, and `%S`.
    Whole { key: bool },
    /// `%u`, `%U`: the local part, or everything when there is no `@`.
    User { key: bool },
    /// `%d`, `%D`.
    Domain { key: bool },
    /// `%1` to `%9`: labels of the key's domain, the top-level one first.
    Label(usize),
}

impl Template {
    /// Parses it. The error names the bad place.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                plain.push(c);
                continue;
            }
            let place = match chars.next() {
                Some('%') => {
                    plain.push('%');
                    continue;
                }
                Some('s') => Place::Whole { key: false },
                Some('S') => Place::Whole { key: true },
                Some('u') => Place::User { key: false },
                Some('U') => Place::User { key: true },
                Some('d') => Place::Domain { key: false },
                Some('D') => Place::Domain { key: true },
                Some(digit @ '1'..='9') => Place::Label(digit as usize - '0' as usize),
                Some(other) => {
                    return Err(format!("unknown format character %{other}; write %% for a plain %"));
                }
                None => return Err("a % at the end; write %% for a plain %".into()),
            };
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Place(place));
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template(parts))
    }

    /// Fills in a question. `None` when a part that the key does not have is wanted: then there is nothing to ask.
    pub(crate) fn question(&self, key: &str, quote: impl Fn(&str) -> String) -> Option<String> {
        self.fill(key, key, quote)
    }

    /// Fills in a result. `None` for values that the format can not be made from.
    pub(crate) fn result(&self, key: &str, value: &str) -> Option<String> {
        self.fill(key, value, str::to_owned)
    }

    fn fill(&self, key: &str, value: &str, quote: impl Fn(&str) -> String) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Place(place) => out.push_str(&quote(place.of(key, value)?)),
            }
        }
        Some(out)
    }
}

impl Place {
    fn of<'a>(self, key: &'a str, value: &'a str) -> Option<&'a str> {
        let of = |is_key: bool| if is_key { key } else { value };
        match self {
            Place::Whole { key } => Some(of(key)),
            Place::User { key } => match of(key).rsplit_once('@') {
                Some(("", _)) => None,
                Some((user, _)) => Some(user),
                None => Some(of(key)),
            },
            Place::Domain { key } => {
                of(key).rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty())
            }
            Place::Label(number) => {
                let (_, domain) = key.rsplit_once('@')?;
                domain.rsplit('.').nth(number - 1).filter(|label| !label.is_empty())
            }
        }
    }
}

/// `domain`: keys of other domains are not asked about, and neither are keys without a user.
pub(crate) fn is_wanted(domains: &[String], key: &str) -> bool {
    if domains.is_empty() {
        return true;
    }
    match key.rsplit_once('@') {
        Some((user, domain)) => {
            !user.is_empty() && domains.iter().any(|wanted| wanted.eq_ignore_ascii_case(domain))
        }
        None => false,
    }
}

/// Values made into one result: each through the format, joined by commas, at most `limit` of them (0: any number).
pub(crate) fn joined(
    format: &Template,
    key: &str,
    values: impl IntoIterator<Item = String>,
    limit: usize,
) -> Result<Option<String>, String> {
    let mut results: Vec<String> = Vec::new();
    for value in values.into_iter().filter(|value| !value.is_empty()) {
        results.extend(format.result(key, &value));
        if limit > 0 && results.len() > limit {
            return Err(format!("more than {limit} results for \"{key}\" (expansion_limit)"));
        }
    }
    Ok((!results.is_empty()).then(|| results.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in() {
        let quoted = |text: &str| text.replace('\'', "''");
        for (template, key, expected) in [
            ("x='%s'", "o'neil@a.b.example", Some("x='o''neil@a.b.example'")),
            ("%u at %d", "me@x.y", Some("me at x.y")),
            ("%u", "plain", Some("plain")),
            ("%d", "plain", None),
            ("%u", "@x.y", None),
            ("%1-%2-%3", "a@b.c.d", Some("d-c-b")),
            ("%4", "a@b.c.d", None),
            ("%1", "plain", None),
            ("100%%", "k", Some("100%")),
            ("%U %S", "u@d", Some("u u@d")),
        ] {
            let filled = Template::parse(template).unwrap().question(key, quoted);
            assert_eq!(filled.as_deref(), expected, "{template} {key}");
        }
        assert!(Template::parse("%x").is_err() && Template::parse("%").is_err());
    }

    #[test]
    fn results() {
        let format = |text: &str| Template::parse(text).unwrap();
        let values = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let plain = format("%s");
        assert_eq!(joined(&plain, "k", values(&["a", "", "b"]), 0), Ok(Some("a,b".into())));
        assert_eq!(joined(&plain, "k", values(&["", ""]), 0), Ok(None));
        assert!(joined(&plain, "k", values(&["a", "b"]), 1).is_err());
        assert_eq!(joined(&format("smtp:[%s]"), "k", values(&["mx"]), 0), Ok(Some("smtp:[mx]".into())));
        assert_eq!(joined(&format("%u@%D"), "k@own", values(&["a@other"]), 0), Ok(Some("a@own".into())));
    }

    #[test]
    fn domains() {
        let domains = ["a.example".to_owned()];
        for (key, expected) in [("u@A.example", true), ("u@b", false), ("u", false), ("@a.example", false)] {
            assert_eq!(is_wanted(&domains, key), expected, "{key}");
        }
        assert!(is_wanted(&[], "anything"));
    }
}
