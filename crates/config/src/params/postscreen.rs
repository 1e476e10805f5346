//! Tests of clients before they reach smtpd(8): postscreen(8), dnsblog(8).

use crate::param::params;

params! { postscreen, "postscreen";
    /// How long dnsblog(8) holds back its answers, for tests.
    dnsblog_reply_delay: Time = "0s", Works;

    /// The service that asks DNS lists for postscreen(8).
    dnsblog_service_name: Text(min: 1, form: Service) = "dnsblog", Accepted("services find each other without names in the file system");

    /// Clients that are let through or refused before any test.
    postscreen_access_list: Text(form: List) = "permit_mynetworks", Works;

    /// Local addresses on which a client can earn a place on the temporary allowlist.
    postscreen_allowlist_interfaces: Text = "${postscreen_whitelist_interfaces?{$postscreen_whitelist_interfaces}:{static:all}}", Works;

    /// What happens to clients that end lines without carriage return.
    postscreen_bare_newline_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "ignore", Works;

    /// Whether that test is done.
    postscreen_bare_newline_enable: Bool = "no", Works;

    /// How long a pass of that test counts.
    postscreen_bare_newline_ttl: Time(unit: 'd', min: 1) = "30d", Works;

    /// How often expired entries of the temporary allowlist are removed.
    postscreen_cache_cleanup_interval: Time(unit: 'h') = "12h", Works;

    /// Where the temporary allowlist is kept.
    postscreen_cache_map: Text(form: Table) = "$default_cache_db_type:$data_directory/postscreen_cache", Works;

    /// How long an expired entry is kept before it is removed.
    postscreen_cache_retention_time: Time(unit: 'd', min: 1) = "7d", Works;

    /// As `smtpd_client_connection_count_limit`, for postscreen(8).
    postscreen_client_connection_count_limit: NInt = "$smtpd_client_connection_count_limit", Works;

    /// How many commands a session with postscreen(8) may have.
    postscreen_command_count_limit: Int(min: 1) = "20", Works;

    /// A table that rewrites commands before postscreen(8) reads them.
    postscreen_command_filter: Text(form: Table) = "", Works;

    /// How long a client may take for one command.
    postscreen_command_time_limit: Time(min: 1) = "${stress?{10}:{300}}s", Works;

    /// What happens to clients that `postscreen_access_list` refuses.
    postscreen_denylist_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "${postscreen_blacklist_action?{$postscreen_blacklist_action}:{ignore}}", Works;

    /// As `disable_vrfy_command`, for postscreen(8).
    postscreen_disable_vrfy_command: NBool = "$disable_vrfy_command", Works;

    /// As `smtpd_discard_ehlo_keyword_address_maps`, for postscreen(8).
    postscreen_discard_ehlo_keyword_address_maps: Text(form: Tables) = "$smtpd_discard_ehlo_keyword_address_maps", Works;

    /// As `smtpd_discard_ehlo_keywords`, for postscreen(8).
    postscreen_discard_ehlo_keywords: Text(form: SetOf(&["8bitmime", "auth", "chunking", "dsn", "enhancedstatuscodes", "etrn", "pipelining", "requiretls", "silent-discard", "size", "smtputf8", "starttls", "verp", "vrfy", "xclient", "xforward"])) = "$smtpd_discard_ehlo_keywords", Works;

    /// What happens to clients whose DNS list score is too high.
    postscreen_dnsbl_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "ignore", Works;

    /// The score at which DNS lists let a client skip the other tests; 0 for never.
    postscreen_dnsbl_allowlist_threshold: NInt = "${postscreen_dnsbl_whitelist_threshold?{$postscreen_dnsbl_whitelist_threshold}:{0}}", Works;

    /// How long a pass of the DNS list test counts at most.
    postscreen_dnsbl_max_ttl: Time(unit: 'h', min: 1) = "${postscreen_dnsbl_ttl?{$postscreen_dnsbl_ttl}:{1}}h", Works;

    /// How long a pass of the DNS list test counts at least.
    postscreen_dnsbl_min_ttl: Time(min: 1) = "60s", Works;

    /// A table that hides secret parts of DNS list names in replies.
    postscreen_dnsbl_reply_map: Text(form: Table) = "", Works;

    /// DNS lists with optional answers to match and weights.
    postscreen_dnsbl_sites: Text(form: List) = "", Works;

    /// The score at which a client is refused.
    postscreen_dnsbl_threshold: Int(min: 1) = "1", Works;

    /// How long DNS list lookups may take.
    postscreen_dnsbl_timeout: Time(min: 1) = "10s", Works;

    /// As `smtpd_enforce_tls`, for postscreen(8).
    postscreen_enforce_tls: NBool = "$smtpd_enforce_tls", Works;

    /// As `smtpd_expansion_filter`, for postscreen(8).
    postscreen_expansion_filter: Raw(min: 1) = "$smtpd_expansion_filter", Works;

    /// As `smtpd_forbidden_commands`, for postscreen(8).
    postscreen_forbidden_commands: Text = "$smtpd_forbidden_commands", Works;

    /// What happens to clients that talk before their turn.
    postscreen_greet_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "ignore", Works;

    /// As `smtpd_banner`, for postscreen(8).
    postscreen_greet_banner: Text = "$smtpd_banner", Works;

    /// How long a pass of the greeting test counts.
    postscreen_greet_ttl: Time(unit: 'd', min: 1) = "1d", Works;

    /// How long the greeting test waits for a client to talk too early.
    postscreen_greet_wait: Time(min: 1) = "${stress?{2}:{6}}s", Works;

    /// As `smtpd_helo_required`, for postscreen(8).
    postscreen_helo_required: NBool = "$smtpd_helo_required", Works;

    /// What happens to clients that send commands of other protocols.
    postscreen_non_smtp_command_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "drop", Works;

    /// Whether that test is done.
    postscreen_non_smtp_command_enable: Bool = "no", Works;

    /// How long a pass of that test counts.
    postscreen_non_smtp_command_ttl: Time(unit: 'd', min: 1) = "30d", Works;

    /// What happens to clients that send commands without waiting for replies.
    postscreen_pipelining_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "enforce", Works;

    /// Whether that test is done.
    postscreen_pipelining_enable: Bool = "no", Works;

    /// How long a pass of that test counts.
    postscreen_pipelining_ttl: Time(unit: 'd', min: 1) = "30d", Works;

    /// How many clients may wait for smtpd(8).
    postscreen_post_queue_limit: NInt(min: 5) = "$default_process_limit", Works;

    /// How many clients may be under test.
    postscreen_pre_queue_limit: NInt(min: 10) = "$default_process_limit", Works;

    /// As `smtpd_reject_footer`, for postscreen(8).
    postscreen_reject_footer: Raw = "$smtpd_reject_footer", Works;

    /// As `smtpd_reject_footer_maps`, for postscreen(8).
    postscreen_reject_footer_maps: Text(form: Tables) = "$smtpd_reject_footer_maps", Works;

    /// As `smtpd_starttls_timeout`, for postscreen(8).
    postscreen_starttls_timeout: Time(min: 1) = "$smtpd_starttls_timeout", Works;

    /// As `smtpd_tls_CAfile`, for postscreen(8).
    postscreen_tls_CAfile: Text(form: File) = "$smtpd_tls_CAfile", Works;

    /// As `smtpd_tls_CApath`, for postscreen(8).
    postscreen_tls_CApath: Text(form: Directory) = "$smtpd_tls_CApath", Works;

    /// As `smtpd_tls_always_issue_session_ids`, for postscreen(8).
    postscreen_tls_always_issue_session_ids: NBool = "$smtpd_tls_always_issue_session_ids", Works;

    /// As `smtpd_tls_ask_ccert`, for postscreen(8).
    postscreen_tls_ask_ccert: NBool = "$smtpd_tls_ask_ccert", Works;

    /// As `smtpd_tls_ccert_verifydepth`, for postscreen(8).
    postscreen_tls_ccert_verifydepth: NInt = "$smtpd_tls_ccert_verifydepth", Works;

    /// As `smtpd_tls_cert_file`, for postscreen(8).
    postscreen_tls_cert_file: Text(form: File) = "$smtpd_tls_cert_file", Works;

    /// As `smtpd_tls_chain_files`, for postscreen(8).
    postscreen_tls_chain_files: Text(form: Files) = "$smtpd_tls_chain_files", Works;

    /// As `smtpd_tls_ciphers`, for postscreen(8).
    postscreen_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "$smtpd_tls_ciphers", Works;

    /// As `smtpd_tls_dcert_file`, for postscreen(8).
    postscreen_tls_dcert_file: Text(form: File) = "$smtpd_tls_dcert_file", Works;

    /// As `smtpd_tls_dh1024_param_file`, for postscreen(8).
    postscreen_tls_dh1024_param_file: Text(form: File) = "$smtpd_tls_dh1024_param_file", Works;

    /// As `smtpd_tls_dh512_param_file`, for postscreen(8).
    postscreen_tls_dh512_param_file: Text(form: File) = "$smtpd_tls_dh512_param_file", Accepted("OpenSSL has no export and low grade ciphers any more");

    /// As `smtpd_tls_dkey_file`, for postscreen(8).
    postscreen_tls_dkey_file: Text(form: File) = "$smtpd_tls_dkey_file", Works;

    /// As `smtpd_tls_eccert_file`, for postscreen(8).
    postscreen_tls_eccert_file: Text(form: File) = "$smtpd_tls_eccert_file", Works;

    /// As `smtpd_tls_eckey_file`, for postscreen(8).
    postscreen_tls_eckey_file: Text(form: File) = "$smtpd_tls_eckey_file", Works;

    /// As `smtpd_tls_eecdh_grade`, for postscreen(8).
    postscreen_tls_eecdh_grade: Text(min: 1) = "$smtpd_tls_eecdh_grade", Accepted("OpenSSL negotiates curves from tls_eecdh_auto_curves");

    /// As `smtpd_tls_enable_rpk`, for postscreen(8).
    postscreen_tls_enable_rpk: NBool = "$smtpd_tls_enable_rpk", Accepted("raw public keys need OpenSSL 3.2 or later; clients present certificates");

    /// As `smtpd_tls_exclude_ciphers`, for postscreen(8).
    postscreen_tls_exclude_ciphers: Text(form: List) = "$smtpd_tls_exclude_ciphers", Works;

    /// As `smtpd_tls_fingerprint_digest`, for postscreen(8).
    postscreen_tls_fingerprint_digest: Text(min: 1, form: Digest) = "$smtpd_tls_fingerprint_digest", Works;

    /// As `smtpd_tls_key_file`, for postscreen(8).
    postscreen_tls_key_file: Text(form: File) = "$smtpd_tls_key_file", Works;

    /// As `smtpd_tls_loglevel`, for postscreen(8).
    postscreen_tls_loglevel: Text(form: LogLevels) = "$smtpd_tls_loglevel", Works;

    /// As `smtpd_tls_loglevel_maps`, for postscreen(8).
    postscreen_tls_loglevel_maps: Text(form: Tables) = "$smtpd_tls_loglevel_maps", Works;

    /// As `smtpd_tls_mandatory_ciphers`, for postscreen(8).
    postscreen_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "$smtpd_tls_mandatory_ciphers", Works;

    /// As `smtpd_tls_mandatory_exclude_ciphers`, for postscreen(8).
    postscreen_tls_mandatory_exclude_ciphers: Text(form: List) = "$smtpd_tls_mandatory_exclude_ciphers", Works;

    /// As `smtpd_tls_mandatory_protocols`, for postscreen(8).
    postscreen_tls_mandatory_protocols: Text(form: Protocols) = "$smtpd_tls_mandatory_protocols", Works;

    /// As `smtpd_tls_protocols`, for postscreen(8).
    postscreen_tls_protocols: Text(form: Protocols) = "$smtpd_tls_protocols", Works;

    /// As `smtpd_tls_req_ccert`, for postscreen(8).
    postscreen_tls_req_ccert: NBool = "$smtpd_tls_req_ccert", Works;

    /// As `smtpd_tls_security_level`, for postscreen(8).
    postscreen_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt"])) = "$smtpd_tls_security_level", Works;

    /// As `smtpd_tls_trace_size_limit`, for postscreen(8).
    postscreen_tls_trace_size_limit: NInt = "$smtpd_tls_trace_size_limit", Works;

    /// The protocol in which a proxy before postscreen(8) tells the client's address.
    postscreen_upstream_proxy_protocol: Text(form: OneOf(&["", "haproxy"])) = "", Works;

    /// How long the proxy may take to tell it.
    postscreen_upstream_proxy_timeout: Time(min: 1) = "5s", Works;

    /// As `smtpd_use_tls`, for postscreen(8).
    postscreen_use_tls: NBool = "$smtpd_use_tls", Works;

    /// How long postscreen(8) may be stuck before it is ended.
    postscreen_watchdog_timeout: Time(min: 10) = "10s", Accepted("sessions have their own time limits, and a stuck role is restarted");
}
