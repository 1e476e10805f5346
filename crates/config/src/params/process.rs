//! Processes, services and what they pass between them (master(5), master(8)).

use crate::param::params;

params! { process, "Processes and services";
    /// How long postkick(1) waits until a daemon has read its request.
    application_event_drain_time: Time(min: 1) = "100s", Accepted("no processes per client that pass requests to each other: the limits of a session are its own parameters");

    /// The service that keeps reports of failed deliveries.
    bounce_service_name: Text(min: 1, form: Service) = "bounce", Accepted("services find each other without names in the file system");

    /// The service that takes in messages.
    cleanup_service_name: Text(min: 1, form: Service) = "cleanup", Works;

    /// How long a daemon may take for one request before it is stopped.
    daemon_timeout: Time(min: 1) = "18000s", Accepted("sessions have their own time limits, and a stuck role is restarted");

    /// How many processes a service may have; here: clients or deliveries at a time.
    default_process_limit: Int(min: 1) = "100", Works;

    /// The service that keeps reports of deferred deliveries.
    defer_service_name: Text(min: 1, form: Service) = "defer", Accepted("services find each other without names in the file system");

    /// The service that bounces or defers what it gets.
    error_service_name: Text(min: 1, form: Service) = "error", Accepted("services find each other without names in the file system");

    /// Environment variables that commands and other programs get.
    export_environment: Text(form: List) = "TZ MAIL_CONFIG LANG", Works;

    /// The service that knows each domain's waiting mail.
    flush_service_name: Text(min: 1, form: Service) = "flush", Accepted("services find each other without names in the file system");

    /// How often starting a process is tried.
    fork_attempts: Int(min: 1) = "5", Accepted("no process is forked for a client");

    /// How long to wait between two attempts to start a process.
    fork_delay: Time(min: 1) = "1s", Accepted("no process is forked for a client");

    /// Environment variables that daemons keep, or get as `name=value`.
    import_environment: Text(form: List) = "MAIL_CONFIG MAIL_DEBUG MAIL_LOGTAG TZ XAUTHORITY DISPLAY LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME XDG_RUNTIME_DIR", Works;

    /// After what time an idle connection between daemons is closed.
    ipc_idle: Time(min: 1) = "5s", Accepted("no processes per client that pass requests to each other: the limits of a session are its own parameters");

    /// How long an exchange between daemons may take.
    ipc_timeout: Time(min: 1) = "3600s", Accepted("no processes per client that pass requests to each other: the limits of a session are its own parameters");

    /// How long a connection between daemons is used.
    ipc_ttl: Time(min: 1) = "1000s", Accepted("no processes per client that pass requests to each other: the limits of a session are its own parameters");

    /// Services of master.cf that are off.
    master_service_disable: Text(form: List) = "", Works;

    /// After what time an idle process ends.
    max_idle: Time(min: 1) = "100s", Accepted("sessions are tasks of one process, which is not replaced after some use");

    /// After how many requests a process ends.
    max_use: Int(min: 1) = "100", Accepted("sessions are tasks of one process, which is not replaced after some use");

    /// The service that takes in mail of local users.
    pickup_service_name: Text(min: 1, form: Service) = "pickup", Accepted("services find each other without names in the file system");

    /// The service that writes the log file.
    postlog_service_name: Text(min: 1, form: Service) = "postlog", Accepted("services find each other without names in the file system");

    /// How long postlogd(8) may take for one request.
    postlogd_watchdog_timeout: Time(min: 10) = "10s", Accepted("sessions have their own time limits, and a stuck role is restarted");

    /// The number of the process; can not be set.
    process_id: Int = ProcessId, Works;

    /// The name of the program; can not be set.
    process_name: Text = ProcessName, Works;

    /// The service that schedules deliveries.
    queue_service_name: Text(min: 1, form: Service) = "qmgr", Accepted("services find each other without names in the file system");

    /// The service that rewrites and resolves addresses.
    rewrite_service_name: Text(min: 1, form: Service) = "rewrite", Accepted("services find each other without names in the file system");

    /// The name of the service in master.cf; can not be set.
    service_name: Text = ServiceName, Works;

    /// How long master(8) waits before it starts a service again that failed.
    service_throttle_time: Time(min: 1) = "60s", Works;

    /// The service that lists the queue.
    showq_service_name: Text(min: 1, form: Service) = "showq", Accepted("services find each other without names in the file system");

    /// The service that keeps reports for `sendmail -bv` and delivery notices.
    trace_service_name: Text(min: 1, form: Service) = "trace", Accepted("services find each other without names in the file system");

    /// How long waking up a daemon may take.
    trigger_timeout: Time(min: 1) = "10s", Accepted("no processes per client that pass requests to each other: the limits of a session are its own parameters");
}
