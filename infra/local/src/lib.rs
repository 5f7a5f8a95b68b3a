//! The embedded cloud: runs infra/template.yaml in one process.
