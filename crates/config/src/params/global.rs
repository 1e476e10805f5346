//! Parameters that every service reads: names, queue-wide switches, limits (postconf(5)).

use crate::param::params;

params! { global, "Everywhere";
    /// The version whose defaults are used, where these changed over time.
    compatibility_level: Text = "0", Works;

    /// Whether domain names are converted as in IDNA2003.
    enable_idna2003_compatibility: NBool = "no", Accepted("names are encoded as IDNA2008 has it; the four characters that IDNA2003 had otherwise are not mapped away");

    /// Which fault is brought about on purpose; for tests.
    fault_injection_code: Int = "0", Accepted("faults are injected by the test suite, not by configuration");

    /// Names of TCP ports that count without the system's own list.
    known_tcp_ports: Text(form: List) = "lmtp=24, smtp=25, smtps=submissions=465, submission=587", Works;

    /// How long a line or table entry in memory may become, in bytes; longer text is cut in pieces.
    line_length_limit: Int(min: 512) = "2048", Works;

    /// The name of the mail system, in the banner and in headers.
    mail_name: Text(min: 1) = "Postfix", Works;

    /// The user who owns the queue and runs the daemons.
    mail_owner: Text(min: 1) = "postfix", Works;

    /// The day of the release.
    mail_release_date: Text(min: 1) = "20260821", Works;

    /// The version, as banners and headers may show it.
    mail_version: Text(min: 1) = "3.12.0", Works;

    /// How large a message may be, in bytes, envelope included; 0 for no limit.
    message_size_limit: Long = "10240000", Works;

    /// Whether internationalized addresses are supported (RFC 6531).
    smtputf8_enable: NBool = "${{$compatibility_level} <level {1} ? {no} : {yes}}", Works;

    /// Whether all refusals are temporary, so that no mail bounces; for tests of a configuration.
    soft_bounce: Bool = "no", Works;

    /// Whether internationalized addresses are refused where the client did not ask for SMTPUTF8.
    strict_smtputf8: Bool = "no", Works;

    /// The size of TCP windows in bytes; 0 for the system's own.
    tcp_windowsize: Int = "0", Works;
}
