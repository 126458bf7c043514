//! Every test that a document names as a proof exists: `crates/tenancy/tests/door.rs::a_panic_rolls_back`.

use crate::tidy::{Checkout, Findings};

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    for file in checkout.with_extension("md") {
        let document = checkout.text(file).unwrap_or_default();
        for (path, name) in named_tests(&document) {
            let source = std::fs::read_to_string(checkout.root.join(path)).unwrap_or_default();
            if !is_test(&source, name) {
                findings.broken(file.display(), format!("names {path}::{name}, which is no test"));
            }
        }
    }
}

/// What stands in backticks and looks like `<file>.rs::<test>`.
fn named_tests(document: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_name = |name: &str| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let pairs = document.split('`').filter_map(|word| word.split_once("::"));
    pairs.filter(move |(path, name)| path.ends_with(".rs") && is_name(name))
}

/// Whether the source has a function of this name that the test harness runs.
fn is_test(source: &str, name: &str) -> bool {
    let declared = format!("fn {name}(");
    let mut attributes = Vec::new();
    for line in source.lines().map(str::trim) {
        if line.starts_with('#') {
            attributes.push(line);
        } else if line.starts_with("fn ") || line.starts_with("async fn ") {
            if line.contains(&declared) {
                return attributes.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"));
            }
            attributes.clear();
        } else if !line.starts_with("//") {
            attributes.clear();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{is_test, named_tests};

    #[test]
    fn a_name_in_backticks_with_a_file_is_a_test() {
        let document = "see `a/b.rs::holds`, `c.rs`, `Db::begin`, `d.rs::Type::method` and `e.rs::x(1)`";
        assert_eq!(named_tests(document).collect::<Vec<_>>(), [("a/b.rs", "holds")]);
    }

    #[test]
    fn only_what_the_harness_runs_counts() {
        let source = "#[test]\n// why\nfn plain() {}\n#[tokio::test(flavor = \"multi_thread\")]\n#[cfg(unix)]\nasync fn later() {}\nfn helper() {}\n";
        assert!(is_test(source, "plain") && is_test(source, "later"));
        assert!(!is_test(source, "helper") && !is_test(source, "lat") && !is_test(source, "never"));
    }
}
