//! Probes that tell whether an address is deliverable: verify(8), ADDRESS_VERIFICATION_README.

use crate::param::params;

params! { verify, "Address verification";
    /// How often expired probe results are removed from the cache.
    address_verify_cache_cleanup_interval: Time(unit: 'h') = "12h", Works;

    /// As `default_transport`, for address verification probes.
    address_verify_default_transport: Text(min: 1, form: Transport) = "$default_transport", Works;

    /// As `local_transport`, for address verification probes.
    address_verify_local_transport: Text(min: 1, form: Transport) = "$local_transport", Works;

    /// Where the results of address probes are kept.
    address_verify_map: Text(form: Table) = "$default_cache_db_type:$data_directory/verify_cache", Works;

    /// Whether failed probes are remembered as well.
    address_verify_negative_cache: Bool = "yes", Works;

    /// How long a failed probe counts.
    address_verify_negative_expire_time: Time(unit: 'd', min: 1) = "3d", Works;

    /// After what time a failed probe is tried again.
    address_verify_negative_refresh_time: Time(unit: 'h', min: 1) = "3h", Works;

    /// How many probes may wait in the queue.
    address_verify_pending_request_limit: Int(min: 1) = "5000", Works;

    /// How often smtpd(8) asks for the result of a probe before it defers.
    address_verify_poll_count: NInt(min: 1) = "${stress?{1}:{3}}", Works;

    /// How long smtpd(8) waits between two such questions.
    address_verify_poll_delay: Time(min: 1) = "3s", Works;

    /// How long a successful probe counts.
    address_verify_positive_expire_time: Time(unit: 'd', min: 1) = "31d", Works;

    /// After what time a successful probe is confirmed by a new one.
    address_verify_positive_refresh_time: Time(unit: 'd', min: 1) = "7d", Works;

    /// As `relay_transport`, for address verification probes.
    address_verify_relay_transport: Text(min: 1, form: Transport) = "$relay_transport", Works;

    /// As `relayhost`, for address verification probes.
    address_verify_relayhost: Text = "$relayhost", Works;

    /// The sender address of probes.
    address_verify_sender: Text = "$double_bounce_sender", Works;

    /// As `sender_dependent_default_transport_maps`, for address verification probes.
    address_verify_sender_dependent_default_transport_maps: Text(form: Tables) = "$sender_dependent_default_transport_maps", Works;

    /// As `sender_dependent_relayhost_maps`, for address verification probes.
    address_verify_sender_dependent_relayhost_maps: Text(form: Tables) = "$sender_dependent_relayhost_maps", Works;

    /// How long the time-dependent part of the probes' sender address stays the same; 0 for a fixed address.
    address_verify_sender_ttl: Time = "0s", Works;

    /// The service that keeps the results of probes.
    address_verify_service_name: Text(min: 1, form: Service) = "verify", Accepted("services find each other without names in the file system");

    /// As `transport_maps`, for address verification probes.
    address_verify_transport_maps: Text(form: Tables) = "$transport_maps", Works;

    /// As `virtual_transport`, for address verification probes.
    address_verify_virtual_transport: Text(min: 1, form: Transport) = "$virtual_transport", Works;
}
