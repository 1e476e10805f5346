//! The role that talks to remote servers: the smtp and lmtp clients.
#![forbid(unsafe_code)]
