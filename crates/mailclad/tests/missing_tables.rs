//! daemon_table_open_error_is_fatal: a table that can not be opened keeps the system from starting, or makes its lookups temporary errors.
#![allow(clippy::unwrap_used)] // a test has no other way out

mod support;

use support::{Client, Site, wait_for};
use testkit::authority::Authority;

const MISSING: &str = "texthash:/nonexistent/table";
const WHY: &str = "open database /nonexistent/table: No such file or directory";

fn site(extra: &str) -> Site {
    Site::new(&Authority::new("Test CA"), extra)
}

#[test]
fn lookups_fail_for_the_moment() {
    let site = site(&format!("smtpd_sender_restrictions = check_sender_access {MISSING}\n")).start();
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.must("MAIL FROM:<user@site.test>", "250");
    client.must("RCPT TO:<user@site.test>", "451 ");
    site.wait_for_log(&[&format!("error: {WHY}")]);
}

#[test]
fn the_system_does_not_start() {
    for setting in [
        format!("smtpd_sender_restrictions = check_sender_access {MISSING}"),
        format!("smtp_tls_policy_maps = {MISSING}"),
        format!("transport_maps = {MISSING}"),
        format!("header_checks = {}", MISSING.replace("texthash", "regexp")),
        format!("authorized_submit_users = {MISSING}"),
    ] {
        let site = site(&format!("{setting}\ndaemon_table_open_error_is_fatal = yes\n"));
        let output = site.run(&["postfix", "start"], "");
        let started = output.status.success();
        if started {
            site.run(&["postfix", "stop"], "");
        }
        let is_told =
            |line: &str| line.contains("fatal: ") && line.contains("/nonexistent/table: No such file");
        let told = wait_for(|| site.log().lines().any(is_told).then_some(()));
        assert!(told.is_some(), "{setting}:\n{}", site.log());
        assert!(!started || setting.starts_with("smtp_tls"), "{setting}: {output:?}\n{}", site.log());
    }
}

#[test]
fn a_reload_leaves_the_old_configuration_in_force() {
    let site = site("").start();
    let main = std::fs::read_to_string(site.dir.path().join("main.cf")).unwrap();
    site.write(
        "main.cf",
        &format!("{main}transport_maps = {MISSING}\ndaemon_table_open_error_is_fatal = yes\n"),
    );
    site.run(&["postfix", "reload"], "");
    site.wait_for_log(&["error: reload: ", WHY, "daemon_table_open_error_is_fatal"]);
    let mut client = Client::connect(site.port);
    client.must("EHLO client.test", "250");
    client.must("MAIL FROM:<user@site.test>", "250");
    client.must("RCPT TO:<user@site.test>", "250");
}
