//! Dead letters: one model for all that can fail, and the catalogue in which an operator finds them.
//!
//! A *letter* is one record, or one batch of records, that a worker could not handle. It may lie in its place
//! several times: those are its *copies*. A letter is known by an id that is a function of what happened, never
//! of the message that carries it, so copies of one letter have one id wherever they lie.
//!
//! # The contract
//!
//! - [`decode`] is total: any message whatever becomes a [`Letter`].
//! - [`Catalogue`] is one SQLite file. It holds every letter that was read, its copies with body, receipt and the time
//!   at which they become visible again, the replay runs and what became of each letter in them. Its calls
//!   block for milliseconds; its memory is bounded by the page that is asked for.
//!   - [`Catalogue::select`] gives letters in pages, newest first; [`Catalogue::counts`] counts them.
//!   - [`Catalogue::copies`] gives the copies of a letter that are there, with their receipts.
//!   - [`Catalogue::begin_run`], [`Catalogue::mark`], [`Catalogue::run_letters`] keep a run's progress, so that an
//!     interrupted run goes on where it was.
//! - [`Desk`] does what needs the queues: [`Desk::read`] brings the catalogue up to date and either puts everything back
//!   or holds what a selection asks for; [`Desk::release`] makes held copies visible again; [`Desk::delete`]
//!   removes a letter's copies from their places.
//!
//! What is held is invisible to others until it is released, deleted, or [`Hold::For`] is over: a process that dies
//! leaves nothing hidden for longer than that.

mod catalogue;
mod decode;
mod desk;
mod editing;
mod keeping;
mod letter;
pub mod patch;
mod portable;
mod queues;
mod read;
mod runs;
mod selection;
mod sending;
mod waiting;

pub use catalogue::{Catalogue, CatalogueError, Count, Cursor, LetterCopy, Page, State};
pub(crate) use decode::failed_event;
pub use decode::{Received, Workers, decode};
pub use desk::Desk;
pub use editing::{edited, event_of};
pub use letter::{Attribute, Attributes, Kind, Letter, Place};
pub use portable::{Line, LineFormat};
pub use queues::DeadLetterQueue;
pub use read::{Hold, ReadReport};
pub use runs::{Progress, Run, RunLetter};
pub use selection::Selection;
pub use sending::Refused;
/// A letter's or a run's id.
pub use uuid::Uuid as Id;
pub use waiting::{Marked, Waiting};
