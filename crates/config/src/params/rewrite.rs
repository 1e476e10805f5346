//! trivial-rewrite(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { rewrite, "trivial-rewrite(8)";
    /// See postconf(5), `allow_min_user`.
    allow_min_user: Bool = "no", Planned("not built yet");

    /// See postconf(5), `allow_percent_hack`.
    allow_percent_hack: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `append_at_myorigin`.
    append_at_myorigin: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `append_dot_mydomain`.
    append_dot_mydomain: NBool = "${{$compatibility_level} <level {1} ? {yes} : {no}}", Planned("not built yet");

    /// See postconf(5), `default_transport`.
    default_transport: Text(min: 1, form: Transport) = "smtp", Planned("not built yet");

    /// See postconf(5), `empty_address_default_transport_maps_lookup_key`.
    empty_address_default_transport_maps_lookup_key: Text(min: 1) = "<>", Planned("not built yet");

    /// See postconf(5), `empty_address_relayhost_maps_lookup_key`.
    empty_address_relayhost_maps_lookup_key: Text(min: 1) = "<>", Planned("not built yet");

    /// See postconf(5), `local_transport`.
    local_transport: Text(min: 1, form: Transport) = "local:$myhostname", Planned("not built yet");

    /// See postconf(5), `relay_transport`.
    relay_transport: Text(min: 1, form: Transport) = "relay", Planned("not built yet");

    /// See postconf(5), `relocated_maps`.
    relocated_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `relocated_prefix_enable`.
    relocated_prefix_enable: NBool = "yes", Planned("not built yet");

    /// See postconf(5), `resolve_dequoted_address`.
    resolve_dequoted_address: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `resolve_null_domain`.
    resolve_null_domain: Bool = "no", Planned("not built yet");

    /// See postconf(5), `resolve_numeric_domain`.
    resolve_numeric_domain: Bool = "no", Planned("not built yet");

    /// See postconf(5), `sender_dependent_default_transport_maps`.
    sender_dependent_default_transport_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `sender_dependent_relayhost_maps`.
    sender_dependent_relayhost_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `swap_bangpath`.
    swap_bangpath: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `transport_maps`.
    transport_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `virtual_alias_domains`.
    virtual_alias_domains: Text(form: List) = "$virtual_alias_maps", Planned("not built yet");

    /// See postconf(5), `virtual_mailbox_domains`.
    virtual_mailbox_domains: Text(form: List) = "$virtual_mailbox_maps", Planned("not built yet");

    /// See postconf(5), `virtual_transport`.
    virtual_transport: Text(min: 1, form: Transport) = "virtual", Planned("not built yet");
}
