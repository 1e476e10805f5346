//! Delivery to mailboxes of virtual domains: virtual(8).

use crate::param::params;

params! { virtual_delivery, "Virtual delivery";
    /// As `default_delivery_status_filter`, for virtual(8).
    virtual_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Works;

    /// Tables with the group of each virtual mailbox.
    virtual_gid_maps: Text(form: Tables) = "", Works;

    /// The directory that all virtual mailboxes are in.
    virtual_mailbox_base: Text(min: 1) = "", Works;

    /// How large a virtual mailbox file may become, in bytes; 0 for no limit.
    virtual_mailbox_limit: Long = "51200000", Works;

    /// Tables with the mailbox of each recipient in `virtual_mailbox_domains`.
    virtual_mailbox_maps: Text(form: Tables) = "", Works;

    /// The least user number that a virtual mailbox may have.
    virtual_minimum_uid: Int(min: 1) = "100", Works;

    /// Tables with the user of each virtual mailbox.
    virtual_uid_maps: Text(form: Tables) = "", Works;
}
