//! The agreed table of roles, as tests that ask for every operation by every role read it.

use super::document::Operation;

/// Where the table is.
pub const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/roles.golden.txt");

/// Who the columns of the table are: the roles, the owner with a token that has been narrowed, and someone without a token.
pub const COLUMNS: [&str; 6] = ["owner", "admin", "member", "viewer", "narrowed", "nobody"];

/// What is agreed.
pub struct Agreed(String);

impl Agreed {
    pub fn read() -> Self {
        Self(std::fs::read_to_string(GOLDEN).unwrap_or_default())
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// What this caller meets: `yes`, `403` or `401`.
    pub fn verdict(&self, operation: &Operation, column: &str) -> &str {
        let line = self.0.lines().find(|line| line.split_once(": ").is_some_and(|(name, _)| name == operation.name()));
        let line = line.unwrap_or_else(|| panic!("{} is not in the table: UPDATE_GOLDEN=1 puts it there", operation.name()));
        let place = COLUMNS.iter().position(|known| *known == column).unwrap();
        line.split_once(": ").unwrap().1.split(' ').nth(place).unwrap_or_else(|| panic!("{line} has no {column}"))
    }

    pub fn may(&self, operation: &Operation, column: &str) -> bool {
        self.verdict(operation, column) == "yes"
    }
}
