//! Site-wide: what main.cf can say (postconf(5)).

use crate::param::params;

params! { global, "Site-wide";
    /// See postconf(5), `alias_database`.
    alias_database: Text(form: Tables) = "$default_database_type:/etc/aliases", Planned("not built yet");

    /// See postconf(5), `backwards_bounce_logfile_compatibility`.
    backwards_bounce_logfile_compatibility: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `compatibility_level`.
    compatibility_level: Text = "0", Planned("not built yet");

    /// See postconf(5), `default_delivery_status_filter`.
    default_delivery_status_filter: Text(form: Table) = "", Planned("not built yet");

    /// See postconf(5), `default_privs`.
    default_privs: Text(min: 1) = "nobody", Planned("not built yet");

    /// See postconf(5), `disable_dns_lookups`.
    disable_dns_lookups: Bool = "no", Planned("not built yet");

    /// See postconf(5), `dns_ncache_ttl_fix_enable`.
    dns_ncache_ttl_fix_enable: Bool = "no", Planned("not built yet");

    /// See postconf(5), `dnssec_probe`.
    dnssec_probe: Text = "ns:.", Planned("not built yet");

    /// See postconf(5), `dont_remove`.
    dont_remove: Int = "0", Planned("not built yet");

    /// See postconf(5), `double_bounce_sender`.
    double_bounce_sender: Text(min: 1) = "double-bounce", Planned("not built yet");

    /// See postconf(5), `empty_address_local_login_sender_maps_lookup_key`.
    empty_address_local_login_sender_maps_lookup_key: Text = "<>", Planned("not built yet");

    /// See postconf(5), `enable_idna2003_compatibility`.
    enable_idna2003_compatibility: NBool = "no", Planned("not built yet");

    /// See postconf(5), `enable_long_queue_ids`.
    enable_long_queue_ids: Bool = "no", Planned("not built yet");

    /// See postconf(5), `enable_original_recipient`.
    enable_original_recipient: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `fault_injection_code`.
    fault_injection_code: Int = "0", Planned("not built yet");

    /// See postconf(5), `hash_queue_depth`.
    hash_queue_depth: Int(min: 1) = "1", Planned("not built yet");

    /// See postconf(5), `hash_queue_names`.
    hash_queue_names: Text(min: 1, form: List) = "deferred, defer", Planned("not built yet");

    /// See postconf(5), `helpful_warnings`.
    helpful_warnings: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `inet_interfaces`.
    inet_interfaces: Text(form: List) = "all", Planned("not built yet");

    /// See postconf(5), `inet_protocols`.
    inet_protocols: Text(form: SetOf(&["ipv4", "ipv6", "all"])) = "all", Planned("not built yet");

    /// See postconf(5), `internal_mail_filter_classes`.
    internal_mail_filter_classes: Text(form: SetOf(&["notify", "bounce"])) = "", Planned("not built yet");

    /// See postconf(5), `known_tcp_ports`.
    known_tcp_ports: Text(form: List) = "lmtp=24, smtp=25, smtps=submissions=465, submission=587", Planned("not built yet");

    /// See postconf(5), `line_length_limit`.
    line_length_limit: Int(min: 512) = "2048", Planned("not built yet");

    /// See postconf(5), `local_login_sender_maps`.
    local_login_sender_maps: Text(form: Tables) = "static:*", Planned("not built yet");

    /// See postconf(5), `mail_name`.
    mail_name: Text(min: 1) = "Postfix", Planned("not built yet");

    /// See postconf(5), `mail_owner`.
    mail_owner: Text(min: 1) = "postfix", Planned("not built yet");

    /// See postconf(5), `mail_release_date`.
    mail_release_date: Text(min: 1) = "20260821", Planned("not built yet");

    /// See postconf(5), `mail_version`.
    mail_version: Text(min: 1) = "3.12.0", Planned("not built yet");

    /// See postconf(5), `message_size_limit`.
    message_size_limit: Long = "10240000", Planned("not built yet");

    /// See postconf(5), `mydestination`.
    mydestination: Text(form: List) = "$myhostname, localhost.$mydomain, localhost", Planned("not built yet");

    /// See postconf(5), `mydomain`.
    mydomain: Text(min: 1) = Mydomain, Planned("not built yet");

    /// See postconf(5), `myhostname`.
    myhostname: Text(min: 1) = Myhostname, Planned("not built yet");

    /// See postconf(5), `mynetworks`.
    mynetworks: Text(form: Patterns) = Mynetworks, Planned("not built yet");

    /// See postconf(5), `mynetworks_style`.
    mynetworks_style: Text(min: 1, form: OneOf(&["host", "subnet", "class"])) = "${{$compatibility_level} <level {2} ? {subnet} : {host}}", Planned("not built yet");

    /// See postconf(5), `myorigin`.
    myorigin: Text(min: 1) = "$myhostname", Planned("not built yet");

    /// See postconf(5), `owner_request_special`.
    owner_request_special: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `parent_domain_matches_subdomains`.
    parent_domain_matches_subdomains: Text(form: List) = "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,qmqpd_authorized_clients,relay_domains,smtpd_access_maps", Planned("not built yet");

    /// See postconf(5), `proxy_interfaces`.
    proxy_interfaces: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `recipient_delimiter`.
    recipient_delimiter: Text = "", Planned("not built yet");

    /// See postconf(5), `relay_domains`.
    relay_domains: Text(form: List) = "${{$compatibility_level} <level {2} ? {$mydestination} : {}}", Planned("not built yet");

    /// See postconf(5), `relayhost`.
    relayhost: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `setgid_group`.
    setgid_group: Text(min: 1) = "postdrop", Planned("not built yet");

    /// See postconf(5), `smtputf8_enable`.
    smtputf8_enable: NBool = "${{$compatibility_level} <level {1} ? {no} : {yes}}", Planned("not built yet");

    /// See postconf(5), `soft_bounce`.
    soft_bounce: Bool = "no", Planned("not built yet");

    /// See postconf(5), `strict_smtputf8`.
    strict_smtputf8: Bool = "no", Planned("not built yet");

    /// See postconf(5), `tcp_windowsize`.
    tcp_windowsize: Int = "0", Planned("not built yet");
}
