//! The vector indexes of the embedded platform, in its data folder or in memory.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use millrace_local::FunctionConfig;
use millrace_vectors::{PointIndex, ScanIndex, ScanPoints, VectorIndex, settings::points_folder};

use super::functions::settings;

/// The folder of the vector indexes in the data folder.
const INDEX_FOLDER: &str = "vectors";

/// The vector indexes of a place.
pub(super) struct Indexes {
    pub(super) chunks: Arc<dyn VectorIndex>,
    pub(super) profiles: Arc<dyn PointIndex>,
}

impl Indexes {
    pub(super) fn in_memory() -> Self {
        Self {
            chunks: Arc::new(ScanIndex::in_memory()),
            profiles: Arc::new(ScanPoints::in_memory()),
        }
    }

    pub(super) fn open(data: &Path, functions: &[FunctionConfig]) -> Result<Self, String> {
        let (folder, profiles) = index_folders(data, functions)?;
        Ok(Self {
            chunks: Arc::new(ScanIndex::open(&folder).map_err(|failure| failure.chain())?),
            profiles: Arc::new(ScanPoints::open(&profiles).map_err(|failure| failure.chain())?),
        })
    }

    pub(super) fn open_read_only(
        data: &Path,
        functions: &[FunctionConfig],
    ) -> Result<Self, String> {
        let (folder, profiles) = index_folders(data, functions)?;
        let chunks = ScanIndex::open_read_only(&folder).map_err(|failure| failure.chain())?;
        let profiles = ScanPoints::open_read_only(&profiles).map_err(|failure| failure.chain())?;
        Ok(Self {
            chunks: Arc::new(chunks),
            profiles: Arc::new(profiles),
        })
    }
}

/// Where chunks and profiles are indexed.
fn index_folders(data: &Path, functions: &[FunctionConfig]) -> Result<(PathBuf, PathBuf), String> {
    let folder = data.join(INDEX_FOLDER);
    let said = functions.first().map(settings);
    let name = said
        .as_ref()
        .and_then(|settings| settings.optional("MILLRACE_PROFILE_INDEX_NAME"))
        .unwrap_or("employee-profiles");
    let profiles = points_folder(&folder, name).map_err(|error| error.to_string())?;
    Ok((folder, profiles))
}
