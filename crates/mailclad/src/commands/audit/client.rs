//! The rules for a service that talks to servers.

use tls::ClientLevel;
use tls::protocols::Protocols;

use super::replay::Log;
use super::{Lines, View, bundle};

/// Everything that is said about one smtp or lmtp service.
pub(super) fn rules(view: &View<'_>, log: Option<&Log>, lines: &mut Lines) {
    let prefix = view.service.program.as_str();
    let name = |rest: &str| format!("{prefix}_tls_{rest}");
    let level = match ClientLevel::of(&view.settings) {
        Ok(level) => level,
        Err(why) => return lines.warn(why),
    };
    lines.fact(format!("level {}", level.name()));
    let notes_offer = view.text(&name("note_starttls_offer")) == "yes";
    if notes_offer && level != ClientLevel::None {
        lines
            .hint(format!("{}: no effect at this level, where offers are used", name("note_starttls_offer")));
    }
    if level == ClientLevel::None {
        lines.warn(format!(
            "mail leaves in the clear, even to servers that offer TLS; set {} = may",
            name("security_level")
        ));
        return;
    }
    let pair = if level.is_mandatory() { "mandatory_" } else { "" };
    let list = name(&format!("{pair}protocols"));
    let text = view.text(&list);
    match Protocols::parse(&text) {
        Err(why) => lines.warn(format!("{list} = {text}: {why}")),
        Ok(protocols) => {
            lines.fact(format!("{list} = {text} (in force at this level)"));
            if !protocols.allows("TLSv1.3") {
                lines.warn(format!("{list}: TLS 1.3 is off; a list that includes a version by name excludes all others; write >=TLSv1.2"));
            }
            let refused = log.map(|log| Log::refused(&log.reached, |version| protocols.allows(version)));
            for (version, count, some) in refused.into_iter().flatten() {
                lines
                    .warn(format!("{count} servers of the log spoke {version} and would be refused: {some}"));
            }
        }
    }
    if level == ClientLevel::Encrypt {
        lines.hint("encrypt: mail to servers without STARTTLS waits until it is returned, and certificates are not verified: who sits between can still read");
    }
    if let Some(log) = log.filter(|log| level.is_mandatory() && !log.in_the_clear.is_empty()) {
        let some: Vec<&str> = log.in_the_clear.iter().take(5).map(String::as_str).collect();
        let count = log.in_the_clear.len();
        lines.warn(format!(
            "mail to {count} recently seen plaintext-only domains will be deferred: {}",
            some.join(", ")
        ));
    }
    let publishes = matches!(level, ClientLevel::May | ClientLevel::Dane) && prefix == "smtp";
    if publishes && view.text("smtp_tls_mta_sts") != "yes" && view.text("smtp_tls_policy_maps").is_empty() {
        lines.hint(
            "domains that publish a policy for MTA-STS are not protected by it; set smtp_tls_mta_sts = yes",
        );
    }
    let trusts_nobody = view.text(&name("CAfile")).is_empty()
        && view.text(&name("CApath")).is_empty()
        && view.text("tls_append_default_CA") != "yes";
    if trusts_nobody && matches!(level, ClientLevel::Verify | ClientLevel::Secure) {
        lines.warn(format!(
            "no authority is trusted, so no server is verified and all mail waits; set {} ({})",
            name("CAfile"),
            bundle::hint()
        ));
    }
}
