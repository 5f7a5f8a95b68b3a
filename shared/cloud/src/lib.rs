//! Settings and SDK clients; tables, buckets, queues and topics in the platform's words.
