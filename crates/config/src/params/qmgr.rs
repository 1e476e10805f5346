//! The schedule: qmgr(8). What a transport can set for itself is in `families`.

use crate::param::params;

params! { qmgr, "Queue manager";
    /// How many recipients must be served before one delivery slot is earned for preemption.
    default_delivery_slot_cost: Int = "5", Works;

    /// By what percentage preemption comes earlier.
    default_delivery_slot_discount: Int(max: 100) = "50", Works;

    /// How many slots preemption may borrow.
    default_delivery_slot_loan: Int = "3", Works;

    /// How many rounds of failed deliveries make a destination count as dead; 0 for never.
    default_destination_concurrency_failed_cohort_limit: Int = "1", Works;

    /// How many deliveries may go to one destination at a time.
    default_destination_concurrency_limit: Int = "20", Works;

    /// By how much concurrency falls after a connection or handshake failure.
    default_destination_concurrency_negative_feedback: Text(min: 1) = "1", Works;

    /// By how much concurrency rises after a delivery.
    default_destination_concurrency_positive_feedback: Text(min: 1) = "1", Works;

    /// How long to wait between two deliveries to one destination.
    default_destination_rate_delay: Time = "0s", Works;

    /// How many recipients one delivery may have.
    default_destination_recipient_limit: Int = "50", Works;

    /// How many recipients of preempting messages may be in memory beyond the limit.
    default_extra_recipient_limit: Int = "1000", Accepted("all recipients of a message in the active queue are in memory; qmgr_message_recipient_limit bounds them");

    /// The destination of `content_filter` when it names none; empty means the recipient's domain.
    default_filter_nexthop: Text = "", Works;

    /// How many recipients a message must have before others may preempt it.
    default_minimum_delivery_slots: Int = "3", Works;

    /// How many recipients of one transport may be in memory.
    default_recipient_limit: Int = "20000", Accepted("all recipients of a message in the active queue are in memory; qmgr_message_recipient_limit bounds them");

    /// How long before more recipients of a message are read, at most.
    default_recipient_refill_delay: Time(min: 1) = "5s", Accepted("all recipients of a message in the active queue are in memory; qmgr_message_recipient_limit bounds them");

    /// How many delivered recipients make room for reading more.
    default_recipient_refill_limit: Int(min: 1) = "100", Accepted("all recipients of a message in the active queue are in memory; qmgr_message_recipient_limit bounds them");

    /// How long to wait between two deliveries of one transport.
    default_transport_rate_delay: Time = "0s", Works;

    /// Transports whose mail stays in the queue until somebody flushes it.
    defer_transports: Text(form: List) = "", Works;

    /// Whether every change of concurrency is logged.
    destination_concurrency_feedback_debug: Bool = "no", Accepted("the windows of destinations are not logged one by one");

    /// Whether queue files are kept in the `saved` queue instead of removed; for tests.
    dont_remove: Int = "0", Accepted("a message is removed when it is done; one that is on hold stays");

    /// Whether queue ids are never used again, which makes them longer.
    enable_long_queue_ids: Bool = "no", Works;

    /// How many levels of directories queue directories have.
    hash_queue_depth: Int(min: 1) = "1", Accepted("the queue is a database, not directories");

    /// Which queue directories have levels.
    hash_queue_names: Text(min: 1, form: List) = "deferred, defer", Accepted("the queue is a database, not directories");

    /// How long receiving waits when mail comes in faster than it goes out.
    in_flow_delay: Time(max: 10) = "1s", Accepted("the store takes mail in groups without holding up delivery, so that receiving need not wait for it");

    /// With how many deliveries at a time a destination begins.
    initial_destination_concurrency: Int(min: 1) = "5", Works;

    /// How many deliveries to one local recipient may go on at a time.
    local_destination_concurrency_limit: Int = "2", Works;

    /// How many recipients one local delivery has.
    local_destination_recipient_limit: Int = "1", Works;

    /// The longest time between two attempts at deferred mail.
    maximal_backoff_time: Time(min: 1) = "4000s", Works;

    /// How long mail is tried before it is returned; 0 for one attempt.
    maximal_queue_lifetime: Time(unit: 'd', max: 8640000) = "5d", Works;

    /// The shortest time between two attempts at deferred mail.
    minimal_backoff_time: Time(min: 1) = "300s", Works;

    /// How long between two warnings that one destination fills the active queue; 0 for none.
    qmgr_clog_warn_time: Time = "300s", Works;

    /// How long qmgr(8) may take for one request before it is stopped.
    qmgr_daemon_timeout: Time(min: 1) = "1000s", Accepted("the parts of the scheduler are in one process");

    /// What share of delivery resources one large message may take, in percent; for the old scheduler.
    qmgr_fudge_factor: Int(min: 10, max: 100) = "100", Accepted("it belongs to Postfix's old scheduler, oqmgr");

    /// How long an exchange of qmgr(8) with another daemon may take.
    qmgr_ipc_timeout: Time(min: 1) = "60s", Accepted("the parts of the scheduler are in one process");

    /// How many messages may be in the active queue.
    qmgr_message_active_limit: Int(min: 1) = "20000", Works;

    /// How many recipients may be in memory, and how many destinations are remembered as dead.
    qmgr_message_recipient_limit: Int(min: 1) = "20000", Works;

    /// How many recipients of each message are in memory at least.
    qmgr_message_recipient_minimum: Int(min: 1) = "10", Accepted("all recipients of a message in the active queue are in memory; qmgr_message_recipient_limit bounds them");

    /// How much space must be free to receive mail, in bytes; at least one and a half times `message_size_limit`.
    queue_minfree: Long = "0", Works;

    /// How often the deferred queue is looked through.
    queue_run_delay: Time(min: 1) = "300s", Accepted("each message has a time of its own; nothing waits for a scan");

    /// How long qmgr(8) waits before it asks a broken transport again.
    transport_retry_time: Time(min: 1) = "60s", Works;
}
