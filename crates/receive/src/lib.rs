//! The role that hears clients: smtpd, submission, pickup, and cleanup of what was received.
#![forbid(unsafe_code)]
