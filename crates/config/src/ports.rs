//! Ports by number and by name: `known_tcp_ports`, and what the system's own list of services knows.

/// The port behind a name or number. `known` is the value of known_tcp_ports: `name=number` or `name=other=number`, separated by commas
/// or blanks. Without a name there it is for `/etc/services`, which is read then.
pub fn number(known: &str, name: &str) -> Option<u16> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    known_number(known, name).or_else(|| {
        let services = std::fs::read_to_string("/etc/services").ok()?;
        services.lines().find_map(|line| {
            let mut words = line.split('#').next()?.split_whitespace();
            let (first, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
            (first == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
        })
    })
}

fn known_number(known: &str, name: &str) -> Option<u16> {
    crate::list::split(known).into_iter().find_map(|entry| {
        let mut words: Vec<&str> = entry.split('=').map(str::trim).collect();
        let port = words.pop()?.parse().ok()?;
        words.contains(&name).then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_by_name_and_number() {
        let known = "lmtp=24, smtp=25, smtps=submissions=465, submission=587";
        for (known, name, port) in [
            (known, "25", Some(25)),
            (known, "smtps", Some(465)),
            (known, "submissions", Some(465)),
            (known, "submission", Some(587)),
            ("smtp=2525 mine=26", "smtp", Some(2525)),
            ("smtp=2525 mine=26", "mine", Some(26)),
            ("mine=99999 mine=7", "mine", Some(7)),
            (known, "no-such-service", None),
            (known, "70000", None),
            (known, "", None),
        ] {
            assert_eq!(number(known, name), port, "{known}: {name}");
        }
    }
}
