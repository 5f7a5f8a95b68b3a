//! Attributes that are a function of others in the same row, kept right.
//!
//! Guard: the write asks that the attributes it was computed from are still those of the record. Whoever changed them in between
//! made a change of their own, whose record does the same.

use millrace_effects::{Row, Update, Updated, When};
use millrace_events::{Failure, Item, Outcome, RowChange, mutation};

use crate::{attributes::text, context::Marketing};

/// What a row's derived attributes are to be.
pub(crate) struct Derivation<'a> {
    /// The table.
    pub table: &'a str,
    /// What they are computed from, by name.
    pub inputs: &'static [&'static str],
    /// The derived attributes; `None`: it is not to be there.
    pub derived: Vec<(&'static str, Option<String>)>,
}

impl Derivation<'_> {
    fn holds_in(&self, row: &Row) -> bool {
        self.derived.iter().all(|(name, wanted)| {
            let there = row.get(*name);
            match wanted {
                None => there.is_none(),
                Some(wanted) => there.is_some_and(|there| there.as_s() == Ok(wanted)),
            }
        })
    }

    /// Brings the derived attributes of the row to what they are to be.
    pub(crate) async fn settle(
        &self,
        marketing: &Marketing,
        keys: &Item,
        image: &Item,
    ) -> Result<Outcome, Failure> {
        let image = Row::from(image.clone());
        if self.holds_in(&image) {
            return Ok(Outcome::Ignored("what is derived is there"));
        }
        let still = self.inputs.iter().map(|name| match image.get(*name) {
            Some(value) => When::Equal(name, value.clone()),
            None => When::Absent(name),
        });
        let mut guard = vec![When::Present("PK")];
        if !mutation::on(mutation::DERIVED_FROM_OLD) {
            guard.extend(still);
        }
        let differs = self.derived.iter().flat_map(|(name, wanted)| match wanted {
            None => vec![When::Present(name)],
            Some(wanted) => vec![When::Absent(name), When::NotEqual(name, text(wanted))],
        });
        guard.push(When::Any(differs.collect()));
        let update = Update::of(self.table, Row::from(keys.clone())).when(When::All(guard));
        let update = self
            .derived
            .iter()
            .fold(update, |update, (name, wanted)| match wanted {
                Some(wanted) => update.set(*name, text(wanted)),
                None => update.remove(*name),
            });
        let written = marketing.table.update("write what is derived", update);
        Ok(match written.await? {
            Updated::Done(_) => Outcome::Applied,
            Updated::Refused(Some(row))
                if self.holds_in(&row) && self.same_inputs(&row, &image) =>
            {
                Outcome::Already
            }
            Updated::Refused(_) => Outcome::Superseded,
        })
    }

    /// Whether what is derived from was the same before: what is wrong with it was said of the change that made it so.
    pub(crate) fn is_as_before(&self, change: &RowChange) -> bool {
        let (Some(old), Some(new)) = (&change.old, &change.new) else {
            return false;
        };
        let (old, new) = (old.inner(), new.inner());
        self.inputs
            .iter()
            .all(|name| old.get(*name) == new.get(*name))
    }

    fn same_inputs(&self, row: &Row, image: &Row) -> bool {
        self.inputs
            .iter()
            .all(|name| row.get(*name) == image.get(*name))
    }
}
