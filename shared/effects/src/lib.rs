//! Guards and commits: fence, contribution, create once.
