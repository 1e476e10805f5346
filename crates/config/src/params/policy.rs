//! Policy services that smtpd(8) asks: SMTPD_POLICY_README.

use crate::param::params;

params! { policy, "Policy services";
    /// What counts when a policy service does not answer.
    smtpd_policy_service_default_action: Text(min: 1) = "451 4.3.5 Server configuration problem", Planned("policy services are not built yet");

    /// After what time an idle connection to a policy service is closed.
    smtpd_policy_service_max_idle: Time(min: 1) = "300s", Planned("policy services are not built yet");

    /// How long a connection to a policy service is used.
    smtpd_policy_service_max_ttl: Time(min: 1) = "1000s", Planned("policy services are not built yet");

    /// A text that is sent along with policy requests.
    smtpd_policy_service_policy_context: Text = "", Planned("policy services are not built yet");

    /// How many requests go over one connection; 0 for no limit.
    smtpd_policy_service_request_limit: Int = "0", Planned("policy services are not built yet");

    /// How long to wait before a policy request is tried again.
    smtpd_policy_service_retry_delay: Time(min: 1) = "1s", Planned("policy services are not built yet");

    /// How long a policy service may take.
    smtpd_policy_service_timeout: Time(min: 1) = "100s", Planned("policy services are not built yet");

    /// How often a policy request is tried.
    smtpd_policy_service_try_limit: Int(min: 1) = "2", Planned("policy services are not built yet");
}
