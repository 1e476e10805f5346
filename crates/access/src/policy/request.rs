//! The attributes of a policy request, in Postfix's order. Every name is always there; what is not known is empty or 0.

use mail::tls_facts::Trust;

use crate::evaluation::Evaluation;

/// Lines `name=value`, and the empty line behind them.
pub(super) fn write(evaluation: &Evaluation<'_>, context: &str) -> Vec<u8> {
    let asked = evaluation.asked;
    let client = asked.client;
    let access = evaluation.access;
    let tls = client.tls.as_ref();
    let peer = tls.and_then(|tls| tls.peer.as_ref());
    let trusted =
        peer.filter(|_| tls.is_some_and(|tls| matches!(tls.trust, Trust::Trusted | Trust::Verified)));
    let sasl = client.sasl.as_ref();
    let address = |address: Option<&mail::Address>| address.map(ToString::to_string).unwrap_or_default();
    let is_final = matches!(asked.stage, "DATA" | "END-OF-MESSAGE");
    let recipient_count = if is_final { asked.recipient_count } else { 0 };
    let number = |number: Option<u64>| number.unwrap_or_default().to_string();
    let (server_address, server_port) = match client.server {
        Some((address, port)) => (address.to_string(), port.to_string()),
        None => Default::default(),
    };
    let attributes: [(&str, String); 32] = [
        ("request", "smtpd_access_policy".into()),
        ("protocol_state", asked.stage.to_owned()),
        ("protocol_name", if client.esmtp { "ESMTP" } else { "SMTP" }.to_owned()),
        ("client_address", client.address.map(|address| address.to_string()).unwrap_or_default()),
        ("client_name", client.name.clone()),
        ("client_port", client.port.to_string()),
        ("reverse_client_name", client.reverse_name.clone()),
        ("server_address", server_address),
        ("server_port", server_port),
        ("helo_name", client.helo.clone().unwrap_or_default()),
        ("sender", address(asked.sender)),
        ("recipient", address(asked.recipient)),
        // The number means something once it is final.
        ("recipient_count", recipient_count.to_string()),
        ("queue_id", asked.queue_id.unwrap_or_default().to_owned()),
        ("instance", asked.instance.to_owned()),
        ("size", number(asked.size)),
        ("etrn_domain", asked.etrn_domain.unwrap_or_default().to_owned()),
        ("stress", access.stress.clone()),
        ("sasl_method", sasl.map(|sasl| sasl.method.clone()).unwrap_or_default()),
        ("sasl_username", sasl.map(|sasl| sasl.username.clone()).unwrap_or_default()),
        ("sasl_sender", asked.sasl_sender.unwrap_or_default().to_owned()),
        ("ccert_subject", trusted.map(|peer| peer.subject_cn.clone()).unwrap_or_default()),
        ("ccert_issuer", trusted.map(|peer| peer.issuer_cn.clone()).unwrap_or_default()),
        ("ccert_fingerprint", peer.map(|peer| peer.fingerprint.clone()).unwrap_or_default()),
        ("ccert_pubkey_fingerprint", peer.map(|peer| peer.pubkey_fingerprint.clone()).unwrap_or_default()),
        ("encryption_protocol", tls.map(|tls| tls.protocol.clone()).unwrap_or_default()),
        ("encryption_cipher", tls.map(|tls| tls.cipher.clone()).unwrap_or_default()),
        ("encryption_keysize", number(tls.map(|tls| u64::from(tls.used_bits)))),
        ("tls_sni", tls.and_then(|tls| tls.sni.clone()).unwrap_or_default()),
        ("policy_context", context.to_owned()),
        ("compatibility_level", access.compatibility_level.clone()),
        ("mail_version", access.mail_version.clone()),
    ];
    let mut out = Vec::new();
    for (name, value) in &attributes {
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        let text = match *name {
            // Common names are whatever their owner likes.
            "ccert_subject" | "ccert_issuer" => xtext(value),
            _ => value.clone(),
        };
        // One line is one attribute, whatever a client managed to put into its name.
        out.extend(text.bytes().map(|b| if b.is_ascii_control() { b'?' } else { b }));
        out.push(b'\n');
    }
    out.push(b'\n');
    out
}

/// RFC 3461 section 4, and what is outside of ASCII.
fn xtext(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'!'..=b'~' if b != b'+' && b != b'=' => char::from(b).to_string(),
            b => format!("+{b:02X}"),
        })
        .collect()
}
