//! The configurations of the five guides that administrators follow, as the guides write them but for host names and paths:
//! each starts, receives over TLS, and sends over TLS to a server that follows the same guide.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::{Client, Site};
use testkit::authority::{Authority, KeyKind};

/// Takes a message in over STARTTLS and follows it through a second server of the same configuration.
fn mail_flows(name: &str, lines: &str, master: &str) {
    let authority = Authority::new("Test CA");
    let target = configured(&authority, lines, master, "myhostname = target.test").start();
    let relay = configured(
        &authority,
        lines,
        master,
        &format!(
            "relayhost = [localhost]:{}\nsmtp_host_lookup = native\nvirtual_mailbox_domains = elsewhere.test",
            target.port
        ),
    )
    .start();
    let mut client = Client::connect(relay.port);
    let offer = client.must("EHLO client.test", "250");
    assert!(offer.contains("250-STARTTLS\r\n"), "{name}: {offer}");
    let mut client = client.starttls(&relay.ca());
    client.must("EHLO client.test", "250");
    let reply =
        client.send("sender@client.test", &["user@site.test"], &format!("Subject: {name}\n\nhello\n"));
    assert!(reply.starts_with("250 2.0.0 Ok: queued as "), "{name}: {reply}");
    let message = target.wait_for_mail("user", &format!("Subject: {name}"));
    assert_eq!(message.matches(" with ESMTPS id ").count(), 2, "{name}: {message}");
    relay.wait_for_log(&["TLS connection established to localhost[127.0.0.1]:"]);
    relay.wait_for_log(&["to=<user@site.test>", "status=sent (250 2.0.0 Ok: queued as "]);
    target.wait_for_log(&["TLS connection established from "]);
}

fn configured(authority: &Authority, lines: &str, master: &str, extra: &str) -> Site {
    // The guides set certificates by the older parameters, which chain files would override.
    let site = Site::new(authority, &format!("smtpd_tls_chain_files =\n{lines}\n{extra}"));
    let rsa = authority.issue("localhost", KeyKind::Rsa2048);
    let ecdsa = authority.issue("localhost", KeyKind::EcdsaP256);
    for (name, text) in [
        ("postfix.pem", rsa.certificate_pem.clone() + &authority.certificate_pem),
        ("postfix.key", rsa.key_pem.clone()),
        ("combined.pem", rsa.certificate_pem + &rsa.key_pem),
        ("ecc.pem", ecdsa.certificate_pem),
        ("ecc.key", ecdsa.key_pem),
        (
            "dh.pem",
            String::from_utf8(openssl::dh::Dh::get_2048_256().unwrap().params_to_pem().unwrap()).unwrap(),
        ),
        ("relay_clientcerts", "D7:04:2F:A7:0B:8C:A5:21:FA:31:77:E1:41:8A:EE:80 lutzpc.at.home\n".to_owned()),
    ] {
        site.write(name, &text);
    }
    let path = site.dir.path().join("master.cf");
    let port = support::free_port();
    let text =
        std::fs::read_to_string(&path).unwrap() + &master.replace("PORT", &format!("127.0.0.1:{port}"));
    std::fs::write(&path, text).unwrap();
    site
}

#[test]
fn guide_1_forces_tls_and_trims_ciphers() {
    mail_flows(
        "guide 1",
        "smtp_use_tls = yes\n\
         smtpd_use_tls = yes\n\
         smtpd_tls_security_level = encrypt\n\
         smtpd_tls_auth_only = yes\n\
         smtp_tls_note_starttls_offer = yes\n\
         smtpd_tls_key_file = DIR/postfix.key\n\
         smtpd_tls_cert_file = DIR/postfix.pem\n\
         smtpd_tls_dh1024_param_file = DIR/dh.pem\n\
         smtp_tls_CAfile = DIR/ca.pem\n\
         smtpd_tls_loglevel = 1\n\
         smtpd_tls_session_cache_timeout = 3600s\n\
         smtpd_tls_session_cache_database = btree:DIR/data/smtpd_tls_cache\n\
         tls_random_source = dev:/dev/urandom\n\
         smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3\n\
         smtpd_tls_protocols = !SSLv2, !SSLv3\n\
         smtp_tls_mandatory_protocols = !SSLv2, !SSLv3\n\
         smtp_tls_protocols = !SSLv2, !SSLv3\n\
         smtp_tls_mandatory_ciphers = high\n\
         smtpd_tls_mandatory_ciphers = high\n\
         smtp_tls_exclude_ciphers = EXP, MEDIUM, LOW, DES, 3DES, SSLv2\n\
         smtpd_tls_exclude_ciphers = EXP, MEDIUM, LOW, DES, 3DES, SSLv2\n\
         tls_high_cipherlist = kEECDH:+kEECDH+SHA:kEDH:+kEDH+SHA:+kEDH+CAMELLIA:kECDH:+kECDH+SHA:kRSA:+kRSA+SHA:+kRSA+CAMELLIA:!aNULL:!eNULL:!SSLv2:!RC4:!MD5:!DES:!EXP:!SEED:!IDEA:!3DES\n\
         tls_medium_cipherlist = kEECDH:+kEECDH+SHA:kEDH:kRSA:!aNULL:!eNULL:!SSLv2:!MD5:!DES:!EXP:!SEED:!IDEA:!3DES\n\
         smtp_tls_ciphers = high\n\
         smtpd_tls_ciphers = high",
        "",
    );
}

#[test]
fn guide_2_is_the_shortest_way_to_tls_with_a_submission_port() {
    mail_flows(
        "guide 2",
        "smtpd_tls_cert_file = DIR/postfix.pem\n\
         smtpd_tls_key_file = DIR/postfix.key\n\
         smtpd_tls_security_level = may\n\
         smtp_tls_security_level = may\n\
         smtpd_tls_loglevel = 1\n\
         smtp_tls_loglevel = 1\n\
         smtp_tls_note_starttls_offer = yes\n\
         smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n\
         smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n\
         smtp_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n\
         smtp_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1\n\
         tls_ssl_options = NO_RENEGOTIATION\n\
         smtpd_tls_dh1024_param_file = DIR/dh.pem\n\
         smtpd_tls_received_header = yes\n\
         tls_preempt_cipherlist = yes",
        "PORT inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n  -o smtpd_tls_security_level=encrypt\n  -o smtpd_tls_auth_only=yes\n",
    );
}

#[test]
fn guide_3_asks_for_client_certificates() {
    mail_flows(
        "guide 3",
        "smtpd_tls_cert_file = DIR/combined.pem\n\
         smtpd_tls_key_file = $smtpd_tls_cert_file\n\
         smtpd_tls_CAfile = DIR/ca.pem\n\
         smtpd_tls_CApath = DIR\n\
         smtpd_tls_loglevel = 1\n\
         smtpd_tls_received_header = yes\n\
         smtpd_tls_security_level = may\n\
         smtp_tls_security_level = may\n\
         smtpd_use_tls = yes\n\
         smtpd_tls_ask_ccert = yes\n\
         smtpd_tls_ccert_verifydepth = 5\n\
         smtpd_tls_auth_only = no\n\
         smtpd_tls_session_cache_database = btree:DIR/data/smtpd_scache\n\
         smtpd_tls_session_cache_timeout = 3600s\n\
         smtpd_tls_always_issue_session_ids = no\n\
         relay_clientcerts = hash:DIR/relay_clientcerts\n\
         smtpd_recipient_restrictions = permit_mynetworks, permit_tls_clientcerts, reject_unauth_destination\n\
         smtpd_tls_mandatory_ciphers = high\n\
         smtpd_tls_mandatory_exclude_ciphers = aNULL, MD5\n\
         smtpd_tls_dh512_param_file = DIR/no-such-file.pem\n\
         smtpd_starttls_timeout = 300s",
        "PORT inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes -o smtpd_sasl_auth_enable=yes\n",
    );
}

#[test]
fn guide_4_serves_rsa_and_ecdsa_and_enforces_both_ways() {
    mail_flows(
        "guide 4",
        "tls_append_default_CA = no\n\
         tls_preempt_cipherlist = no\n\
         tls_high_cipherlist = ECDHE:DHE:kGOST:!aNULL:!eNULL:!RC4:!MD5:!3DES:!AES128:!CAMELLIA128\n\
         smtpd_tls_CApath = no\n\
         smtpd_tls_CAfile = DIR/ca.pem\n\
         smtpd_tls_cert_file = DIR/postfix.pem\n\
         smtpd_tls_key_file = DIR/postfix.key\n\
         smtpd_tls_eccert_file = DIR/ecc.pem\n\
         smtpd_tls_eckey_file = DIR/ecc.key\n\
         smtpd_tls_received_header = yes\n\
         smtpd_tls_auth_only = yes\n\
         smtpd_tls_loglevel = 1\n\
         smtpd_tls_security_level = encrypt\n\
         smtpd_tls_ciphers = high\n\
         smtpd_tls_mandatory_ciphers = high\n\
         smtpd_tls_protocols = !SSLv2, !SSLv3\n\
         smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3\n\
         smtp_tls_loglevel = 1\n\
         smtp_tls_security_level = encrypt\n\
         smtp_tls_ciphers = high\n\
         smtp_tls_mandatory_ciphers = high\n\
         smtp_tls_protocols = !SSLv2, !SSLv3\n\
         smtp_tls_mandatory_protocols = !SSLv2, !SSLv3\n\
         smtp_tls_CApath = no\n\
         smtp_tls_CAfile = DIR/ca.pem\n\
         smtp_tls_enforce_peername = yes",
        "",
    );
}

#[test]
fn guide_5_verifies_a_chain_and_switches_tls_on() {
    mail_flows(
        "guide 5",
        "smtpd_tls_cert_file = DIR/postfix.pem\n\
         smtpd_tls_key_file = DIR/postfix.key\n\
         smtpd_tls_security_level = may\n\
         smtpd_tls_loglevel = 1\n\
         smtpd_tls_received_header = yes\n\
         smtp_tls_security_level = encrypt\n\
         smtp_tls_note_starttls_offer = yes",
        "",
    );
}
