//! Golden files: text that was looked at once and must not change unnoticed.

use std::fs;

/// Compares with a file of the repository; with `UPDATE_GOLDEN=1` in the environment, writes it instead. `path` is
/// absolute: `concat!(env!("CARGO_MANIFEST_DIR"), "/tests/name.golden")`.
///
/// Look at the difference before you commit a file that was written so: it is the only time that anyone does.
#[track_caller]
pub fn golden(path: &str, actual: &str) {
    if wants_update() {
        fs::write(path, actual).unwrap_or_else(|error| panic!("{path} must be writable: {error}"));
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}; UPDATE_GOLDEN=1 makes it"));
    if expected != actual {
        panic!(
            "{path} says otherwise; if the change is meant, run again with UPDATE_GOLDEN=1\n{}",
            difference(&expected, actual)
        );
    }
}

/// The lines that only one side has, in order, as many as fit on a screen.
fn difference(expected: &str, actual: &str) -> String {
    let only = |mark: char, of: &str, other: &str| -> Vec<String> {
        let other: Vec<&str> = other.lines().collect();
        of.lines().filter(|line| !other.contains(line)).take(30).map(|line| format!("{mark} {line}")).collect()
    };
    let mut lines = only('-', expected, actual);
    lines.extend(only('+', actual, expected));
    if lines.is_empty() { "the same lines in another order or number".into() } else { lines.join("\n") }
}

#[expect(clippy::disallowed_methods, reason = "testkit is the tests' own program: whether to write is said by the environment")]
fn wants_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}
