//! The QMQP server: qmqpd(8).

use crate::param::params;

params! { qmqpd, "QMQP server";
    /// Clients that may use the QMQP server.
    qmqpd_authorized_clients: Text(form: Patterns) = "", Works;

    /// Whether the QMQP server logs the client's port.
    qmqpd_client_port_logging: Bool = "no", Works;

    /// How long the QMQP server waits before a negative reply.
    qmqpd_error_delay: Time = "1s", Works;

    /// How long the QMQP server waits for its client.
    qmqpd_timeout: Time(min: 1) = "300s", Works;
}
