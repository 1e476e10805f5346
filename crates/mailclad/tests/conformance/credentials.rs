//! The certificates and keys of a suite, good ones and bad ones, in one folder that both subjects read.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use openssl::dh::Dh;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::x509::X509;
use testkit::authority::{Authority, Issued, KeyKind, Wish};

/// The password of the key that has one.
const PASSWORD: &str = "a password";

/// Writes every file that cases name as `FILES/...`.
pub(crate) fn write(folder: &Path) {
    let files = Files { folder };
    let root = Authority::new("Test CA");
    let middle = root.intermediate("Test CA 2");
    let lower = middle.intermediate("Test CA 3");
    let stranger = Authority::new("Other CA");
    servers(&files, &root, &middle);
    clients(&files, &root, &middle, &lower, &stranger);
    trust(&files, &root, &middle, &stranger);
    dh(&files);
    sni(&files, &root);
}

struct Files<'a> {
    folder: &'a Path,
}

impl Files<'_> {
    fn text(&self, name: &str, text: &str) {
        self.bytes(name, text.as_bytes());
    }

    /// A key can be read by its owner alone, as it should.
    fn bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        let private = String::from_utf8_lossy(bytes).contains("PRIVATE KEY");
        let mode = if private { 0o600 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn pair(&self, name: &str, issued: &Issued) {
        self.text(&format!("{name}-cert.pem"), &issued.certificate_pem);
        self.text(&format!("{name}-key.pem"), &issued.key_pem);
        self.text(&format!("{name}.pem"), &format!("{}{}", issued.key_pem, issued.certificate_pem));
    }
}

fn servers(files: &Files<'_>, root: &Authority, middle: &Authority) {
    let rsa = root.issue("mx.site.test", KeyKind::Rsa2048);
    let other = root.issue("other.site.test", KeyKind::Rsa2048);
    let chained = middle.issue("chained.site.test", KeyKind::Rsa2048);
    files.pair("rsa", &rsa);
    files.pair("other", &other);
    files.pair("chained", &chained);
    files.pair("ec", &root.issue("mx.site.test", KeyKind::EcdsaP256));
    files.pair("dsa", &root.issue("dsa.site.test", KeyKind::Dsa1024));
    let old = Wish { from_days: -30, to_days: -1, ..Wish::named("mx.site.test") };
    files.pair("expired", &root.issue_as("expired.site.test", KeyKind::Rsa2048, &old));
    files.text("rsa-cert-first.pem", &format!("{}{}", rsa.certificate_pem, rsa.key_pem));
    files.text("two-keys.pem", &format!("{}{}{}", rsa.key_pem, other.key_pem, rsa.certificate_pem));
    let (leaf, inter) = (&chained.certificate_pem, &middle.certificate_pem);
    files.text("chain-cert.pem", &format!("{leaf}{inter}"));
    files.text("chain-with-root-cert.pem", &format!("{leaf}{inter}{}", root.certificate_pem));
    files.text("wrong-order-cert.pem", &format!("{inter}{leaf}"));
    files.text("chain.pem", &format!("{}{leaf}{inter}", chained.key_pem));
    files.text("encrypted-key.pem", &rsa.encrypted_key_pem(PASSWORD));
    files.bytes("der-cert.der", &X509::from_pem(rsa.certificate_pem.as_bytes()).unwrap().to_der().unwrap());
    let key = PKey::private_key_from_pem(rsa.key_pem.as_bytes()).unwrap();
    files.bytes("der-key.der", &key.private_key_to_der().unwrap());
    let traditional = key.rsa().unwrap().private_key_to_pem().unwrap();
    files.bytes("traditional-key.pem", &traditional);
    files.text("readable-key.pem", &rsa.key_pem);
    let mode = PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(files.folder.join("readable-key.pem"), mode).unwrap();
    files.text("empty.pem", "");
    files.text(
        "garbage.pem",
        "-----BEGIN CERTIFICATE-----\nthis is no base64 !!\n-----END CERTIFICATE-----\n",
    );
    files.text("half-cert.pem", &rsa.certificate_pem[..rsa.certificate_pem.len() / 2]);
}

fn clients(files: &Files<'_>, root: &Authority, middle: &Authority, lower: &Authority, stranger: &Authority) {
    let wish = Wish::named("client.test");
    let expired = Wish { from_days: -30, to_days: -1, ..wish.clone() };
    let server_only = Wish { client: false, ..wish.clone() };
    let kind = KeyKind::EcdsaP256;
    let good = root.issue("good client", KeyKind::Rsa2048);
    let odd = root.issue("odd (client\\", kind);
    for (name, issued, chain) in [
        ("client-good", &good, String::new()),
        ("client-odd", &odd, String::new()),
        ("client-ec", &root.issue("ec client", kind), String::new()),
        ("client-stranger", &stranger.issue("strange client", kind), String::new()),
        ("client-expired", &root.issue_as("expired client", kind, &expired), String::new()),
        ("client-server-only", &root.issue_as("server only", kind, &server_only), String::new()),
        ("client-chain-1", &middle.issue("chain 1", kind), middle.certificate_pem.clone()),
        (
            "client-chain-2",
            &lower.issue("chain 2", kind),
            lower.certificate_pem.clone() + &middle.certificate_pem,
        ),
        ("client-no-chain", &middle.issue("no chain", kind), String::new()),
    ] {
        files.text(&format!("{name}.pem"), &format!("{}{chain}{}", issued.certificate_pem, issued.key_pem));
    }
    let certificate = X509::from_pem(good.certificate_pem.as_bytes()).unwrap();
    let key = certificate.public_key().unwrap().public_key_to_der().unwrap();
    for (name, digest) in
        [("sha256", MessageDigest::sha256()), ("sha1", MessageDigest::sha1()), ("md5", MessageDigest::md5())]
    {
        let of_certificate = colons(&certificate.digest(digest).unwrap());
        let of_key = colons(&openssl::hash::hash(digest, &key).unwrap());
        for (kind, print) in [("cert", of_certificate), ("key", of_key)] {
            for (what, value) in
                [("relay", "the good client"), ("ok", "OK"), ("reject", "REJECT not you"), ("dunno", "DUNNO")]
            {
                files.text(&format!("{what}-{kind}-{name}"), &format!("{print} {value}\n"));
            }
        }
    }
    files.text("relay-nobody", "00:11:22:33 nobody\n");
}

fn colons(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{}{byte:02X}", if text.is_empty() { "" } else { ":" });
    }
    text
}

fn trust(files: &Files<'_>, root: &Authority, middle: &Authority, stranger: &Authority) {
    files.text("ca.pem", &root.certificate_pem);
    files.text("ca-stranger.pem", &stranger.certificate_pem);
    files.text("ca-two.pem", &format!("{}{}", root.certificate_pem, stranger.certificate_pem));
    files.text("ca-middle.pem", &middle.certificate_pem);
    for (name, hashed) in [("capath", true), ("capath-without-links", false)] {
        let folder = files.folder.join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        files.text(&format!("{name}/root.pem"), &root.certificate_pem);
        if hashed {
            let status = std::process::Command::new("openssl").arg("rehash").arg(&folder).status().unwrap();
            assert!(status.success());
        }
    }
}

fn dh(files: &Files<'_>) {
    let pem = |dh: Dh<openssl::pkey::Params>| String::from_utf8(dh.params_to_pem().unwrap()).unwrap();
    files.text("dh2048.pem", &pem(Dh::get_2048_256().unwrap()));
    files.text("dh1024.pem", &pem(Dh::get_1024_160().unwrap()));
    files.text("dh512.pem", &pem(Dh::generate_params(512, 2).unwrap()));
    files.text("dh-garbage.pem", "this is no parameter\n");
}

fn sni(files: &Files<'_>, root: &Authority) {
    let mut table = String::new();
    for (name, key) in [("one", "one.sni.test"), ("any", ".sni.test")] {
        files.pair(&format!("sni-{name}"), &root.issue(&format!("{name}.sni.test"), KeyKind::Rsa2048));
        let _ = writeln!(table, "{key} {}/sni-{name}.pem", files.folder.display());
    }
    files.pair("sni-one-ec", &root.issue("one-ec.sni.test", KeyKind::EcdsaP256));
    let folder = files.folder.display();
    let _ = writeln!(table, "both.example {folder}/sni-one.pem, {folder}/sni-one-ec.pem");
    files.text("sni-map", &table);
    let _ = writeln!(table, "broken.example {folder}/garbage.pem");
    let _ = writeln!(table, "missing.example {folder}/no-such-file.pem");
    files.text("sni-map-bad", &table);
}
