//! One value of smtp_tls_policy_maps: a level, then attributes (postconf(5)).
//!
//! An attribute that is wrong makes the whole policy wrong: leaving it out could weaken the rest.

use config::{Settings, params};

use super::wish::{Sts, Wish};
use crate::level::ClientLevel;
use crate::protocols::Protocols;
use crate::{Notice, ciphers};

/// Reads a policy. The error says what is wrong in it; the caller knows table and key.
pub fn parse(settings: &Settings, text: &str, notices: &mut Vec<Notice>) -> Result<Wish, String> {
    let mut words = words(text)?.into_iter();
    let first = words.next().ok_or("invalid empty policy")?;
    let level = ClientLevel::from_name(&first).ok_or_else(|| {
        format!(
            "invalid security level \"{first}\": levels are none, may, encrypt, fingerprint, dane, dane-only, verify and secure"
        )
    })?;
    let mut reader = Reader { settings, wish: Wish::of(settings, level)?, seen: Vec::new(), sts: None };
    for word in words {
        if level == ClientLevel::None {
            notices.push(Notice(format!("ignoring attribute \"{word}\" with TLS disabled")));
            continue;
        }
        let malformed = |why: &str| format!("malformed attribute/value pair \"{word}\": {why}");
        let (name, value) =
            word.split_once('=').ok_or_else(|| malformed("missing '=' after attribute name"))?;
        if name.trim().is_empty() {
            return Err(malformed("missing attribute name"));
        }
        reader.attribute(&name.trim().to_ascii_lowercase(), value.trim())?;
    }
    reader.finish()
}

/// The words of a policy; `{ name = value }` is one.
fn words(text: &str) -> Result<Vec<String>, String> {
    let is_separator = |c: char| c == ',' || c.is_ascii_whitespace();
    let mut found = Vec::new();
    let mut rest = text.trim_matches(is_separator);
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('{') {
            Some(inside) => inside
                .split_once('}')
                .ok_or_else(|| format!("malformed attribute/value pair \"{rest}\": missing '}}'"))?,
            None => rest.split_at(rest.find(is_separator).unwrap_or(rest.len())),
        };
        found.push(word.trim().to_owned());
        rest = after.trim_start_matches(is_separator);
    }
    Ok(found)
}

struct Reader<'a> {
    settings: &'a Settings,
    wish: Wish,
    /// Attributes that may stand once and stood there.
    seen: Vec<String>,
    sts: Option<External>,
}

/// The attributes of plugins for external policies.
#[derive(Default)]
struct External {
    kind: Option<String>,
    sts: Sts,
}

impl Reader<'_> {
    fn attribute(&mut self, name: &str, value: &str) -> Result<(), String> {
        const REPEATABLE: [&str; 4] = ["match", "tafile", "policy_string", "mx_host_pattern"];
        if value.is_empty() {
            return Err(format!("attribute \"{name}\" has empty value"));
        }
        let first = !self.seen.iter().any(|seen| seen == name);
        if !first && !REPEATABLE.contains(&name) {
            return Err(format!("attribute \"{name}\" is specified multiple times"));
        }
        self.seen.push(name.to_owned());
        let level = self.wish.level;
        let out_of_place = || format!("attribute \"{name}\" invalid at security level \"{}\"", level.name());
        let bad_value = || format!("attribute \"{name}\" has bad value: \"{value}\"");
        match name {
            "match" => {
                let (list, separator) = match level {
                    ClientLevel::Fingerprint => (&mut self.wish.fingerprints, '|'),
                    ClientLevel::Verify | ClientLevel::Secure => (&mut self.wish.names, ':'),
                    _ => return Err(out_of_place()),
                };
                if first {
                    list.clear();
                }
                list.extend(value.split(separator).filter(|word| !word.is_empty()).map(str::to_owned));
            }
            "tafile" => {
                if !matches!(level, ClientLevel::Verify | ClientLevel::Secure) {
                    return Err(out_of_place());
                }
                if first {
                    self.wish.anchors.clear();
                }
                self.wish.anchors.push(value.to_owned());
            }
            "protocols" => {
                Protocols::parse(value).map_err(|why| format!("{}: {why}", bad_value()))?;
                self.terms(|terms| terms.protocols = value.to_owned());
            }
            "ciphers" => {
                ciphers::grade(self.settings, value)
                    .map_err(|_| format!("{}: {}", bad_value(), ciphers::GRADES))?;
                self.terms(|terms| terms.ciphers = value.to_owned());
            }
            "exclude" => {
                ciphers::with_exclusions(String::new(), [value])
                    .map_err(|why| format!("{}: {why}", bad_value()))?;
                self.terms(|terms| terms.exclude = vec![value.to_owned()]);
            }
            "servername" => {
                if !super::is_hostname(value) {
                    return Err(bad_value());
                }
                self.wish.server_name = Some(value.to_owned());
            }
            "connection_reuse" => self.wish.reuse = yes_or_no(value).ok_or_else(bad_value)?,
            // The library has no raw public keys: certificates are asked for either way.
            "enable_rpk" => _ = yes_or_no(value).ok_or_else(bad_value)?,
            "policy_type" | "policy_domain" | "policy_string" | "mx_host_pattern" | "policy_failure"
            | "policy_ttl" => {
                return self.external(name, value).ok_or_else(bad_value);
            }
            _ => return Err(format!("invalid attribute name: \"{name}\"")),
        }
        Ok(())
    }

    fn terms(&mut self, change: impl Fn(&mut super::wish::Terms)) {
        change(&mut self.wish.opportunistic);
        change(&mut self.wish.mandatory);
    }

    /// What a plugin for MTA-STS adds. `None`: the value is none of those that may stand there.
    fn external(&mut self, name: &str, value: &str) -> Option<()> {
        let external = self.sts.get_or_insert_default();
        let is_in = |known: &[&str]| known.contains(&value).then(|| value.to_owned());
        match name {
            "policy_type" => external.kind = Some(is_in(&["sts", "no-policy-found"])?),
            "policy_domain" => external.sts.domain = value.to_owned(),
            "mx_host_pattern" => external.sts.mx_host_patterns.push(value.to_owned()),
            "policy_failure" => {
                external.sts.failure = Some(is_in(&[
                    "sts-policy-fetch-error",
                    "sts-policy-invalid",
                    "sts-webpki-invalid",
                    "validation-failure",
                ])?);
            }
            "policy_ttl" => return value.bytes().all(|byte| byte.is_ascii_digit()).then_some(()),
            _ => external.sts.strings.push(value.to_owned()),
        }
        Some(())
    }

    fn finish(mut self) -> Result<Wish, String> {
        let Some(External { kind, mut sts }) = self.sts else { return Ok(self.wish) };
        match kind.as_deref() {
            None => return Err("attributes \"policy_...\" without \"policy_type\"".into()),
            Some("sts") => {
                let enforces = self.settings.client(params::smtp_tls_enforce_sts_mx_patterns);
                sts.enforced = enforces && sts.failure.is_none();
                // Whoever may be a mail exchanger is known by its own name (RFC 8461 section 4.2).
                let by_name = matches!(self.wish.level, ClientLevel::Verify | ClientLevel::Secure);
                if sts.enforced && by_name && !sts.mx_host_patterns.is_empty() {
                    self.wish.names = vec!["hostname".into()];
                }
                self.wish.sts = Some(sts);
            }
            Some(_) => {}
        }
        Ok(self.wish)
    }
}

fn yes_or_no(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use config::{HostFacts, MainCf};

    use super::*;

    fn read(text: &str) -> Result<Wish, String> {
        let main =
            MainCf::parse("main.cf", b"compatibility_level = 3.12\nsmtp_tls_trust_anchor_file = /all.pem\n")
                .unwrap();
        let host = HostFacts { hostname: "mx.test".into(), ..HostFacts::default() };
        let settings = Settings::load(&main, &[], &host).unwrap();
        parse(&settings, text, &mut Vec::new())
    }

    #[test]
    fn every_attribute() {
        let wish = read("secure match=a.test:.b.test match=nexthop, ciphers=high protocols=TLSv1.2:>=TLSv1.2 exclude=RC4:MD5").unwrap();
        assert_eq!(wish.names, ["a.test", ".b.test", "nexthop"]);
        assert_eq!((wish.mandatory.ciphers.as_str(), wish.opportunistic.ciphers.as_str()), ("high", "high"));
        assert_eq!(
            (wish.mandatory.protocols.as_str(), &*wish.mandatory.exclude),
            ("TLSv1.2:>=TLSv1.2", &["RC4:MD5".into()][..])
        );
        assert_eq!(wish.anchors, ["/all.pem"]);
        let wish =
            read("verify tafile=/a { tafile = /b c } servername=hostname connection_reuse=yes enable_rpk=no")
                .unwrap();
        assert_eq!(wish.anchors, ["/a", "/b c"]);
        assert_eq!(
            (wish.server_name.as_deref(), wish.reuse, &*wish.names),
            (Some("hostname"), true, &["hostname".into()][..])
        );
        let wish = read("FINGERPRINT match=AA:BB|CC match=DD").unwrap();
        assert_eq!(wish.fingerprints, ["AA:BB", "CC", "DD"]);
        let wish = read("none match=x").unwrap();
        assert_eq!((wish.level, wish.names.len()), (ClientLevel::None, 0));
        let wish = read(
            "secure match=x servername=hostname policy_type=sts policy_domain=d.test { policy_string = version: STSv1 } \
             mx_host_pattern=*.d.test mx_host_pattern=mx.test policy_ttl=600",
        )
        .unwrap();
        assert_eq!(wish.names, ["hostname"]);
        let sts = wish.sts.unwrap();
        assert_eq!((sts.enforced, sts.domain.as_str(), sts.mx_host_patterns.len()), (true, "d.test", 2));
        assert_eq!(sts.strings, ["version: STSv1"]);
        let sts = read("may policy_type=sts policy_domain=d policy_failure=sts-policy-invalid").unwrap().sts;
        assert_eq!(
            sts.map(|sts| (sts.enforced, sts.failure)),
            Some((false, Some("sts-policy-invalid".into())))
        );
        assert_eq!(read("may policy_type=no-policy-found").unwrap().sts, None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("", "empty policy"),
            ("highest", "invalid security level \"highest\""),
            ("halfdane", "invalid security level"),
            ("may secure", "malformed attribute/value pair \"secure\""),
            ("may =x", "missing attribute name"),
            ("encrypt match=x", "\"match\" invalid at security level \"encrypt\""),
            ("dane match=x", "\"match\" invalid at security level \"dane\""),
            ("fingerprint tafile=/x", "\"tafile\" invalid at security level"),
            ("encrypt protocols=TLSv1.2,TLSv1.3", "malformed attribute/value pair \"TLSv1.3\""),
            ("encrypt protocols=TLSv9", "\"TLSv9\" is no protocol version"),
            ("encrypt ciphers=best", "attribute \"ciphers\" has bad value: \"best\""),
            ("encrypt ciphers=high ciphers=high", "\"ciphers\" is specified multiple times"),
            ("encrypt exclude=!RC4", "attribute \"exclude\" has bad value"),
            ("encrypt servername=a_b..c", "attribute \"servername\" has bad value"),
            ("encrypt connection_reuse=maybe", "attribute \"connection_reuse\" has bad value"),
            ("encrypt ciphers=", "attribute \"ciphers\" has empty value"),
            ("encrypt cipher=high", "invalid attribute name: \"cipher\""),
            ("secure { match = x", "missing '}'"),
            ("secure policy_domain=x", "without \"policy_type\""),
            ("secure policy_type=other", "attribute \"policy_type\" has bad value"),
            ("secure policy_type=sts policy_ttl=soon", "attribute \"policy_ttl\" has bad value"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
