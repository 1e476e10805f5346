//! Delivery to commands: pipe(8). Its time limits are in `families`.

use crate::param::params;

params! { pipe, "Pipe";
    /// As `default_delivery_status_filter`, for pipe(8).
    pipe_delivery_status_filter: Text(form: Table) = "$default_delivery_status_filter", Works;
}
