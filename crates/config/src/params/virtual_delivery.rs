//! virtual(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { virtual_delivery, "virtual(8)";
    /// See postconf(5), `virtual_delivery_status_filter`.
    virtual_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Planned("not built yet");

    /// See postconf(5), `virtual_gid_maps`.
    virtual_gid_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `virtual_mailbox_base`.
    virtual_mailbox_base: Text(min: 1) = "", Planned("not built yet");

    /// See postconf(5), `virtual_mailbox_limit`.
    virtual_mailbox_limit: Long = "51200000", Planned("not built yet");

    /// See postconf(5), `virtual_mailbox_lock`.
    virtual_mailbox_lock: Text(min: 1, form: SetOf(&["fcntl", "flock", "dotlock"])) = "fcntl, dotlock", Planned("not built yet");

    /// See postconf(5), `virtual_mailbox_maps`.
    virtual_mailbox_maps: Text(form: Tables) = "", Planned("not built yet");

    /// See postconf(5), `virtual_minimum_uid`.
    virtual_minimum_uid: Int(min: 1) = "100", Planned("not built yet");

    /// See postconf(5), `virtual_uid_maps`.
    virtual_uid_maps: Text(form: Tables) = "", Planned("not built yet");
}
