//! Who we are, whose mail is ours, and who is trusted: mydestination, mynetworks and their like (ADDRESS_CLASS_README).

use crate::param::params;

params! { domains, "Domains and networks";
    /// What stands for the empty sender in `local_login_sender_maps` results.
    empty_address_local_login_sender_maps_lookup_key: Text = "<>", Works;

    /// The addresses on which mail is received.
    inet_interfaces: Text(form: List) = "all", Works;

    /// The address families that are used.
    inet_protocols: Text(form: SetOf(&["ipv4", "ipv6", "all"])) = "all", Works;

    /// Tables that tell which envelope senders each local user may use.
    local_login_sender_maps: Text(form: Tables) = "static:*", Works;

    /// The domains whose mail is delivered to local users.
    mydestination: Text(form: List) = "$myhostname, localhost.$mydomain, localhost", Works;

    /// The domain of this machine.
    mydomain: Text(min: 1) = Mydomain, Works;

    /// The name of this machine on the Internet.
    myhostname: Text(min: 1) = Myhostname, Works;

    /// The clients that are trusted, by network.
    mynetworks: Text(form: Patterns) = Mynetworks, Works;

    /// How far the default of `mynetworks` reaches: host, subnet or class.
    mynetworks_style: Text(min: 1, form: OneOf(&["host", "subnet", "class"])) = "${{$compatibility_level} <level {2} ? {subnet} : {host}}", Works;

    /// The domain of mail that is posted here, and of addresses without one.
    myorigin: Text(min: 1) = "$myhostname", Works;

    /// Parameters whose domains also stand for subdomains.
    parent_domain_matches_subdomains: Text(form: List) = "debug_peer_list,fast_flush_domains,mynetworks,permit_mx_backup_networks,qmqpd_authorized_clients,relay_domains,smtpd_access_maps", Works;

    /// Addresses of other machines through which mail for this one arrives.
    proxy_interfaces: Text(form: Patterns) = "", Works;

    /// Fingerprints of client certificates that may relay mail.
    relay_clientcerts: Text(form: Tables) = "", Works;

    /// Domains that mail is relayed to for strangers.
    relay_domains: Text(form: List) = "${{$compatibility_level} <level {2} ? {$mydestination} : {}}", Works;

    /// Tables of all recipients in `relay_domains`; empty to accept all.
    relay_recipient_maps: Text(form: Tables) = "", Works;

    /// Domains whose every address is a virtual alias.
    virtual_alias_domains: Text(form: List) = "$virtual_alias_maps", Works;

    /// Domains whose mail `virtual_transport` delivers.
    virtual_mailbox_domains: Text(form: List) = "$virtual_mailbox_maps", Works;
}
