//! The program: one binary, started under many names.

fn main() {}
