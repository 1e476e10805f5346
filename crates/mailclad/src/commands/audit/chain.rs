//! Certificate files: what they hold, in which order, for how long, and what a verifying client would say.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tls::inspect::Chain;

use super::Lines;

/// Days before the end at which a certificate should have been renewed.
const SOON: i64 = 14;

/// Says what there is to say about the certificates of a server that calls itself `hostname`. `anchors` are CA files to
/// verify with besides the system's.
pub(super) fn certificate(path: &str, hostname: &str, anchors: &[&Path], lines: &mut Lines) {
    let chain = match Chain::read(Path::new(path)) {
        Ok(chain) => chain,
        Err(why) => return lines.warn(format!("certificate {path}: {why}")),
    };
    let certificates = chain.certificates();
    let own = &certificates[0];
    let names = if own.names.is_empty() { own.subject.clone() } else { own.names.join(", ") };
    lines.fact(format!(
        "certificate {path}: for {names}; issued by {}; {} days left",
        own.issuer, own.days_left
    ));
    match own.days_left {
        left if left < 0 => lines.warn(format!("certificate {path} expired {} days ago", -left)),
        left if left < SOON => lines.warn(format!("certificate {path} expires in {left} days")),
        _ => {}
    }
    if !chain.is_for(hostname) {
        lines.hint(format!("certificate {path} is not for {hostname} (myhostname): clients that verify names will not deliver"));
    }
    if let Some(place) = chain.out_of_order() {
        lines.warn(format!(
            "certificate {path}: wrong order: certificate {place} of the file did not issue the one before it; the server's own comes first, then its issuer"
        ));
    } else if let Some(root) = certificates.iter().skip(1).find(|certificate| certificate.self_issued) {
        lines.hint(format!(
            "certificate {path}: root included, {} bytes per handshake that no client needs",
            root.size
        ));
    } else if certificates.len() == 1 && !own.self_issued && chain.verdict(anchors).is_err() {
        lines.hint(format!(
            "certificate {path}: chain incomplete: the certificate of its issuer, {}, is not in the file",
            own.issuer
        ));
    }
    match chain.verdict(anchors) {
        Ok(()) => lines.fact(format!("{path}: OK")),
        Err(why) => lines.hint(format!("{path}: a verifying client would refuse it: {why}")),
    }
}

/// A key that others can read.
pub(super) fn key(path: &str, lines: &mut Lines) {
    let Ok(metadata) = std::fs::metadata(path) else { return };
    let mode = metadata.permissions().mode();
    if mode & 0o077 != 0 {
        lines.warn(format!(
            "key {path} can be read by more than its owner (mode {:04o}): chmod 0600 it",
            mode & 0o7777
        ));
    }
}
