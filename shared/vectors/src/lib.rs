//! Embedders, vector indexes, the exact scan.
