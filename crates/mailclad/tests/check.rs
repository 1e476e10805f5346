//! `mailclad check` opens the tables that settings name and reads the restriction lists, and says what helps.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::Site;
use testkit::authority::Authority;

/// What check says of a configuration, without the folder's name.
fn said(extra: &str, files: &[(&str, &str)]) -> (String, Option<i32>) {
    let site = Site::new(&Authority::new("Test CA"), extra);
    for (name, text) in files {
        site.write(name, text);
    }
    let output = site.run(&["check", "-c", site.dir.path().to_str().unwrap()], "");
    let text = String::from_utf8(output.stderr).unwrap();
    (text.replace(&site.dir.path().display().to_string(), "DIR"), output.status.code())
}

#[test]
fn tables_are_opened() {
    let (nothing, status) = said(
        "virtual_alias_maps = texthash:DIR/aliases, inline:{ a=b }\ntransport_maps = static:{}\nsmtpd_sender_restrictions = \
         check_sender_access texthash:DIR/aliases",
        &[("aliases", "a@site.test b@site.test\n")],
    );
    assert_eq!((nothing.as_str(), status), ("", Some(0)));
    for (setting, expected) in [
        (
            "virtual_alias_maps = hash:DIR/absent",
            "virtual_alias_maps: open database DIR/absent.db: No such file or directory; make it with postmap",
        ),
        (
            "transport_maps = hsah:DIR/x",
            "transport_maps: unsupported dictionary type: hsah; postconf -m lists the types",
        ),
        (
            "relocated_maps = DIR/x",
            "relocated_maps: need maptype:mapname instead of: DIR/x; write it as type:name",
        ),
        (
            "relay_domains = other.test, !cidr:DIR/absent",
            "relay_domains: open DIR/absent: No such file or directory; make the file",
        ),
        (
            "virtual_alias_maps = texthash:DIR/odd",
            "virtual_alias_maps: DIR/odd, line 1: expected format: key whitespace value",
        ),
        (
            "virtual_alias_maps = texthash:DIR/absent",
            "virtual_alias_maps: open database DIR/absent: No such file or directory; make the file",
        ),
        (
            "virtual_alias_maps = hash:",
            "virtual_alias_maps: open dictionary: expecting \"type:name\" form instead of",
        ),
        ("header_checks = regexp:DIR/odd", "header_checks: regexp map DIR/odd, line 1:"),
        (
            "virtual_alias_maps = pgsql:DIR/absent",
            "virtual_alias_maps: open DIR/absent: No such file or directory",
        ),
        (
            "virtual_alias_maps = proxy:hash:DIR/absent",
            "virtual_alias_maps: open database DIR/absent.db: No such file",
        ),
    ] {
        let (text, status) = said(setting, &[("odd", "alone\n")]);
        assert_eq!(status, Some(0), "no reason not to start: {text}");
        assert!(text.contains(expected), "{setting}: {text}");
        assert!(text.contains("postfix: warning: DIR/main.cf, line "), "{setting}: {text}");
        assert_eq!(text.lines().count(), 1, "{setting}: {text}");
    }
}

#[test]
fn restriction_lists_are_read() {
    for (setting, expected) in [
        (
            "smtpd_recipient_restrictions = reject_unauth_destinations",
            "smtpd_recipient_restrictions: unknown smtpd restriction: \"reject_unauth_destinations\"; look at its spelling",
        ),
        (
            "smtpd_client_restrictions = check_client_access hash:DIR/absent",
            "open database DIR/absent.db: No such file or directory; make it with postmap",
        ),
        ("smtpd_helo_restrictions = check_helo_access", "restriction check_helo_access"),
        ("smtpd_sender_restrictions = permit, reject_unknown_sender_domain", "after `permit' is ignored"),
        ("smtpd_restriction_classes = mine", "restriction class `mine' needs a definition"),
        (
            "smtpd_restriction_classes = mine\nmine = check_policy_servise unix:x\nsmtpd_client_restrictions = mine",
            "mine: unknown smtpd restriction: \"check_policy_servise\"",
        ),
        ("smtpd_relay_restrictions = permit_mynetworks", "specify at least one working instance of"),
    ] {
        let (text, _) = said(setting, &[]);
        assert!(text.contains(expected), "{setting}: {text}");
        let place = "postfix: warning: DIR/master.cf, line 1: service 127.0.0.1:";
        assert!(text.contains(place), "{setting}: {text}");
        assert_eq!(text.lines().filter(|line| line.contains(expected)).count(), 1, "once: {text}");
    }
}

#[test]
fn a_cache_is_no_table_that_somebody_has_to_make() {
    for name in ["smtpd_tls_session_cache_database", "smtp_tls_session_cache_database", "address_verify_map"]
    {
        let (text, status) = said(&format!("{name} = btree:DIR/cache"), &[]);
        assert!(status == Some(0) && !text.contains("No such file"), "{text}");
    }
}
