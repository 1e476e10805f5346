//! Certificates of servers, good ones and bad ones, in one folder that both subjects and the servers read. The names that they are
//! for depend on the case, so all have a wildcard for `*.NAME.test` besides.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testkit::authority::{Authority, Issued, KeyKind, Wish};

/// Writes every file that cases name as `FILES/...`.
pub(crate) fn write(folder: &Path, domains: &[String]) {
    let root = Authority::new("Test CA");
    let middle = root.intermediate("Test CA 2");
    let stranger = Authority::new("Other CA");
    let text = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        // Keys of servers are read by the suite alone.
        let mode = if text.contains("PRIVATE KEY") { 0o600 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    };
    let pem = |name: &str, issued: &Issued, chain: &str| {
        text(name, &format!("{}{}{chain}", issued.key_pem, issued.certificate_pem));
    };
    let kind = KeyKind::EcdsaP256;
    let everybody = |name: &str| Wish {
        names: domains.iter().map(|domain| format!("{name}{domain}")).collect(),
        ..Wish::named("x")
    };
    let old = Wish { from_days: -30, to_days: -1, ..everybody("mx.") };
    pem("good.pem", &root.issue_as("mx.test", kind, &everybody("mx.")), "");
    pem("rsa.pem", &root.issue_as("mx.test", KeyKind::Rsa2048, &everybody("mx.")), "");
    pem("nexthop.pem", &root.issue_as("domain.test", kind, &everybody("")), "");
    pem("wildcard.pem", &root.issue_as("wild.test", kind, &everybody("*.")), "");
    pem("other.pem", &root.issue("other.test", kind), "");
    pem("idn.pem", &root.issue("mx.xn--bcher-kva.test", kind), "");
    pem("expired.pem", &root.issue_as("mx.test", kind, &old), "");
    pem("stranger.pem", &stranger.issue_as("mx.test", kind, &everybody("mx.")), "");
    pem("chained.pem", &middle.issue_as("mx.test", kind, &everybody("mx.")), &middle.certificate_pem);
    pem("no-intermediate.pem", &middle.issue_as("mx.test", kind, &everybody("mx.")), "");
    let bare = Wish { names: Vec::new(), ..Wish::named("x") };
    pem("common-name.pem", &root.issue_as("mx.common-name.test", kind, &bare), "");
    let (certificate, key) = Authority::self_signed("mx.self-signed.test");
    text("self-signed.pem", &format!("{key}{certificate}"));
    pem("client.pem", &root.issue("the client", kind), "");
    text("ca.pem", &root.certificate_pem);
    text("ca-middle.pem", &middle.certificate_pem);
    text("ca-stranger.pem", &stranger.certificate_pem);
    text("ca-both.pem", &format!("{}{}", root.certificate_pem, stranger.certificate_pem));
    text("garbage.pem", "this is no certificate\n");
    let folder = folder.join("capath");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    text("capath/root.pem", &root.certificate_pem);
    let rehashed = std::process::Command::new("openssl").arg("rehash").arg(&folder).status().unwrap();
    assert!(rehashed.success());
}
