//! Contributions: totals that add up whatever is delivered how often.
//!
//! Each subject keeps one row that says what it adds to which totals. A transaction replaces that row, fenced
//! by the subject's version, and adds the difference to the totals. Totals are therefore always the sum of
//! the contributions, and can be built anew from what the contributions are made of.
//!
//! A total has several rows, one in each *slot* that was added to; it is their sum. A process adds to slots that
//! nobody else uses, as far as it can tell, so that writers of one busy total do not conflict.
//!
//! Totals belong to a *generation*. [`Ledger::rebuild`] builds the next one while contributions go on arriving, and
//! only a whole one is ever read: see [`control`](self::control).

mod commit;
mod control;
mod pack;
mod rebuild;
mod rows;
mod shares;
mod slots;
mod totals;
mod verify;

use std::{collections::BTreeMap, sync::Arc};

use millrace_events::Version;

use self::slots::Slots;
pub use self::{
    rebuild::{Computed, Rebuilt, Sources, Subjects},
    shares::{Measures, Shares, Total},
    verify::{Difference, EntryDiffers},
};
use crate::write::{Row, Table};

/// What one subject adds, as of one version of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The subject: the key of its contribution row.
    pub subject: String,
    /// Where the subject stands.
    pub version: Version,
    /// What it adds to which totals; empty when it adds nothing any more.
    pub shares: Shares,
    /// Rows that stand beside while the subject's contribution is this one.
    pub entries: Vec<Entry>,
}

/// A row that a contribution puts into the table of entries: there as long as the newest contribution of its subject has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its key, attributes of type text. No two subjects have entries of one key.
    pub key: BTreeMap<String, String>,
    /// Its other attributes.
    pub row: Row,
}

/// Names of a ledger's tables.
#[derive(Debug, Clone)]
pub struct LedgerTables {
    /// Contributions, by `subject`.
    pub contributions: String,
    /// Totals, by `scope` and `total`; measures are attributes of type number.
    pub totals: String,
    /// What the slots and the generations are, by `slot`.
    pub control: String,
    /// Entries, if contributions have any.
    pub entries: Option<String>,
}

/// Contributions and the totals that they add up to. Clones use the same slots: a process has one ledger for its tables.
#[derive(Debug, Clone)]
pub struct Ledger {
    table: Table,
    names: Arc<LedgerTables>,
    slots: Arc<Slots>,
}

impl Ledger {
    /// A ledger in these tables.
    pub fn new(table: Table, names: LedgerTables) -> Self {
        Self {
            table,
            names: Arc::new(names),
            slots: Arc::default(),
        }
    }

    /// The tables' names.
    pub fn names(&self) -> &LedgerTables {
        &self.names
    }
}
