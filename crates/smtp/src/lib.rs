//! SMTP and LMTP as pure sessions: bytes in, replies and the next thing to do out.
#![forbid(unsafe_code)]
