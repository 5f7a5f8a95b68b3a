//! The millrace command: demo, up, ingest, search, show, feed, dlq.
