//! One TLS decision, certificates, trust, sessions, one handshake and one set of facts.

