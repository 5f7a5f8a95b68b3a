//! What an index says of itself: which model's vectors it keeps.

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use millrace_events::{Failure, reason};
use serde::{Deserialize, Serialize};

use super::unavailable;
use crate::embedding::ModelId;

/// The model and the dimensions of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    model: String,
    dimensions: usize,
}

impl About {
    pub(crate) fn new(model: &ModelId, dimensions: usize) -> Self {
        Self {
            model: model.as_str().to_owned(),
            dimensions,
        }
    }

    /// What the folder says; `None` when no index was made in it yet.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, Failure> {
        let path = path_in(folder);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unavailable("read", &path, error)),
        };
        serde_json::from_str(&text).map(Some).map_err(|error| {
            let message = format!(
                "{} does not say which model the index is for",
                path.display()
            );
            Failure::permanent(reason::INDEX_REJECTED, message).caused_by(error)
        })
    }

    /// Whole or not at all: written beside its place, then renamed.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Failure> {
        let path = path_in(folder);
        let beside = path.with_extension("json.new");
        let text = serde_json::json!(self).to_string();
        let write = || -> io::Result<()> {
            let mut file = fs::File::create(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(|error| unavailable("write", &path, error))
    }

    pub(crate) fn fits(&self, asked: &Self) -> Result<(), Failure> {
        if self == asked {
            return Ok(());
        }
        let message = format!(
            "the index keeps vectors of {} with {} dimensions, the embedder is {} with {}: use that embedder, or index again into another folder",
            self.model, self.dimensions, asked.model, asked.dimensions
        );
        Err(Failure::permanent(reason::MODEL_MISMATCH, message))
    }

    pub(crate) fn fits_dimensions(&self, dimensions: usize) -> Result<(), Failure> {
        self.fits(&Self {
            model: self.model.clone(),
            dimensions,
        })
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("about.json")
}
