//! MTA-STS (RFC 8461): what a domain publishes, read. Pure; who fetches it, keeps it and acts on it is elsewhere.
//!
//! - [`Record`]: the TXT record at `_mta-sts.DOMAIN`, which says that there is a policy and which one.
//! - [`Policy`]: the file at `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`.

use std::time::Duration;

use crate::policy::is_hostname;

/// Largest policy, in bytes (RFC 8461 section 3.3 suggests 64 kilobytes).
pub const MOST_BYTES: usize = 64 * 1024;

/// Most patterns of one policy.
const MOST_PATTERNS: usize = 200;

/// Longest lifetime of a policy: 31,557,600 seconds (RFC 8461 section 3.2).
const LONGEST: Duration = Duration::from_secs(31_557_600);

/// The TXT record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Changes with the policy; up to 32 letters and digits.
    pub id: String,
}

impl Record {
    /// Finds the record among the texts at the name. `None` when there is none, more than one, or one that is wrong: the domain has no
    /// policy to be discovered then (RFC 8461 section 3.1).
    pub fn find<T: AsRef<[u8]>>(texts: &[T]) -> Option<Record> {
        let mut records =
            texts.iter().filter_map(|text| std::str::from_utf8(text.as_ref()).ok()).filter_map(|text| {
                let (version, rest) = text.split_once(';')?;
                (version.trim_end() == "v=STSv1").then_some(rest)
            });
        let record = records.next()?;
        if records.next().is_some() {
            return None;
        }
        let id = record.split(';').find_map(|field| field.trim().strip_prefix("id="))?;
        let fits = (1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Record { id: id.to_owned() })
    }
}

/// What a sender does with a server that is not as the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It gets no mail.
    Enforce,
    /// It gets mail, and its domain a report.
    Testing,
    /// As if there were no policy.
    None,
}

/// The policy of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What it asks for.
    pub mode: Mode,
    /// Names of the servers that may have the domain's mail; `*.` stands for one label. At least one, but for [`Mode::None`].
    pub mx: Vec<String>,
    /// How long it holds from the time it was fetched; a year and six hours at most.
    pub max_age: Duration,
    /// Its lines, for reports.
    pub lines: Vec<String>,
}

impl Policy {
    /// Reads a policy (RFC 8461 section 3.2). Of a field that stands twice the first counts; unknown ones are skipped. The error says
    /// what is wrong.
    pub fn parse(content: &[u8]) -> Result<Policy, String> {
        if content.len() > MOST_BYTES {
            return Err(format!("the policy is larger than {MOST_BYTES} bytes"));
        }
        let text = std::str::from_utf8(content).map_err(|_| "the policy is no text")?;
        let lines: Vec<String> =
            text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect();
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in &lines {
            let (key, value) =
                line.split_once(':').ok_or_else(|| format!("\"{}\" has no colon", clean(line)))?;
            let value = value.trim();
            match key.trim() {
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" if mx.len() >= MOST_PATTERNS => {
                    return Err(format!("the policy names more than {MOST_PATTERNS} servers"));
                }
                "mx" => mx.push(pattern(value)?),
                _ => {}
            }
        }
        match version {
            Some("STSv1") => {}
            Some(other) => return Err(format!("its version is \"{}\", not STSv1", clean(other))),
            None => return Err("it has no version".into()),
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            Some(other) => return Err(format!("its mode is \"{}\": enforce, testing or none", clean(other))),
            None => return Err("it has no mode".into()),
        };
        let max_age = max_age.ok_or("it has no max_age")?;
        let digits = (1..=10).contains(&max_age.len()) && max_age.bytes().all(|byte| byte.is_ascii_digit());
        let seconds: u64 = match digits.then(|| max_age.parse()) {
            Some(Ok(seconds)) => seconds,
            _ => return Err(format!("its max_age is \"{}\", not a number of seconds", clean(max_age))),
        };
        if mx.is_empty() && mode != Mode::None {
            return Err("it names no server (mx)".into());
        }
        Ok(Policy { mode, mx, max_age: Duration::from_secs(seconds).min(LONGEST), lines })
    }

    /// May the server of this name have the domain's mail?
    pub fn allows(&self, host: &str) -> bool {
        self.mx.iter().any(|pattern| matches(pattern, host))
    }
}

/// RFC 8461 section 4.1: `*` stands for one label, the left-most.
pub(crate) fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => host.eq_ignore_ascii_case(pattern),
    }
}

fn pattern(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    match is_hostname(name) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err(format!("mx \"{}\" is neither a host name nor one behind \"*.\"", clean(text))),
    }
}

/// It comes from strangers, and goes to the log.
fn clean(text: &str) -> String {
    text.chars().take(100).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        let long = format!("v=STSv1; id={};", "a".repeat(33));
        for (texts, expected) in [
            (&["v=STSv1; id=20160831085700Z;"][..], Some("20160831085700Z")),
            (&["v=STSv1;id=a1"], Some("a1")),
            (&["v=STSv1 ; more=x ; id=a1 ; "], Some("a1")),
            (&["v=spf1 -all", "v=STSv1; id=1;"], Some("1")),
            (&["v=STSv1; id=1;", "v=STSv1; id=1;"], None),
            (&["v=STSv1; id=;"], None),
            (&["v=STSv1; id=a-b;"], None),
            (&["v=STSv1;"], None),
            (&["v=STSv1"], None),
            (&["v=STSv2; id=1;"], None),
            (&["id=1; v=STSv1"], None),
            (&[&long], None),
            (&[], None),
        ] {
            let found = Record::find(texts).map(|record| record.id);
            assert_eq!(found.as_deref(), expected, "{texts:?}");
        }
        assert_eq!(Record::find(&[b"v=STSv1; id=\xff"]), None);
    }

    #[test]
    fn policies() {
        let read = |text: &str| Policy::parse(text.as_bytes());
        let policy =
            read("version: STSv1\r\nmode: enforce\r\nmx: MX1.test\r\nmx: *.b.test\r\nmax_age: 604800\r\n")
                .unwrap();
        assert_eq!((policy.mode, policy.max_age.as_secs()), (Mode::Enforce, 604_800));
        assert_eq!(policy.mx, ["mx1.test", "*.b.test"]);
        assert_eq!(policy.lines[2], "mx: MX1.test");
        let policy =
            read("mode:testing\nextra: x: y\nmode: enforce\nversion:STSv1\nmx:a.test\nmax_age:99999999")
                .unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Testing, LONGEST));
        assert_eq!(read("version: STSv1\nmode: none\nmax_age: 0\n").unwrap().mode, Mode::None);
        let many = "mx: a.test\n".repeat(MOST_PATTERNS + 1);
        for (text, part) in [
            ("", "no version"),
            ("mode: none\nmax_age: 1", "no version"),
            ("version: STSv2\nmode: none\nmax_age: 1", "not STSv1"),
            ("version: STSv1\nmax_age: 1\nmx: a", "no mode"),
            ("version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a", "its mode"),
            ("version: STSv1\nmode: enforce\nmax_age: 1", "no server"),
            ("version: STSv1\nmode: enforce\nmx: a", "no max_age"),
            ("version: STSv1\nmode: enforce\nmx: a\nmax_age: 1d", "not a number"),
            ("version: STSv1\nmode: enforce\nmx: a\nmax_age: 12345678901", "not a number"),
            ("version: STSv1\nmode: enforce\nmx: *\nmax_age: 1", "neither a host name"),
            ("version: STSv1\nmode: enforce\nmx: a.*.b\nmax_age: 1", "neither a host name"),
            ("version: STSv1\nmode: enforce\nmx: 192.0.2.1\nmax_age: 1", "neither a host name"),
            ("<html>\n", "no colon"),
            (&format!("version: STSv1\nmode: testing\nmax_age: 1\n{many}"), "more than 200"),
            (&format!("version: STSv1\n{}", "x".repeat(MOST_BYTES)), "larger than"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(Policy::parse(b"version: STSv1\nmode: \xff").is_err());
    }

    #[test]
    fn names_of_servers() {
        let policy =
            Policy::parse(b"version: STSv1\nmode: enforce\nmx: MX.test\nmx: *.b.test\nmax_age: 1").unwrap();
        for (host, expected) in [
            ("mx.TEST", true),
            ("a.b.test", true),
            ("b.test", false),
            ("c.a.b.test", false),
            ("x.mx.test", false),
            ("", false),
        ] {
            assert_eq!(policy.allows(host), expected, "{host}");
        }
    }
}
