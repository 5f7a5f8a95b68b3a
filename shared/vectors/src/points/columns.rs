//! Fields of a segment's points, column by column: a filter looks at one column after the other, and at no point that
//! an earlier one has left out.

use std::collections::HashMap;

use super::{Field, Fields, Filter};
use crate::hash::hash64;

/// A field of one point.
#[derive(Debug, Clone, Default, PartialEq)]
enum Cell {
    #[default]
    Absent,
    Flag(bool),
    Number(f64),
    Word(Word),
}

/// Unequal words are told apart by their hash, without going to the text.
#[derive(Debug, Clone, PartialEq)]
struct Word {
    hash: u64,
    text: Box<str>,
}

impl From<&Field> for Cell {
    fn from(field: &Field) -> Self {
        match field {
            Field::Flag(flag) => Self::Flag(*flag),
            Field::Number(number) => Self::Number(*number),
            Field::Word(word) => Self::Word(Word {
                hash: hash64(word.as_bytes(), 0),
                text: word.as_str().into(),
            }),
        }
    }
}

impl Cell {
    fn field(&self) -> Option<Field> {
        match self {
            Self::Absent => None,
            Self::Flag(flag) => Some(Field::Flag(*flag)),
            Self::Number(number) => Some(Field::Number(*number)),
            Self::Word(word) => Some(Field::Word(word.text.to_string())),
        }
    }

    fn is_number(&self, test: impl Fn(f64) -> bool) -> bool {
        matches!(self, Self::Number(number) if test(*number))
    }
}

/// The fields of some rows.
#[derive(Debug, Default)]
pub(super) struct Columns {
    /// By name. A column ends with the last row that has the field.
    columns: HashMap<String, Vec<Cell>>,
}

impl Columns {
    /// Replaces a row's fields.
    pub(super) fn set(&mut self, row: usize, fields: &Fields) {
        for column in self.columns.values_mut() {
            if let Some(cell) = column.get_mut(row) {
                *cell = Cell::Absent;
            }
        }
        for (name, field) in fields {
            if !self.columns.contains_key(name) {
                self.columns.insert(name.clone(), Vec::new());
            }
            if let Some(column) = self.columns.get_mut(name) {
                if column.len() <= row {
                    column.resize(row + 1, Cell::Absent);
                }
                column[row] = field.into();
            }
        }
    }

    /// A row's fields.
    pub(super) fn get(&self, row: usize) -> Fields {
        let cells = self
            .columns
            .iter()
            .map(|(name, column)| Some((name.clone(), column.get(row)?.field()?)));
        cells.flatten().collect()
    }

    /// Leaves only rows whose fields pass: as [`Filter::passes`] says.
    pub(super) fn retain(&self, filter: &Filter, rows: &mut Vec<u32>) {
        match filter {
            Filter::Is(name, value) => {
                let value = Cell::from(value);
                self.retain_by(name, rows, |cell| *cell == value);
            }
            Filter::IsNot(name, value) => {
                let value = Cell::from(value);
                self.retain_by(name, rows, |cell| *cell != value);
            }
            Filter::AtLeast(name, bound) => {
                self.retain_by(name, rows, |cell| cell.is_number(|number| number >= *bound));
            }
            Filter::AtMost(name, bound) => {
                self.retain_by(name, rows, |cell| cell.is_number(|number| number <= *bound));
            }
            Filter::All(filters) => filters.iter().for_each(|filter| self.retain(filter, rows)),
        }
    }

    fn retain_by(&self, name: &str, rows: &mut Vec<u32>, test: impl Fn(&Cell) -> bool) {
        let column = self.columns.get(name).map_or(&[][..], Vec::as_slice);
        rows.retain(|row| test(column.get(*row as usize).unwrap_or(&Cell::Absent)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 3] = ["a", "b", "c"];

    fn field() -> impl Strategy<Value = Field> {
        prop_oneof![
            any::<bool>().prop_map(Field::Flag),
            prop_oneof![Just(-0.0), Just(0.0), Just(0.3), Just(1e300), Just(-2.0)]
                .prop_map(Field::Number),
            "[xy]{0,2}".prop_map(Field::Word),
        ]
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let name = prop::sample::select(&NAMES[..]);
        let bound = prop_oneof![Just(0.0), Just(-0.0), Just(0.3), Just(f64::NAN), -3.0..3.0];
        let leaf = prop_oneof![
            (name.clone(), field()).prop_map(|(name, field)| Filter::Is(name, field)),
            (name.clone(), field()).prop_map(|(name, field)| Filter::IsNot(name, field)),
            (name.clone(), bound.clone()).prop_map(|(name, bound)| Filter::AtLeast(name, bound)),
            (name, bound).prop_map(|(name, bound)| Filter::AtMost(name, bound)),
        ];
        leaf.prop_recursive(2, 8, 3, |inner| {
            prop::collection::vec(inner, 0..3).prop_map(Filter::All)
        })
    }

    proptest! {
        #[test]
        fn a_filter_lets_through_what_its_definition_does(
            writes in prop::collection::vec((0_usize..12, prop::collection::btree_map(prop::sample::select(&NAMES[..]).prop_map(str::to_owned), field(), 0..4)), 0..40),
            filter in filter(),
        ) {
            let mut columns = Columns::default();
            let mut model = vec![Fields::new(); 12];
            for (row, fields) in writes {
                columns.set(row, &fields);
                model[row] = fields;
            }
            let mut rows: Vec<u32> = (0..12).collect();
            columns.retain(&filter, &mut rows);
            let expected: Vec<u32> = (0..12).filter(|row| filter.passes(&model[*row as usize])).collect();
            prop_assert_eq!(rows, expected);
            for (row, fields) in model.iter().enumerate() {
                prop_assert_eq!(&columns.get(row), fields);
            }
        }
    }
}
