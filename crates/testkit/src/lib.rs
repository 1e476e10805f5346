//! For tests only: a certificate authority, scripted peers, a server in a folder.
#![forbid(unsafe_code)]
