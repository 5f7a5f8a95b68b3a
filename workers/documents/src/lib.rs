//! The documents product: from an uploaded file to searchable chunks.
