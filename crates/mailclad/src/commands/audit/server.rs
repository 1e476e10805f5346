//! The rules for a service that hears clients.

use std::path::Path;

use config::params;
use tls::inspect::{self, Suite};
use tls::protocols::Protocols;
use tls::{ServerLevel, ciphers};

use super::replay::Log;
use super::{Lines, View, bundle, chain};

/// Everything that is said about one smtpd service.
pub(super) fn rules(view: &View<'_>, log: Option<&Log>, lines: &mut Lines) {
    let level = match ServerLevel::of(&view.settings) {
        Ok((level, notices)) => {
            notices.into_iter().for_each(|notice| lines.warn(notice.0));
            level
        }
        Err(why) => return lines.warn(why),
    };
    exposure(view, level, lines);
    if !level.is_on() {
        return;
    }
    let pair = if level.is_mandatory() { "mandatory_" } else { "" };
    protocols(view, level, &format!("smtpd_tls_{pair}protocols"), log, lines);
    cipher_list(view, level, &format!("smtpd_tls_{pair}ciphers"), lines);
    unused_pair(view, level, lines);
    certificates(view, lines);
    clients(view, level, lines);
    log_level(view, lines);
}

/// Port 25, for everybody: the service's name is smtp or 25, and it does not listen on loopback alone.
fn is_public(view: &View<'_>) -> bool {
    let (host, port) = view.service.name.rsplit_once(':').unwrap_or(("", &view.service.name));
    let loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    matches!(port, "smtp" | "25") && !loopback && view.service.kind == config::master_cf::ServiceKind::Inet
}

fn exposure(view: &View<'_>, level: ServerLevel, lines: &mut Lines) {
    let word = match level {
        ServerLevel::Wrapper => "wrapper mode: TLS from the first byte",
        level if level.is_mandatory() => "encrypt: TLS before anything else",
        level if level.is_on() => "may: TLS for those who want it",
        _ => "none: no TLS",
    };
    lines.fact(format!("level {word}"));
    let wrapper_everywhere = view.configuration.main().get("smtpd_tls_wrappermode");
    if level == ServerLevel::Wrapper && is_public(view) {
        let place = wrapper_everywhere.map_or("here".into(), |entry| format!("main.cf, line {}", entry.line));
        lines.warn(format!(
            "smtpd_tls_wrappermode ({place}) makes port 25 TLS only: no other mail server speaks that; set it with -o for port 465"
        ));
    } else if level.is_mandatory() && is_public(view) {
        lines.warn("mandatory TLS on port 25: a public server may not demand it (RFC 3207 section 4); servers without TLS can not deliver here");
    }
    if view.settings.get(params::smtpd_sasl_auth_enable)
        && !level.is_mandatory()
        && !view.settings.get(params::smtpd_tls_auth_only)
    {
        lines.warn("AUTH is offered before TLS: passwords can cross the network in the clear; set smtpd_tls_auth_only = yes");
    }
}

fn protocols(view: &View<'_>, level: ServerLevel, name: &str, log: Option<&Log>, lines: &mut Lines) {
    let text = view.text(name);
    let protocols = match Protocols::parse(&text) {
        Ok(protocols) => protocols,
        Err(why) => return lines.warn(format!("{name} = {text}: {why}")),
    };
    let versions: Vec<&str> = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
        .into_iter()
        .filter(|version| protocols.allows(version))
        .collect();
    lines.fact(format!("{name} = {text} (in force at this level): {}", versions.join(", ")));
    if protocols.allows("SSLv3") {
        lines.hint(format!(
            "{name} leaves SSLv3 on: SSLv3 not available in this build, so it is never spoken"
        ));
    }
    if !protocols.allows("TLSv1.3") {
        lines.warn(format!("{name}: TLS 1.3 is off; a list that includes a version by name excludes all others; write >=TLSv1.2"));
    }
    let old: Vec<&str> =
        versions.iter().copied().filter(|version| matches!(*version, "TLSv1" | "TLSv1.1")).collect();
    if !old.is_empty() {
        let text = format!("{name} allows {}", old.join(" and "));
        // On port 25 the alternative is the clear.
        if level.is_mandatory() { lines.warn(text) } else { lines.hint(text) }
    }
    if let Some(log) = log {
        for (version, count, some) in Log::refused(&log.heard, |version| protocols.allows(version)) {
            lines.warn(format!("{count} clients of the log spoke {version} and would be refused: {some}"));
        }
    }
}

fn cipher_list(view: &View<'_>, level: ServerLevel, name: &str, lines: &mut Lines) {
    let grade = view.text(name);
    let settings = &view.settings;
    let mut exclusions = vec![settings.get(params::smtpd_tls_exclude_ciphers)];
    if level.is_mandatory() {
        exclusions.push(settings.get(params::smtpd_tls_mandatory_exclude_ciphers));
    }
    let list = ciphers::grade(settings, &grade)
        .and_then(|base| ciphers::with_exclusions(base, exclusions.iter().copied()))
        .and_then(|list| inspect::suites(&list));
    let suites = match list {
        Ok(suites) => suites,
        Err(why) => return lines.warn(format!("{name} = {grade}: {why}")),
    };
    lines.fact(format!(
        "{name} = {grade} (in force at this level): {} suites for TLS 1.2 and before",
        suites.len()
    ));
    let of_grade = format!("tls_{}_cipherlist", grade.to_ascii_lowercase());
    if view.is_set(&of_grade) {
        lines.hint(format!(
            "{of_grade} is your own list: it takes the place of the grade \"{grade}\" everywhere"
        ));
    }
    let named = |wanted: &dyn Fn(&Suite) -> bool| -> Vec<&str> {
        suites.iter().filter(|suite| wanted(suite)).map(|suite| suite.name.as_str()).collect()
    };
    let weak = named(&|suite| !suite.forward_secret);
    if !weak.is_empty() {
        lines.hint(format!("{} suites without forward secrecy, as {}", weak.len(), weak[0]));
    }
    // Mozilla's profile: TLS 1.2 and newer, forward secrecy and authenticated encryption only.
    let outside = named(&|suite| !suite.forward_secret || !suite.aead);
    let old = Protocols::parse(&view.text(&name.replace("ciphers", "protocols")))
        .is_ok_and(|protocols| protocols.allows("TLSv1") || protocols.allows("TLSv1.1"));
    match (outside.first(), old) {
        (None, false) => lines.fact("profile intermediate: pass"),
        (Some(suite), _) => lines
            .fact(format!("profile intermediate: fail: {} suites are outside it, as {suite}", outside.len())),
        (None, true) => lines.fact("profile intermediate: fail: TLS 1.0 or 1.1 is on"),
    }
    if exclusions.iter().any(|text| text.contains("AES128")) {
        lines.hint("exclusions do not reach TLS 1.3: TLS_AES_128_GCM_SHA256 can still be negotiated");
    }
}

/// Settings of the pair that this level does not look at.
fn unused_pair(view: &View<'_>, level: ServerLevel, lines: &mut Lines) {
    let names = match level.is_mandatory() {
        true => ["smtpd_tls_protocols", "smtpd_tls_ciphers"],
        false => ["smtpd_tls_mandatory_protocols", "smtpd_tls_mandatory_ciphers"],
    };
    for name in names.into_iter().filter(|name| view.is_set(name)) {
        lines.hint(format!("{name} = {}: unused at this level", view.text(name)));
    }
}

fn certificates(view: &View<'_>, lines: &mut Lines) {
    let settings = &view.settings;
    let chains: Vec<String> = config::list::split(settings.get(params::smtpd_tls_chain_files))
        .into_iter()
        .map(str::to_owned)
        .collect();
    let (mut files, mut keys) = (chains.clone(), chains.clone());
    if chains.is_empty() {
        for (file, key) in [
            (settings.get(params::smtpd_tls_cert_file), settings.get(params::smtpd_tls_key_file)),
            (settings.get(params::smtpd_tls_eccert_file), settings.get(params::smtpd_tls_eckey_file)),
            (settings.get(params::smtpd_tls_dcert_file), settings.get(params::smtpd_tls_dkey_file)),
        ] {
            if !file.is_empty() && !file.eq_ignore_ascii_case("none") {
                files.push(file.to_owned());
                keys.push(if key.is_empty() { file } else { key }.to_owned());
            }
        }
    }
    if files.is_empty() {
        lines.warn(
            "no certificate is configured: STARTTLS is announced and refused; set smtpd_tls_chain_files",
        );
    }
    let anchor = settings.get(params::smtpd_tls_CAfile);
    let anchors: Vec<&Path> = (!anchor.is_empty()).then(|| Path::new(anchor)).into_iter().collect();
    let hostname = settings.get(params::myhostname);
    // A file of a key alone stands in chain files too.
    for file in files.iter().filter(|file| chains.is_empty() || inspect::Chain::read(Path::new(file)).is_ok())
    {
        chain::certificate(file, hostname, &anchors, lines);
    }
    keys.iter().for_each(|key| chain::key(key, lines));
}

fn clients(view: &View<'_>, level: ServerLevel, lines: &mut Lines) {
    let settings = &view.settings;
    let required = settings.get(params::smtpd_tls_req_ccert);
    if !settings.get(params::smtpd_tls_ask_ccert) && !required {
        return;
    }
    if is_public(view) {
        lines.warn("client certificates are asked for on port 25: some servers hang up then; ask on the submission service");
    }
    if required && !level.is_mandatory() {
        lines.warn("smtpd_tls_req_ccert has no effect while TLS is optional");
    }
    let (file, directory) = (settings.get(params::smtpd_tls_CAfile), settings.get(params::smtpd_tls_CApath));
    let uses_system = settings.get(params::tls_append_default_CA);
    if file.is_empty() && directory.is_empty() && !uses_system {
        lines.warn(format!(
            "no authority is trusted for client certificates: the system's are not used by themselves; set smtpd_tls_CAfile ({})",
            bundle::hint()
        ));
    }
    let lists = ["client", "helo", "sender", "relay", "recipient"];
    let permits_all = lists
        .iter()
        .any(|list| view.text(&format!("smtpd_{list}_restrictions")).contains("permit_tls_all_clientcerts"));
    if permits_all && (uses_system || bundle::is_public(file)) {
        lines.warn("permit_tls_all_clientcerts with the public authorities: whoever has a certificate for any web site may relay; use permit_tls_clientcerts");
    }
}

fn log_level(view: &View<'_>, lines: &mut Lines) {
    let level = view.text("smtpd_tls_loglevel");
    if matches!(level.as_str(), "3" | "4") {
        lines.warn(format!("smtpd_tls_loglevel = {level} is for finding faults: it fills the log, and level 4 shows what sessions carry"));
    }
}
