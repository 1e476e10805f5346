//! Address rewriting, address classes, aliases, and resolution to transport and next hop.
#![forbid(unsafe_code)]
