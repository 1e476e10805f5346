//! Locks on mailboxes (postconf(5), mailbox_delivery_lock).

use crate::param::params;

params! { locks, "Locks";
    /// How often locking a mailbox is tried.
    deliver_lock_attempts: Int(min: 1) = "20", Works;

    /// How long to wait between two attempts at a lock.
    deliver_lock_delay: Time(min: 1) = "1s", Works;

    /// How a mailbox is locked.
    mailbox_delivery_lock: Text(min: 1, form: SetOf(&["fcntl", "flock", "dotlock"])) = "fcntl, dotlock", Works;

    /// After what time a lock file counts as left behind.
    stale_lock_time: Time(min: 1) = "500s", Works;

    /// Old name for `mailbox_delivery_lock` without kernel locks.
    sun_mailtool_compatibility: Bool = "no", Accepted("mailboxes are locked by mailbox_delivery_lock; no mailtool of SunOS looks at them");

    /// How a virtual mailbox is locked.
    virtual_mailbox_lock: Text(min: 1, form: SetOf(&["fcntl", "flock", "dotlock"])) = "fcntl, dotlock", Works;
}
