//! Event source mappings: what Lambda does between a queue or stream and a function.
