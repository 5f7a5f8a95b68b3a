//! The marketing product as its tables say it, counted apart from its workers.

pub mod by_hand;
pub mod counted;
pub mod tables;
