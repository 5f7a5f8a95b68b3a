//! Bytes of a document to text, pages, sections and chunks; parsing in a limited child process.
