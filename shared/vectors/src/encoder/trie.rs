//! The pieces that a text begins with.

use std::ops::Range;

/// Here no piece ends.
const NONE: u32 = u32::MAX;

/// So few labels are looked through one by one.
const FEW: usize = 8;

/// Byte strings by their beginnings. Nodes stand breadth first, so that the children of a node are neighbours, and begin where
/// those of the node before it end.
pub(super) struct Trie {
    /// Where the children of each node begin, and at last where those of the last node end.
    children: Vec<u32>,
    /// The byte that leads to each node.
    labels: Vec<u8>,
    /// The piece that ends at each node.
    pieces: Vec<u32>,
}

impl Trie {
    /// Of these pieces. Of two equal ones the later counts.
    pub(super) fn new(mut sorted: Vec<(&[u8], u32)>) -> Self {
        sorted.sort_unstable();
        let mut trie = Self {
            children: Vec::new(),
            labels: vec![0],
            pieces: Vec::new(),
        };
        // Of each node: which of the pieces lie below it, and how long their common beginning is.
        let mut nodes: Vec<(Range<usize>, usize)> = vec![(0..sorted.len(), 0)];
        let mut next = 0;
        while let Some((below, depth)) = nodes.get(next).cloned() {
            next += 1;
            trie.children.push(nodes.len() as u32);
            let rest = &sorted[below.clone()];
            let ending = rest.partition_point(|(piece, _)| piece.len() == depth);
            let last = rest[..ending].last();
            trie.pieces.push(last.map_or(NONE, |(_, number)| *number));
            let mut start = below.start + ending;
            for same in rest[ending..].chunk_by(|(left, _), (right, _)| left[depth] == right[depth])
            {
                trie.labels.push(same[0].0[depth]);
                nodes.push((start..start + same.len(), depth + 1));
                start += same.len();
            }
        }
        trie.children.push(nodes.len() as u32);
        trie
    }

    /// Every piece that the text begins with, by its length.
    pub(super) fn prefixes(&self, text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
        let mut node = 0;
        let steps = text.iter().map_while(move |byte| {
            node = self.child(node, *byte)?;
            Some(self.pieces[node])
        });
        let ends = steps.enumerate().filter(|(_, piece)| *piece != NONE);
        ends.map(|(position, piece)| (position + 1, piece))
    }

    fn child(&self, node: usize, byte: u8) -> Option<usize> {
        let (first, end) = (
            self.children[node] as usize,
            self.children[node + 1] as usize,
        );
        let labels = &self.labels[first..end];
        let place = if labels.len() <= FEW {
            labels.iter().position(|label| *label == byte)
        } else {
            labels.binary_search(&byte).ok()
        };
        place.map(|place| first + place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_map_finds(pieces in prop::collection::vec("[a-m]{1,5}", 0..60), text in "[a-m]{0,12}") {
            let numbered = pieces.iter().enumerate().map(|(number, piece)| (piece.as_bytes(), number as u32));
            let by_piece: BTreeMap<&[u8], u32> = numbered.clone().collect();
            let trie = Trie::new(numbered.collect());
            let expected: Vec<(usize, u32)> = (1..=text.len())
                .filter_map(|length| Some((length, *by_piece.get(&text.as_bytes()[..length])?)))
                .collect();
            let found: Vec<_> = trie.prefixes(text.as_bytes()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
