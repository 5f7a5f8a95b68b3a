//! Replaying dead letters: `millrace dlq replay`.
//!
//! A replay is a *run* in the catalogue: the letters that it is over, and how far each is. Every letter is given to
//! its worker, through the worker's own loop in this process or through its queue, and is taken out of its place
//! only once the worker handled it or the queue has it. So a run can be interrupted anywhere: what was not taken
//! out is given to its worker again, whose guards make of it `already`.
//!
//! - [`resolve`]: from a letter to the event that its worker is handed;
//! - `engine`: which letter is next and when (`lanes`, `pace`), and when to stop (`brake`);
//! - `handler`, `queue`: the two ways to a worker;
//! - `finish`: out of its place, and written down;
//! - `run`: the command around it.

mod args;
mod brake;
mod dry;
mod engine;
mod finish;
mod handler;
mod judge;
mod lanes;
mod outcome;
mod pace;
mod queue;
pub mod resolve;
mod run;
mod tally;
#[cfg(test)]
mod tests;

pub use args::{ReplayArgs, Via};
pub use brake::Percent;
pub use pace::Rate;
pub(crate) use run::{Counter, run};
