//! The QMQP server: qmqpd(8).

use crate::param::params;

params! { qmqpd, "QMQP server";
    /// Clients that may use the QMQP server.
    qmqpd_authorized_clients: Text(form: Patterns) = "", Planned("the QMQP server is not built yet");

    /// Whether the QMQP server logs the client's port.
    qmqpd_client_port_logging: Bool = "no", Planned("the QMQP server is not built yet");

    /// How long the QMQP server waits before a negative reply.
    qmqpd_error_delay: Time = "1s", Planned("the QMQP server is not built yet");

    /// How long the QMQP server waits for its client.
    qmqpd_timeout: Time(min: 1) = "300s", Planned("the QMQP server is not built yet");
}
