//! verify(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { verify, "verify(8)";
    /// See postconf(5), `address_verify_cache_cleanup_interval`.
    address_verify_cache_cleanup_interval: Time(unit: 'h') = "12h", Planned("not built yet");

    /// See postconf(5), `address_verify_default_transport`.
    address_verify_default_transport: Text(min: 1, form: Transport) = "$default_transport", Planned("not built yet");

    /// See postconf(5), `address_verify_local_transport`.
    address_verify_local_transport: Text(min: 1, form: Transport) = "$local_transport", Planned("not built yet");

    /// See postconf(5), `address_verify_map`.
    address_verify_map: Text(form: Table) = "$default_cache_db_type:$data_directory/verify_cache", Planned("not built yet");

    /// See postconf(5), `address_verify_negative_cache`.
    address_verify_negative_cache: Bool = "yes", Planned("not built yet");

    /// See postconf(5), `address_verify_negative_expire_time`.
    address_verify_negative_expire_time: Time(unit: 'd', min: 1) = "3d", Planned("not built yet");

    /// See postconf(5), `address_verify_negative_refresh_time`.
    address_verify_negative_refresh_time: Time(unit: 'h', min: 1) = "3h", Planned("not built yet");

    /// See postconf(5), `address_verify_pending_request_limit`.
    address_verify_pending_request_limit: Int(min: 1) = "5000", Planned("not built yet");

    /// See postconf(5), `address_verify_poll_count`.
    address_verify_poll_count: NInt(min: 1) = "${stress?{1}:{3}}", Planned("not built yet");

    /// See postconf(5), `address_verify_poll_delay`.
    address_verify_poll_delay: Time(min: 1) = "3s", Planned("not built yet");

    /// See postconf(5), `address_verify_positive_expire_time`.
    address_verify_positive_expire_time: Time(unit: 'd', min: 1) = "31d", Planned("not built yet");

    /// See postconf(5), `address_verify_positive_refresh_time`.
    address_verify_positive_refresh_time: Time(unit: 'd', min: 1) = "7d", Planned("not built yet");

    /// See postconf(5), `address_verify_relay_transport`.
    address_verify_relay_transport: Text(min: 1, form: Transport) = "$relay_transport", Planned("not built yet");

    /// See postconf(5), `address_verify_relayhost`.
    address_verify_relayhost: Text = "$relayhost", Planned("not built yet");

    /// See postconf(5), `address_verify_sender`.
    address_verify_sender: Text = "$double_bounce_sender", Planned("not built yet");

    /// See postconf(5), `address_verify_sender_dependent_default_transport_maps`.
    address_verify_sender_dependent_default_transport_maps: Text(form: Tables) = "$sender_dependent_default_transport_maps", Planned("not built yet");

    /// See postconf(5), `address_verify_sender_dependent_relayhost_maps`.
    address_verify_sender_dependent_relayhost_maps: Text(form: Tables) = "$sender_dependent_relayhost_maps", Planned("not built yet");

    /// See postconf(5), `address_verify_sender_ttl`.
    address_verify_sender_ttl: Time = "0s", Planned("not built yet");

    /// See postconf(5), `address_verify_service_name`.
    address_verify_service_name: Text(min: 1, form: Service) = "verify", Planned("not built yet");

    /// See postconf(5), `address_verify_transport_maps`.
    address_verify_transport_maps: Text(form: Tables) = "$transport_maps", Planned("not built yet");

    /// See postconf(5), `address_verify_virtual_transport`.
    address_verify_virtual_transport: Text(min: 1, form: Transport) = "$virtual_transport", Planned("not built yet");
}
