//! pipe(8): what main.cf can say (postconf(5)).

use crate::param::params;

params! { pipe, "pipe(8)";
    /// See postconf(5), `pipe_delivery_status_filter`.
    pipe_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Planned("not built yet");
}
