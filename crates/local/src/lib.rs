//! The role that delivers on this machine: local, virtual and pipe.
#![forbid(unsafe_code)]
