//! Policy services that smtpd(8) asks: SMTPD_POLICY_README.

use crate::param::params;

params! { policy, "Policy services";
    /// What counts when a policy service does not answer.
    smtpd_policy_service_default_action: Text(min: 1) = "451 4.3.5 Server configuration problem", Works;

    /// After what time an idle connection to a policy service is closed.
    smtpd_policy_service_max_idle: Time(min: 1) = "300s", Works;

    /// How long a connection to a policy service is used.
    smtpd_policy_service_max_ttl: Time(min: 1) = "1000s", Works;

    /// A text that is sent along with policy requests.
    smtpd_policy_service_policy_context: Text = "", Works;

    /// How many requests go over one connection; 0 for no limit.
    smtpd_policy_service_request_limit: Int = "0", Works;

    /// How long to wait before a policy request is tried again.
    smtpd_policy_service_retry_delay: Time(min: 1) = "1s", Works;

    /// How long a policy service may take.
    smtpd_policy_service_timeout: Time(min: 1) = "100s", Works;

    /// How often a policy request is tried.
    smtpd_policy_service_try_limit: Int(min: 1) = "2", Works;
}
