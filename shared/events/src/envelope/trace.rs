//! X-Ray trace headers.

/// The trace's own id in a header like `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=…;Sampled=1`.
pub fn trace_root(header: &str) -> Option<&str> {
    let root = header
        .split(';')
        .find_map(|part| part.trim().strip_prefix("Root="))?;
    let root = root.trim();
    (!root.is_empty()).then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_wherever_it_stands() {
        assert_eq!(trace_root("Root=1-a-b;Parent=c;Sampled=1"), Some("1-a-b"));
        assert_eq!(trace_root("Self=1-x; Root=1-a-b"), Some("1-a-b"));
        assert_eq!(trace_root("Parent=c"), None);
        assert_eq!(trace_root("Root="), None);
    }
}
