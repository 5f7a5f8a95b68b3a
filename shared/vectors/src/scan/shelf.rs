//! One user's entries in memory: a matrix of vectors, and what belongs to each row.

use std::{cmp::Ordering, collections::HashMap};

use millrace_events::{Failure, reason};

use super::action::Action;
use crate::{
    disk::{Log, News, Record, mismatch},
    embedding::Embedding,
    index::{Entry, Hit},
    kernel,
};

/// A log smaller than this is not worth compacting.
const MIN_COMPACTION_BYTES: u64 = 256 * 1024;

/// What a row of the matrix belongs to.
struct Row {
    /// With a score of zero, ready to be cloned into an answer.
    hit: Hit,
    /// The size of its record in the log.
    bytes: u64,
}

/// One user's entries.
pub(super) struct Shelf {
    user_id: String,
    log: Option<Log>,
    /// Zero until the first entry.
    dimensions: usize,
    /// Row after row.
    matrix: Vec<f32>,
    rows: Vec<Row>,
    by_chunk: HashMap<String, usize>,
    /// Bytes in the log of records that are still of use.
    live_bytes: u64,
}

impl Shelf {
    pub(super) fn new(user_id: &str, log: Option<Log>) -> Self {
        Self {
            user_id: user_id.to_owned(),
            log,
            dimensions: 0,
            matrix: Vec::new(),
            rows: Vec::new(),
            by_chunk: HashMap::new(),
            live_bytes: 0,
        }
    }

    pub(super) fn is_current(&self) -> bool {
        self.log.as_ref().is_none_or(Log::is_current)
    }

    /// Takes in what the log has gained.
    pub(super) fn catch_up(&mut self) -> Result<(), Failure> {
        let Some(mut log) = self.log.take() else {
            return Ok(());
        };
        let read = log.read_news(|news| match news {
            News::Restart => {
                self.clear();
                Ok(())
            }
            News::Record(action, bytes) => {
                self.check(&action)?;
                self.apply(action, bytes);
                Ok(())
            }
        });
        if read.is_err() {
            self.clear();
        }
        self.log = Some(log);
        read
    }

    /// Without its log, which whoever clears it has in hand.
    fn clear(&mut self) {
        let user_id = std::mem::take(&mut self.user_id);
        *self = Self::new(&user_id, None);
    }

    /// Writes the actions down, then applies them; answers how many entries were removed.
    pub(super) fn commit(&mut self, actions: Vec<Action>) -> Result<u64, Failure> {
        let mut writes = Vec::new();
        let mut sizes = Vec::new();
        let mut dimensions = self.dimensions;
        for action in actions {
            self.check(&action)?;
            if let Action::Put(entry) = &action {
                let found = entry.embedding.dimensions();
                if dimensions != 0 && dimensions != found {
                    return Err(mismatch(dimensions, found));
                }
                dimensions = found;
            } else if !self.rows.iter().any(|row| is_removed_by(&action, &row.hit)) {
                // Nothing to remove, nothing to write down.
                continue;
            }
            let record = action.to_record()?;
            sizes.push((action, record.len() as u64));
            writes.extend(record);
        }
        if sizes.is_empty() {
            return Ok(0);
        }
        if let Some(log) = &mut self.log {
            log.append(&writes)?;
        }
        let removed = sizes
            .into_iter()
            .map(|(action, bytes)| self.apply(action, bytes))
            .sum();
        self.compact_if_worthwhile();
        Ok(removed)
    }

    /// What is on this user's shelf is this user's.
    fn check(&self, action: &Action) -> Result<(), Failure> {
        match action {
            Action::Put(entry) if entry.user_id != self.user_id => {
                let message = "an entry of another user is in this user's log: move the log away and index again";
                Err(Failure::permanent(reason::INDEX_REJECTED, message))
            }
            Action::Put(entry)
                if self.dimensions != 0 && entry.embedding.dimensions() != self.dimensions =>
            {
                Err(mismatch(self.dimensions, entry.embedding.dimensions()))
            }
            _ => Ok(()),
        }
    }

    fn apply(&mut self, action: Action, bytes: u64) -> u64 {
        match action {
            Action::Put(entry) => {
                self.put(*entry, bytes);
                0
            }
            remove => self.remove(&remove),
        }
    }

    fn put(&mut self, entry: Entry, bytes: u64) {
        let (hit, embedding) = parted(entry);
        self.dimensions = embedding.dimensions();
        self.live_bytes += bytes;
        match self.by_chunk.get(&hit.chunk_id) {
            Some(&place) => {
                let start = place * self.dimensions;
                self.matrix[start..start + self.dimensions].copy_from_slice(embedding.values());
                self.live_bytes -= self.rows[place].bytes;
                self.rows[place] = Row { hit, bytes };
            }
            None => {
                self.by_chunk.insert(hit.chunk_id.clone(), self.rows.len());
                self.matrix.extend(embedding.values());
                self.rows.push(Row { hit, bytes });
            }
        }
    }

    fn remove(&mut self, action: &Action) -> u64 {
        let before = self.rows.len();
        let mut place = 0;
        while place < self.rows.len() {
            if is_removed_by(action, &self.rows[place].hit) {
                self.remove_row(place);
            } else {
                place += 1;
            }
        }
        (before - self.rows.len()) as u64
    }

    /// The last row takes the place of the removed one, so that the matrix stays without gaps.
    fn remove_row(&mut self, place: usize) {
        let last = self.rows.len() - 1;
        let removed = self.rows.swap_remove(place);
        self.live_bytes -= removed.bytes;
        self.by_chunk.remove(&removed.hit.chunk_id);
        let dimensions = self.dimensions;
        self.matrix.copy_within(
            last * dimensions..(last + 1) * dimensions,
            place * dimensions,
        );
        self.matrix.truncate(last * dimensions);
        if let Some(moved) = self.rows.get(place) {
            self.by_chunk.insert(moved.hit.chunk_id.clone(), place);
        }
    }

    /// When more than half of the log is of no use any more, it is written anew without that. A
    /// failure to do so is no failure of the write before it: it is tried again after the next.
    fn compact_if_worthwhile(&mut self) {
        let Some(log) = &self.log else { return };
        if log.end() < MIN_COMPACTION_BYTES || self.live_bytes * 2 > log.end() {
            return;
        }
        if let Err(failure) = self.compact() {
            tracing::warn!(error = %failure.chain(), "could not compact a user's vectors");
        }
    }

    fn compact(&mut self) -> Result<(), Failure> {
        let Some(log) = &self.log else { return Ok(()) };
        let mut rewrite = log.rewrite()?;
        for place in 0..self.rows.len() {
            rewrite.add(&Action::Put(Box::new(self.entry(place))).to_record()?)?;
        }
        match &mut self.log {
            Some(log) => log.replace(rewrite),
            None => Ok(()),
        }
    }

    fn entry(&self, place: usize) -> Entry {
        let hit = self.rows[place].hit.clone();
        let values = self.matrix[place * self.dimensions..(place + 1) * self.dimensions].to_vec();
        Entry {
            chunk_id: hit.chunk_id,
            user_id: hit.user_id,
            document_id: hit.document_id,
            generation: hit.generation,
            chunk_index: hit.chunk_index,
            content: hit.content,
            embedding: Embedding::from_unit(values),
            file_name: hit.file_name,
            file_type: hit.file_type,
            page_number: hit.page_number,
            page_end: hit.page_end,
            section: hit.section,
            word_count: hit.word_count,
            tags: hit.tags,
            created_at: hit.created_at,
        }
    }

    pub(super) fn search(&self, query: &Embedding, k: usize) -> Result<Vec<Hit>, Failure> {
        if self.rows.is_empty() || k == 0 {
            return Ok(Vec::new());
        }
        if query.dimensions() != self.dimensions {
            return Err(mismatch(self.dimensions, query.dimensions()));
        }
        let scores = kernel::dots(&self.matrix, query.values());
        let best_first = |left: &usize, right: &usize| -> Ordering {
            let by_score = scores[*right].total_cmp(&scores[*left]);
            by_score.then_with(|| {
                self.rows[*left]
                    .hit
                    .chunk_id
                    .cmp(&self.rows[*right].hit.chunk_id)
            })
        };
        let mut places: Vec<usize> = (0..self.rows.len()).collect();
        if k < places.len() {
            places.select_nth_unstable_by(k, best_first);
            places.truncate(k);
        }
        places.sort_unstable_by(best_first);
        let hits = places.into_iter().map(|place| Hit {
            score: scores[place],
            ..self.rows[place].hit.clone()
        });
        Ok(hits.collect())
    }

    pub(super) fn document_chunks(&self, document_id: &str) -> Vec<(String, String)> {
        let of_document = self
            .rows
            .iter()
            .map(|row| &row.hit)
            .filter(|hit| hit.document_id == document_id);
        let mut chunks: Vec<_> = of_document
            .map(|hit| (hit.chunk_id.clone(), hit.generation.clone()))
            .collect();
        chunks.sort();
        chunks
    }
}

fn is_removed_by(action: &Action, hit: &Hit) -> bool {
    match action {
        Action::Put(_) => false,
        Action::RemoveBefore {
            document_id,
            generation,
        } => hit.document_id == *document_id && hit.generation < *generation,
        Action::RemoveThrough {
            document_id,
            generation,
        } => hit.document_id == *document_id && hit.generation <= *generation,
        Action::RemoveAll { document_id } => hit.document_id == *document_id,
    }
}

fn parted(entry: Entry) -> (Hit, Embedding) {
    let hit = Hit {
        score: 0.0,
        chunk_id: entry.chunk_id,
        user_id: entry.user_id,
        document_id: entry.document_id,
        generation: entry.generation,
        chunk_index: entry.chunk_index,
        content: entry.content,
        file_name: entry.file_name,
        file_type: entry.file_type,
        page_number: entry.page_number,
        page_end: entry.page_end,
        section: entry.section,
        word_count: entry.word_count,
        tags: entry.tags,
        created_at: entry.created_at,
    };
    (hit, entry.embedding)
}
