//! Every lookup table type behind one trait, and the builders behind postmap.

