//! postscreen(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { postscreen, "postscreen(8)";
    /// See postconf(5), `dnsblog_reply_delay`.
    dnsblog_reply_delay: Time = "0s", Planned("not built yet");

    /// See postconf(5), `dnsblog_service_name`.
    dnsblog_service_name: Text(min: 1, form: Service) = "dnsblog", Planned("not built yet");

    /// See postconf(5), `postscreen_access_list`.
    postscreen_access_list: Text(form: List) = "permit_mynetworks", Planned("not built yet");

    /// See postconf(5), `postscreen_allowlist_interfaces`.
    postscreen_allowlist_interfaces: Text = "${postscreen_whitelist_interfaces?{$postscreen_whitelist_interfaces}:{static:all}}", Planned("not built yet");

    /// See postconf(5), `postscreen_bare_newline_action`.
    postscreen_bare_newline_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "ignore", Planned("not built yet");

    /// See postconf(5), `postscreen_bare_newline_enable`.
    postscreen_bare_newline_enable: Bool = "no", Planned("not built yet");

    /// See postconf(5), `postscreen_bare_newline_ttl`.
    postscreen_bare_newline_ttl: Time(unit: 'd', min: 1) = "30d", Planned("not built yet");

    /// See postconf(5), `postscreen_cache_cleanup_interval`.
    postscreen_cache_cleanup_interval: Time(unit: 'h') = "12h", Planned("not built yet");

    /// See postconf(5), `postscreen_cache_map`.
    postscreen_cache_map: Text(form: Table) = "$default_cache_db_type:$data_directory/postscreen_cache", Planned("not built yet");

    /// See postconf(5), `postscreen_cache_retention_time`.
    postscreen_cache_retention_time: Time(unit: 'd', min: 1) = "7d", Planned("not built yet");

    /// See postconf(5), `postscreen_client_connection_count_limit`.
    postscreen_client_connection_count_limit: NInt = "$smtpd_client_connection_count_limit", Planned("not built yet");

    /// See postconf(5), `postscreen_command_count_limit`.
    postscreen_command_count_limit: Int(min: 1) = "20", Planned("not built yet");

    /// See postconf(5), `postscreen_command_filter`.
    postscreen_command_filter: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `postscreen_command_time_limit`.
    postscreen_command_time_limit: Time(min: 1) = "${stress?{10}:{300}}s", Planned("not built yet");

    /// See postconf(5), `postscreen_denylist_action`.
    postscreen_denylist_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "${postscreen_blacklist_action?{$postscreen_blacklist_action}:{ignore}}", Planned("not built yet");

    /// See postconf(5), `postscreen_disable_vrfy_command`.
    postscreen_disable_vrfy_command: NBool = "$disable_vrfy_command", Planned("not built yet");

    /// See postconf(5), `postscreen_discard_ehlo_keyword_address_maps`.
    postscreen_discard_ehlo_keyword_address_maps: Text(form: Tables) = "$smtpd_discard_ehlo_keyword_address_maps", Planned("not built yet");

    /// See postconf(5), `postscreen_discard_ehlo_keywords`.
    postscreen_discard_ehlo_keywords: Text(form: SetOf(&["8bitmime", "auth", "chunking", "dsn", "enhancedstatuscodes", "etrn", "pipelining", "requiretls", "silent-discard", "size", "smtputf8", "starttls", "verp", "vrfy", "xclient", "xforward"])) = "$smtpd_discard_ehlo_keywords", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_action`.
    postscreen_dnsbl_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "ignore", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_allowlist_threshold`.
    postscreen_dnsbl_allowlist_threshold: NInt = "${postscreen_dnsbl_whitelist_threshold?{$postscreen_dnsbl_whitelist_threshold}:{0}}", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_max_ttl`.
    postscreen_dnsbl_max_ttl: Time(unit: 'h', min: 1) = "${postscreen_dnsbl_ttl?{$postscreen_dnsbl_ttl}:{1}}h", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_min_ttl`.
    postscreen_dnsbl_min_ttl: Time(min: 1) = "60s", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_reply_map`.
    postscreen_dnsbl_reply_map: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_sites`.
    postscreen_dnsbl_sites: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_threshold`.
    postscreen_dnsbl_threshold: Int(min: 1) = "1", Planned("not built yet");

    /// See postconf(5), `postscreen_dnsbl_timeout`.
    postscreen_dnsbl_timeout: Time(min: 1) = "10s", Planned("not built yet");

    /// See postconf(5), `postscreen_enforce_tls`.
    postscreen_enforce_tls: NBool = "$smtpd_enforce_tls", Planned("not built yet");

    /// See postconf(5), `postscreen_expansion_filter`.
    postscreen_expansion_filter: Raw(min: 1) = "$smtpd_expansion_filter", Planned("not built yet");

    /// See postconf(5), `postscreen_forbidden_commands`.
    postscreen_forbidden_commands: Text = "$smtpd_forbidden_commands", Planned("not built yet");

    /// See postconf(5), `postscreen_greet_action`.
    postscreen_greet_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "ignore", Planned("not built yet");

    /// See postconf(5), `postscreen_greet_banner`.
    postscreen_greet_banner: Text = "$smtpd_banner", Planned("not built yet");

    /// See postconf(5), `postscreen_greet_ttl`.
    postscreen_greet_ttl: Time(unit: 'd', min: 1) = "1d", Planned("not built yet");

    /// See postconf(5), `postscreen_greet_wait`.
    postscreen_greet_wait: Time(min: 1) = "${stress?{2}:{6}}s", Planned("not built yet");

    /// See postconf(5), `postscreen_helo_required`.
    postscreen_helo_required: NBool = "$smtpd_helo_required", Planned("not built yet");

    /// See postconf(5), `postscreen_non_smtp_command_action`.
    postscreen_non_smtp_command_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "drop", Planned("not built yet");

    /// See postconf(5), `postscreen_non_smtp_command_enable`.
    postscreen_non_smtp_command_enable: Bool = "no", Planned("not built yet");

    /// See postconf(5), `postscreen_non_smtp_command_ttl`.
    postscreen_non_smtp_command_ttl: Time(unit: 'd', min: 1) = "30d", Planned("not built yet");

    /// See postconf(5), `postscreen_pipelining_action`.
    postscreen_pipelining_action: Text(min: 1, form: OneOf(&["ignore", "enforce", "drop", "continue"])) = "enforce", Planned("not built yet");

    /// See postconf(5), `postscreen_pipelining_enable`.
    postscreen_pipelining_enable: Bool = "no", Planned("not built yet");

    /// See postconf(5), `postscreen_pipelining_ttl`.
    postscreen_pipelining_ttl: Time(unit: 'd', min: 1) = "30d", Planned("not built yet");

    /// See postconf(5), `postscreen_post_queue_limit`.
    postscreen_post_queue_limit: NInt(min: 5) = "$default_process_limit", Planned("not built yet");

    /// See postconf(5), `postscreen_pre_queue_limit`.
    postscreen_pre_queue_limit: NInt(min: 10) = "$default_process_limit", Planned("not built yet");

    /// See postconf(5), `postscreen_reject_footer`.
    postscreen_reject_footer: Raw = "$smtpd_reject_footer", Planned("not built yet");

    /// See postconf(5), `postscreen_reject_footer_maps`.
    postscreen_reject_footer_maps: Text(form: Tables) = "$smtpd_reject_footer_maps", Planned("not built yet");

    /// See postconf(5), `postscreen_starttls_timeout`.
    postscreen_starttls_timeout: Time(min: 1) = "$smtpd_starttls_timeout", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_CAfile`.
    postscreen_tls_CAfile: Text(form: File) = "$smtpd_tls_CAfile", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_CApath`.
    postscreen_tls_CApath: Text(form: Directory) = "$smtpd_tls_CApath", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_always_issue_session_ids`.
    postscreen_tls_always_issue_session_ids: NBool = "$smtpd_tls_always_issue_session_ids", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_ask_ccert`.
    postscreen_tls_ask_ccert: NBool = "$smtpd_tls_ask_ccert", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_ccert_verifydepth`.
    postscreen_tls_ccert_verifydepth: NInt = "$smtpd_tls_ccert_verifydepth", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_cert_file`.
    postscreen_tls_cert_file: Text(form: File) = "$smtpd_tls_cert_file", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_chain_files`.
    postscreen_tls_chain_files: Text(form: Files) = "$smtpd_tls_chain_files", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_ciphers`.
    postscreen_tls_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "$smtpd_tls_ciphers", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_dcert_file`.
    postscreen_tls_dcert_file: Text(form: File) = "$smtpd_tls_dcert_file", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_dh1024_param_file`.
    postscreen_tls_dh1024_param_file: Text(form: File) = "$smtpd_tls_dh1024_param_file", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_dh512_param_file`.
    postscreen_tls_dh512_param_file: Text(form: File) = "$smtpd_tls_dh512_param_file", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_dkey_file`.
    postscreen_tls_dkey_file: Text(form: File) = "$smtpd_tls_dkey_file", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_eccert_file`.
    postscreen_tls_eccert_file: Text(form: File) = "$smtpd_tls_eccert_file", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_eckey_file`.
    postscreen_tls_eckey_file: Text(form: File) = "$smtpd_tls_eckey_file", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_eecdh_grade`.
    postscreen_tls_eecdh_grade: Text(min: 1) = "$smtpd_tls_eecdh_grade", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_enable_rpk`.
    postscreen_tls_enable_rpk: NBool = "$smtpd_tls_enable_rpk", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_exclude_ciphers`.
    postscreen_tls_exclude_ciphers: Text(form: List) = "$smtpd_tls_exclude_ciphers", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_fingerprint_digest`.
    postscreen_tls_fingerprint_digest: Text(min: 1, form: Digest) = "$smtpd_tls_fingerprint_digest", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_key_file`.
    postscreen_tls_key_file: Text(form: File) = "$smtpd_tls_key_file", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_loglevel`.
    postscreen_tls_loglevel: Text(form: LogLevels) = "$smtpd_tls_loglevel", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_loglevel_maps`.
    postscreen_tls_loglevel_maps: Text(form: Tables) = "$smtpd_tls_loglevel_maps", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_mandatory_ciphers`.
    postscreen_tls_mandatory_ciphers: Text(min: 1, form: OneOf(&["high", "medium", "null", "low", "export"])) = "$smtpd_tls_mandatory_ciphers", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_mandatory_exclude_ciphers`.
    postscreen_tls_mandatory_exclude_ciphers: Text(form: List) = "$smtpd_tls_mandatory_exclude_ciphers", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_mandatory_protocols`.
    postscreen_tls_mandatory_protocols: Text(form: Protocols) = "$smtpd_tls_mandatory_protocols", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_protocols`.
    postscreen_tls_protocols: Text(form: Protocols) = "$smtpd_tls_protocols", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_req_ccert`.
    postscreen_tls_req_ccert: NBool = "$smtpd_tls_req_ccert", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_security_level`.
    postscreen_tls_security_level: Text(form: OneOf(&["", "none", "may", "encrypt"])) = "$smtpd_tls_security_level", Planned("not built yet");

    /// See postconf(5), `postscreen_tls_trace_size_limit`.
    postscreen_tls_trace_size_limit: NInt = "$smtpd_tls_trace_size_limit", Planned("not built yet");

    /// See postconf(5), `postscreen_upstream_proxy_protocol`.
    postscreen_upstream_proxy_protocol: Text(form: OneOf(&["", "haproxy"])) = "", Planned("not built yet");

    /// See postconf(5), `postscreen_upstream_proxy_timeout`.
    postscreen_upstream_proxy_timeout: Time(min: 1) = "5s", Planned("not built yet");

    /// See postconf(5), `postscreen_use_tls`.
    postscreen_use_tls: NBool = "$smtpd_use_tls", Planned("not built yet");

    /// See postconf(5), `postscreen_watchdog_timeout`.
    postscreen_watchdog_timeout: Time(min: 10) = "10s", Planned("not built yet");
}
