//! The documents product as one Lambda binary.
fn main() {}
