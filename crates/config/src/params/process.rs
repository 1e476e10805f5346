//! Processes and services: what main.cf can say (postconf(5)).

use crate::param::params;

params! { process, "Processes and services";
    /// See postconf(5), `application_event_drain_time`.
    application_event_drain_time: Time(min: 1) = "100s", Planned("not built yet");

    /// See postconf(5), `bounce_service_name`.
    bounce_service_name: Text(min: 1, form: Service) = "bounce", Planned("not built yet");

    /// See postconf(5), `cleanup_service_name`.
    cleanup_service_name: Text(min: 1, form: Service) = "cleanup", Planned("not built yet");

    /// See postconf(5), `connection_cache_status_update_time`.
    connection_cache_status_update_time: Time(min: 1) = "600s", Planned("not built yet");

    /// See postconf(5), `connection_cache_ttl_limit`.
    connection_cache_ttl_limit: Time(min: 1) = "2s", Planned("not built yet");

    /// See postconf(5), `daemon_timeout`.
    daemon_timeout: Time(min: 1) = "18000s", Planned("not built yet");

    /// See postconf(5), `debug_peer_level`.
    debug_peer_level: Int(min: 1) = "2", Planned("not built yet");

    /// See postconf(5), `debug_peer_list`.
    debug_peer_list: Text(form: Patterns) = "", Planned("not built yet");

    /// See postconf(5), `debugger_command`.
    debugger_command: Text(min: 1) = "", Planned("not built yet");

    /// See postconf(5), `default_process_limit`.
    default_process_limit: Int(min: 1) = "100", Planned("not built yet");

    /// See postconf(5), `defer_service_name`.
    defer_service_name: Text(min: 1, form: Service) = "defer", Planned("not built yet");

    /// See postconf(5), `deliver_lock_attempts`.
    deliver_lock_attempts: Int(min: 1) = "20", Planned("not built yet");

    /// See postconf(5), `deliver_lock_delay`.
    deliver_lock_delay: Time(min: 1) = "1s", Planned("not built yet");

    /// See postconf(5), `error_service_name`.
    error_service_name: Text(min: 1, form: Service) = "error", Planned("not built yet");

    /// See postconf(5), `export_environment`.
    export_environment: Text(form: List) = "TZ MAIL_CONFIG LANG", Planned("not built yet");

    /// See postconf(5), `flush_service_name`.
    flush_service_name: Text(min: 1, form: Service) = "flush", Planned("not built yet");

    /// See postconf(5), `fork_attempts`.
    fork_attempts: Int(min: 1) = "5", Planned("not built yet");

    /// See postconf(5), `fork_delay`.
    fork_delay: Time(min: 1) = "1s", Planned("not built yet");

    /// See postconf(5), `import_environment`.
    import_environment: Text(form: List) = "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME XDG_RUNTIME_DIR", Planned("not built yet");

    /// See postconf(5), `in_flow_delay`.
    in_flow_delay: Time(max: 10) = "1s", Planned("not built yet");

    /// See postconf(5), `ipc_idle`.
    ipc_idle: Time(min: 1) = "5s", Planned("not built yet");

    /// See postconf(5), `ipc_timeout`.
    ipc_timeout: Time(min: 1) = "3600s", Planned("not built yet");

    /// See postconf(5), `ipc_ttl`.
    ipc_ttl: Time(min: 1) = "1000s", Planned("not built yet");

    /// See postconf(5), `master_service_disable`.
    master_service_disable: Text(form: List) = "", Planned("not built yet");

    /// See postconf(5), `max_idle`.
    max_idle: Time(min: 1) = "100s", Planned("not built yet");

    /// See postconf(5), `max_use`.
    max_use: Int(min: 1) = "100", Planned("not built yet");

    /// See postconf(5), `non_bdb_migration_service_name`.
    non_bdb_migration_service_name: Text(form: Service) = "nbdb_reindex", Planned("not built yet");

    /// See postconf(5), `pickup_service_name`.
    pickup_service_name: Text(min: 1, form: Service) = "pickup", Planned("not built yet");

    /// See postconf(5), `postlog_service_name`.
    postlog_service_name: Text(min: 1, form: Service) = "postlog", Planned("not built yet");

    /// See postconf(5), `postlogd_watchdog_timeout`.
    postlogd_watchdog_timeout: Time(min: 10) = "10s", Planned("not built yet");

    /// See postconf(5), `process_id`.
    process_id: Int = ProcessId, Planned("not built yet");

    /// See postconf(5), `process_name`.
    process_name: Text = ProcessName, Planned("not built yet");

    /// See postconf(5), `proxymap_service_name`.
    proxymap_service_name: Text(min: 1, form: Service) = "proxymap", Planned("not built yet");

    /// See postconf(5), `proxywrite_service_name`.
    proxywrite_service_name: Text(min: 1, form: Service) = "proxywrite", Planned("not built yet");

    /// See postconf(5), `queue_service_name`.
    queue_service_name: Text(min: 1, form: Service) = "qmgr", Planned("not built yet");

    /// See postconf(5), `rewrite_service_name`.
    rewrite_service_name: Text(min: 1, form: Service) = "rewrite", Planned("not built yet");

    /// See postconf(5), `service_name`.
    service_name: Text = ServiceName, Planned("not built yet");

    /// See postconf(5), `service_throttle_time`.
    service_throttle_time: Time(min: 1) = "60s", Planned("not built yet");

    /// See postconf(5), `showq_service_name`.
    showq_service_name: Text(min: 1, form: Service) = "showq", Planned("not built yet");

    /// See postconf(5), `stale_lock_time`.
    stale_lock_time: Time(min: 1) = "500s", Planned("not built yet");

    /// See postconf(5), `trace_service_name`.
    trace_service_name: Text(min: 1, form: Service) = "trace", Planned("not built yet");

    /// See postconf(5), `trigger_timeout`.
    trigger_timeout: Time(min: 1) = "10s", Planned("not built yet");
}
