//! The report about one domain and one day (RFC 8460 section 4): counts out of results, JSON out of counts, and the mail that
//! carries it (section 5.3).

use std::collections::BTreeMap;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tables::base64;

use super::day::Day;
use super::event::{Event, Failure, Policy};
use super::record::{self, Place};

/// Domains of one day that are counted; further ones get no report.
const MOST_DOMAINS: usize = 100_000;

/// Different policies of one domain, and different failures under one policy, that are told apart.
const MOST_KINDS: usize = 1000;

/// Who reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// `myhostname`.
    pub hostname: String,
    /// `tlsrpt_organization_name`
    pub organization: String,
    /// `tlsrpt_from`
    pub from: String,
}

/// The counts of one domain and day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The domain.
    pub domain: String,
    /// Its newest record.
    record: String,
    policies: BTreeMap<Policy, Counts>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    good: u64,
    failed: u64,
    failures: BTreeMap<Failure, u64>,
}

/// Counts results, for each domain.
pub fn count(events: impl IntoIterator<Item = Event>) -> Vec<Report> {
    let mut domains: BTreeMap<String, Report> = BTreeMap::new();
    for event in events {
        if domains.len() >= MOST_DOMAINS && !domains.contains_key(&event.domain) {
            continue;
        }
        let report = domains.entry(event.domain.clone()).or_insert_with(|| Report {
            domain: event.domain,
            record: String::new(),
            policies: BTreeMap::new(),
        });
        report.record = event.record;
        for outcome in event.policies {
            if report.policies.len() >= MOST_KINDS && !report.policies.contains_key(&outcome.policy) {
                continue;
            }
            let counts = report.policies.entry(outcome.policy).or_default();
            match outcome.failures.is_empty() {
                true => counts.good += 1,
                false => counts.failed += 1,
            }
            for failure in outcome.failures {
                if counts.failures.len() < MOST_KINDS || counts.failures.contains_key(&failure) {
                    *counts.failures.entry(failure).or_default() += 1;
                }
            }
        }
    }
    domains.into_values().collect()
}

impl Report {
    /// Where it goes.
    pub fn places(&self) -> Vec<Place> {
        record::places(&self.record)
    }

    /// In one line: `d.test: 3 sessions good, 1 failed (starttls-not-supported); to mailto:r@d.test`.
    pub fn summary(&self) -> String {
        let (good, failed) =
            self.policies.values().fold((0, 0), |sum, counts| (sum.0 + counts.good, sum.1 + counts.failed));
        let mut kinds: Vec<&str> = self
            .policies
            .values()
            .flat_map(|counts| counts.failures.keys().map(|failure| failure.kind.name()))
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
        let places: Vec<String> = self.places().iter().map(ToString::to_string).collect();
        let to = if places.is_empty() { "nobody".to_owned() } else { places.join(", ") };
        format!("{}: {good} sessions good, {failed} failed{kinds}; to {to}", self.domain)
    }

    /// The same for the same domain and day, so that nobody counts one twice.
    fn id(&self, day: Day, by: &Reporter) -> String {
        format!("{day}.{}@{}", self.domain, by.hostname)
    }

    /// The report, as JSON.
    pub fn to_json(&self, day: Day, by: &Reporter) -> Value {
        let policies: Vec<Value> =
            self.policies.iter().map(|(policy, counts)| self.policy(policy, counts)).collect();
        json!({
            "organization-name": by.organization,
            "date-range": {
                "start-datetime": format!("{day}T00:00:00Z"),
                "end-datetime": format!("{day}T23:59:59Z"),
            },
            "contact-info": by.from,
            "report-id": self.id(day, by),
            "policies": policies,
        })
    }

    fn policy(&self, policy: &Policy, counts: &Counts) -> Value {
        let mut described = json!({
            "policy-type": policy.kind.name(),
            "policy-domain": policy.domain.as_ref().unwrap_or(&self.domain),
        });
        if !policy.strings.is_empty() {
            described["policy-string"] = json!(policy.strings);
        }
        if !policy.mx.is_empty() {
            described["mx-host"] = json!(policy.mx);
        }
        let mut value = json!({
            "policy": described,
            "summary": {
                "total-successful-session-count": counts.good,
                "total-failure-session-count": counts.failed,
            },
        });
        if !counts.failures.is_empty() {
            value["failure-details"] =
                counts.failures.iter().map(|(failure, count)| detail(failure, *count)).collect();
        }
        value
    }

    /// The report as it travels: JSON in gzip's form (section 5).
    pub fn compressed(&self, day: Day, by: &Reporter) -> std::io::Result<Vec<u8>> {
        use std::io::Write;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(self.to_json(day, by).to_string().as_bytes())?;
        encoder.finish()
    }

    /// The mail for one address, with LF line ends (section 5.3). Who reports that TLS fails must not depend on TLS: the header
    /// TLS-Required says so (RFC 8689 section 5).
    pub fn mail(&self, day: Day, by: &Reporter, to: &mail::Address) -> std::io::Result<String> {
        let Report { domain, .. } = self;
        let Reporter { hostname, organization, from } = by;
        let (id, to) = (self.id(day, by), to.to_external());
        let (begin, end) = (day.begin(), day.end() - 1);
        let boundary = format!("tlsrpt-{begin}-{}", domain.len());
        let content = base64::encode(&self.compressed(day, by)?);
        let lines: Vec<&str> =
            content.as_bytes().chunks(76).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        Ok(format!(
            "From: {from}\n\
             To: {to}\n\
             Subject: Report Domain: {domain} Submitter: {hostname} Report-ID: <{id}>\n\
             TLS-Report-Domain: {domain}\n\
             TLS-Report-Submitter: {hostname}\n\
             TLS-Required: No\n\
             Auto-Submitted: auto-generated\n\
             MIME-Version: 1.0\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"{boundary}\"\n\
             \n\
             This is a report about TLS, for programs.\n\
             \n\
             --{boundary}\n\
             Content-Type: text/plain; charset=us-ascii\n\
             \n\
             This is an aggregate TLS report from {organization} ({hostname})\n\
             about mail for {domain} on {day}.\n\
             \n\
             --{boundary}\n\
             Content-Type: application/tlsrpt+gzip\n\
             Content-Transfer-Encoding: base64\n\
             Content-Disposition: attachment; filename=\"{hostname}!{domain}!{begin}!{end}.json.gz\"\n\
             \n\
             {}\n\
             --{boundary}--\n",
            lines.join("\n")
        ))
    }
}

fn detail(failure: &Failure, count: u64) -> Value {
    let mut value = json!({ "result-type": failure.kind.name() });
    for (name, text) in [
        ("sending-mta-ip", &failure.sending_ip),
        ("receiving-mx-hostname", &failure.mx_name),
        ("receiving-mx-helo", &failure.mx_helo),
        ("receiving-ip", &failure.mx_ip),
        ("additional-information", &failure.information),
        ("failure-reason-code", &failure.reason),
    ] {
        if let Some(text) = text {
            value[name] = json!(text);
        }
    }
    value["failed-session-count"] = json!(count);
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlsrpt::event::FailureKind;

    fn by() -> Reporter {
        Reporter {
            hostname: "mx.site.test".into(),
            organization: "site.test".into(),
            from: "postmaster@site.test".into(),
        }
    }

    fn events() -> Vec<Event> {
        let failure = Failure {
            kind: FailureKind::StarttlsNotSupported,
            sending_ip: Some("192.0.2.1".into()),
            mx_name: Some("mx.d.test".into()),
            mx_helo: None,
            mx_ip: Some("192.0.2.9".into()),
            information: None,
            reason: None,
        };
        let record = "v=TLSRPTv1; rua=mailto:r@d.test,https://r.d.test/";
        let of = |failure| Event::new("d.test", record, Policy::none(), failure);
        vec![
            of(None),
            of(Some(failure.clone())),
            of(Some(failure)),
            Event::new("e.test", record, Policy::none(), None),
        ]
    }

    #[test]
    fn results_are_counted_for_each_domain() {
        let reports = count(events());
        assert_eq!(reports.len(), 2);
        let day = Day::parse("2026-11-28").unwrap();
        assert_eq!(
            reports[0].to_json(day, &by()),
            json!({
                "organization-name": "site.test",
                "date-range": {"start-datetime": "2026-11-28T00:00:00Z", "end-datetime": "2026-11-28T23:59:59Z"},
                "contact-info": "postmaster@site.test",
                "report-id": "2026-11-28.d.test@mx.site.test",
                "policies": [{
                    "policy": {"policy-type": "no-policy-found", "policy-domain": "d.test"},
                    "summary": {"total-successful-session-count": 1, "total-failure-session-count": 2},
                    "failure-details": [{
                        "result-type": "starttls-not-supported",
                        "sending-mta-ip": "192.0.2.1",
                        "receiving-mx-hostname": "mx.d.test",
                        "receiving-ip": "192.0.2.9",
                        "failed-session-count": 2,
                    }],
                }],
            })
        );
        assert_eq!(
            reports[0].summary(),
            "d.test: 1 sessions good, 2 failed (starttls-not-supported); to mailto:r@d.test, https://r.d.test/"
        );
    }

    #[test]
    fn kinds_of_failures_are_bounded() {
        let failure = |n: usize| Failure {
            kind: FailureKind::ValidationFailure,
            sending_ip: None,
            mx_name: Some(format!("mx{n}.test")),
            mx_helo: None,
            mx_ip: None,
            information: None,
            reason: None,
        };
        let many =
            (0..=MOST_KINDS).map(|n| Event::new("d.test", "v=TLSRPTv1;", Policy::none(), Some(failure(n))));
        let report = &count(many)[0].to_json(Day::parse("2026-11-28").unwrap(), &by())["policies"][0];
        assert_eq!(report["failure-details"].as_array().unwrap().len(), MOST_KINDS);
        assert_eq!(report["summary"]["total-failure-session-count"], MOST_KINDS + 1);
    }

    #[test]
    fn the_mail_has_its_parts() {
        let day = Day::parse("2026-11-28").unwrap();
        let report = &count(events())[0];
        let text = report.mail(day, &by(), &mail::Address::internal("r@d.test").unwrap()).unwrap();
        assert!(text.starts_with("From: postmaster@site.test\nTo: r@d.test\nSubject: Report Domain: d.test Submitter: mx.site.test Report-ID: <2026-11-28.d.test@mx.site.test>\n"), "{text}");
        assert!(text.contains("\nTLS-Required: No\n"), "{text}");
        assert!(text.contains("filename=\"mx.site.test!d.test!1795824000!1795910399.json.gz\""), "{text}");
        let content =
            text.split("json.gz\"\n\n").nth(1).unwrap().split("\n--").next().unwrap().replace('\n', "");
        let mut json = String::new();
        use std::io::Read;
        flate2::read::GzDecoder::new(&base64::decode(&content).unwrap()[..])
            .read_to_string(&mut json)
            .unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), report.to_json(day, &by()));
        assert!(text.lines().all(|line| line.len() <= 200));
    }
}
