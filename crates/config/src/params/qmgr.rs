//! qmgr(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { qmgr, "qmgr(8)";
    /// See postconf(5), `bounce_queue_lifetime`.
    bounce_queue_lifetime: Time(unit: 'd', max: 8640000) = "5d", Planned("not built yet");

    /// See postconf(5), `confirm_delay_cleared`.
    confirm_delay_cleared: Bool = "no", Planned("not built yet");

    /// See postconf(5), `default_delivery_slot_cost`.
    default_delivery_slot_cost: Int = "5", Planned("not built yet");

    /// See postconf(5), `default_delivery_slot_discount`.
    default_delivery_slot_discount: Int(max: 100) = "50", Planned("not built yet");

    /// See postconf(5), `default_delivery_slot_loan`.
    default_delivery_slot_loan: Int = "3", Planned("not built yet");

    /// See postconf(5), `default_destination_concurrency_failed_cohort_limit`.
    default_destination_concurrency_failed_cohort_limit: Int = "1", Planned("not built yet");

    /// See postconf(5), `default_destination_concurrency_limit`.
    default_destination_concurrency_limit: Int = "20", Planned("not built yet");

    /// See postconf(5), `default_destination_concurrency_negative_feedback`.
    default_destination_concurrency_negative_feedback: Text(min: 1) = "1", Planned("not built yet");

    /// See postconf(5), `default_destination_concurrency_positive_feedback`.
    default_destination_concurrency_positive_feedback: Text(min: 1) = "1", Planned("not built yet");

    /// See postconf(5), `default_destination_rate_delay`.
    default_destination_rate_delay: Time = "0s", Planned("not built yet");

    /// See postconf(5), `default_destination_recipient_limit`.
    default_destination_recipient_limit: Int = "50", Planned("not built yet");

    /// See postconf(5), `default_extra_recipient_limit`.
    default_extra_recipient_limit: Int = "1000", Planned("not built yet");

    /// See postconf(5), `default_filter_nexthop`.
    default_filter_nexthop: Text = "", Planned("not built yet");

    /// See postconf(5), `default_minimum_delivery_slots`.
    default_minimum_delivery_slots: Int = "3", Planned("not built yet");

    /// See postconf(5), `default_recipient_limit`.
    default_recipient_limit: Int = "20000", Planned("not built yet");

    /// See postconf(5), `default_recipient_refill_delay`.
    default_recipient_refill_delay: Time(min: 1) = "5s", Planned("not built yet");

    /// See postconf(5), `default_recipient_refill_limit`.
    default_recipient_refill_limit: Int(min: 1) = "100", Planned("not built yet");

    /// See postconf(5), `default_transport_rate_delay`.
    default_transport_rate_delay: Time = "0s", Planned("not built yet");

    /// See postconf(5), `defer_transports`.
    defer_transports: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `destination_concurrency_feedback_debug`.
    destination_concurrency_feedback_debug: Bool = "no", Planned("not built yet");

    /// See postconf(5), `initial_destination_concurrency`.
    initial_destination_concurrency: Int(min: 1) = "5", Planned("not built yet");

    /// See postconf(5), `local_destination_concurrency_limit`.
    local_destination_concurrency_limit: Int = "2", Planned("not built yet");

    /// See postconf(5), `local_destination_recipient_limit`.
    local_destination_recipient_limit: Int = "1", Planned("not built yet");

    /// See postconf(5), `maximal_backoff_time`.
    maximal_backoff_time: Time(min: 1) = "4000s", Planned("not built yet");

    /// See postconf(5), `maximal_queue_lifetime`.
    maximal_queue_lifetime: Time(unit: 'd', max: 8640000) = "5d", Planned("not built yet");

    /// See postconf(5), `minimal_backoff_time`.
    minimal_backoff_time: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `qmgr_clog_warn_time`.
    qmgr_clog_warn_time: Time = "300s", Planned("not built yet");

    /// See postconf(5), `qmgr_daemon_timeout`.
    qmgr_daemon_timeout: Time(min: 1) = "1000s", Planned("not built yet");

    /// See postconf(5), `qmgr_fudge_factor`.
    qmgr_fudge_factor: Int(min: 10, max: 100) = "100", Planned("not built yet");

    /// See postconf(5), `qmgr_ipc_timeout`.
    qmgr_ipc_timeout: Time(min: 1) = "60s", Planned("not built yet");

    /// See postconf(5), `qmgr_message_active_limit`.
    qmgr_message_active_limit: Int(min: 1) = "20000", Planned("not built yet");

    /// See postconf(5), `qmgr_message_recipient_limit`.
    qmgr_message_recipient_limit: Int(min: 1) = "20000", Planned("not built yet");

    /// See postconf(5), `qmgr_message_recipient_minimum`.
    qmgr_message_recipient_minimum: Int(min: 1) = "10", Planned("not built yet");

    /// See postconf(5), `queue_run_delay`.
    queue_run_delay: Time(min: 1) = "300s", Planned("not built yet");

    /// See postconf(5), `transport_retry_time`.
    transport_retry_time: Time(min: 1) = "60s", Planned("not built yet");
}
