//! The jobs product seen from outside: people and jobs as the platform writes them, what must come of them by the contract
//! alone, and an embedder whose vectors a test prescribes.

pub mod people;
pub mod platform;
pub mod prescribed;
pub mod reference;
