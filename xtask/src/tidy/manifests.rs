//! Versions and features are chosen in the root manifest alone: another feature set in one crate rebuilds the tree.

use crate::tidy::{Checkout, Findings};

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    for file in checkout.files.iter().filter(|file| file.ends_with("Cargo.toml") && file.components().count() > 1) {
        let text = checkout.text(file).unwrap_or_default();
        // A workspace of its own, such as that of the fuzzers, can take nothing from ours.
        if text.lines().any(|line| line.trim() == "[workspace]") {
            continue;
        }
        for (number, line) in dependency_lines(&text) {
            if let Some(what) = objection(line) {
                findings.broken(format!("{}:{number}", file.display()), what);
            }
        }
        if !text.contains("[lints]\nworkspace = true") {
            findings.broken(file.display(), "does not take the workspace's lints");
        }
    }
}

/// The lines of all dependency tables, with their numbers.
fn dependency_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut within = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let line = line.trim();
        if line.starts_with('[') {
            within = line.trim_end_matches(']').ends_with("dependencies");
            return None;
        }
        let is_entry = within && !line.is_empty() && !line.starts_with('#');
        is_entry.then_some((index + 1, line))
    })
}

/// Crates of the house have features of their own, which the gateway turns on; nobody else's are chosen per crate.
fn objection(line: &str) -> Option<&'static str> {
    if !line.replace(' ', "").contains("workspace=true") {
        return Some("the version belongs into [workspace.dependencies]");
    }
    let is_ours = line.starts_with("crm-");
    (line.contains("features") && !is_ours).then_some("the features belong into [workspace.dependencies]")
}

#[cfg(test)]
mod tests {
    use super::{dependency_lines, objection};

    #[test]
    fn only_entries_of_dependency_tables_are_looked_at() {
        let text = "[package]\nname = \"x\"\n[dependencies]\n# why\nserde.workspace = true\n[lints]\nworkspace = true\n";
        let found: Vec<_> = dependency_lines(text).collect();
        assert_eq!(found, [(5, "serde.workspace = true")]);
    }

    #[test]
    fn versions_and_features_of_a_crate_alone_are_refused() {
        assert!(objection("serde = \"1\"").is_some());
        assert!(objection("serde = { workspace = true, features = [\"rc\"] }").is_some());
        assert!(objection("crm-kernel = { workspace = true, features = [\"openapi\"] }").is_none());
        assert!(objection("paperclip = { workspace = true, optional = true }").is_none());
    }
}
