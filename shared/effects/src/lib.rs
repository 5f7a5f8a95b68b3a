//! Guards and commits.
//!
//! Every effect is a row or an object, written under a guard, so that writing it twice, late or beside
//! somebody else ends as if it had been written once:
//!
//! - [`fence`]: the row keeps the version of its subject that was last applied; the write asks for a newer one.
//! - [`ledger`]: each subject keeps one row of what it adds to totals; a transaction replaces it
//!   and adds the difference.
//! - [`Write::create_once`]: a row whose key is a function of its cause.
//! - [`artefact`]: an object is written under a condition on what it replaces.

pub mod artefact;
pub mod expression;
pub mod fence;
mod invariant;
pub mod ledger;
pub mod write;

pub use artefact::{ArtefactWrite, GENERATION, write_artefact};
pub use expression::{When, key};
pub use fence::Fence;
pub use invariant::{Invariant, broken};
pub use ledger::{
    Computed, Contribution, Difference, Entry, EntryDiffers, Ledger, LedgerTables, Measures,
    Rebuilt, Shares, Sources, Subjects, Total,
};
pub use write::{Committed, Row, Table, Update, Updated, Write};
