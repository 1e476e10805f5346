//! Rewriting of addresses, and where mail goes: trivial-rewrite(8).

use crate::param::params;

params! { rewrite, "Rewriting and routing";
    /// Whether a recipient address may begin with `-`.
    allow_min_user: Bool = "no", Works;

    /// Whether `user%domain` is rewritten to `user@domain`.
    allow_percent_hack: Bool = "yes", Works;

    /// Whether `@$myorigin` is appended to addresses without domain.
    append_at_myorigin: Bool = "yes", Works;

    /// Whether `.$mydomain` is appended to domains without a dot.
    append_dot_mydomain: NBool = "${{$compatibility_level} <level {1} ? {yes} : {no}}", Works;

    /// The transport for destinations that nothing else claims.
    default_transport: Text(min: 1, form: Transport) = "smtp", Works;

    /// What is looked up for the empty sender in sender-dependent transport tables.
    empty_address_default_transport_maps_lookup_key: Text(min: 1) = "<>", Works;

    /// What is looked up for the empty sender in sender-dependent relayhost tables.
    empty_address_relayhost_maps_lookup_key: Text(min: 1) = "<>", Works;

    /// The transport for `mydestination`.
    local_transport: Text(min: 1, form: Transport) = "local:$myhostname", Works;

    /// The transport for `relay_domains`.
    relay_transport: Text(min: 1, form: Transport) = "relay", Works;

    /// Where all mail goes that is not ours; `[host]` for no MX lookup.
    relayhost: Text(form: List) = "", Works;

    /// Tables of users who moved, with their new addresses.
    relocated_maps: Text(form: Tables) = "", Works;

    /// Whether `5.1.6 User has moved to` stands before their results.
    relocated_prefix_enable: NBool = "yes", Works;

    /// Whether `@`, `%` and `!` in quotes count when an address is routed.
    resolve_dequoted_address: Bool = "yes", Works;

    /// Whether an address that ends in `@` counts as local.
    resolve_null_domain: Bool = "no", Works;

    /// Whether `user@1.2.3.4` counts as `user@[1.2.3.4]`.
    resolve_numeric_domain: Bool = "no", Works;

    /// Tables that replace `default_transport` for each sender.
    sender_dependent_default_transport_maps: Text(form: Tables) = "", Works;

    /// Tables that replace `relayhost` for each sender.
    sender_dependent_relayhost_maps: Text(form: Tables) = "", Works;

    /// Whether `site!user` is rewritten to `user@site`.
    swap_bangpath: Bool = "yes", Works;

    /// Tables with transport and next hop for each recipient or domain.
    transport_maps: Text(form: Tables) = "", Works;

    /// The transport for `virtual_mailbox_domains`.
    virtual_transport: Text(min: 1, form: Transport) = "virtual", Works;
}
