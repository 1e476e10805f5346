//! MX, address, TLSA, TXT and PTR look-ups with the security status of each answer.
#![forbid(unsafe_code)]
