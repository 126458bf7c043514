//! Every source file: what it says about itself, what it may not hold, how long it is.

use std::path::Path;

use crate::tidy::{Checkout, Findings};

const LONG: usize = 300;
const TOO_LONG: usize = 500;

/// Kept in halves, so that this file does not find itself.
const UNFINISHED: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
const IGNORED_TEST: &str = concat!("#[", "ignore");
const ENVIRONMENT: [&str; 2] = [concat!("std::", "env::"), concat!("use std::", "env")];
const ALLOWS: [&str; 2] = [concat!("#[", "allow("), concat!("#![", "allow(")];
/// Hosts of package registries: which one is used is the machine's business, not the project's.
const REGISTRIES: [&str; 5] = [
    concat!("registry.", "npmjs"),
    concat!("pypi", ".org"),
    concat!("files.", "pythonhosted"),
    concat!("static.", "crates", ".io"),
    concat!("deb.", "debian.org"),
];
/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: [&str; 4] = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];
const TEXTS: [&str; 12] = ["rs", "toml", "md", "sql", "sh", "yml", "yaml", "ts", "tsx", "css", "html", "py"];

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    for file in checkout.with_extension("rs") {
        let text = checkout.text(file).unwrap_or_default();
        check_opening(file, &text, findings);
        check_length(file, &text, findings);
        check_allows(file, &text, findings);
        for (number, line) in numbered(&text) {
            if line.contains(IGNORED_TEST) {
                findings.broken(format!("{}:{number}", file.display()), "a test that is not run proves nothing");
            }
            if is_below_programs(file) && ENVIRONMENT.iter().any(|word| line.contains(word)) {
                findings.broken(
                    format!("{}:{number}", file.display()),
                    "the environment is read by programs alone; take it as an argument",
                );
            }
        }
    }
    for file in checkout.files.iter().filter(|file| is_text(file)) {
        let text = checkout.text(file).unwrap_or_default();
        for (number, line) in numbered(&text) {
            if let Some(what) = forbidden_word(line) {
                findings.broken(format!("{}:{number}", file.display()), what);
            }
        }
    }
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn check_opening(file: &Path, text: &str, findings: &mut Findings) {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // A crate's README may be its documentation.
    if !first.starts_with("//!") && !first.starts_with("#![doc = include_str!(") {
        findings.broken(file.display(), "does not open with //! and what lives here");
    }
}

fn check_length(file: &Path, text: &str, findings: &mut Findings) {
    let lines = text.lines().count();
    let is_test = file.components().any(|part| part.as_os_str() == "tests");
    if lines > TOO_LONG && !is_test {
        findings.broken(file.display(), format!("{lines} lines; {TOO_LONG} are the end, 120 to 300 the aim"));
    } else if lines > LONG && !is_test {
        findings.remark(file.display(), format!("{lines} lines; 120 to 300 are the aim"));
    }
}

fn check_allows(file: &Path, text: &str, findings: &mut Findings) {
    for start in ALLOWS {
        for attribute in text.split(start).skip(1) {
            let inside = attribute.split(")]").next().unwrap_or_default();
            if !inside.contains("reason") {
                findings.broken(file.display(), format!("{start}{inside})] gives no reason"));
            }
        }
    }
}

/// crates/* but testkit, which serves tests and is told about their database by the environment, and but examples, which are
/// programs.
fn is_below_programs(file: &Path) -> bool {
    let is_example = file.components().any(|part| part.as_os_str() == "examples");
    file.starts_with("crates") && !file.starts_with("crates/testkit") && !is_example
}

fn is_text(file: &Path) -> bool {
    let extension = file.extension().map(|extension| extension.to_string_lossy().into_owned()).unwrap_or_default();
    TEXTS.contains(&extension.as_str()) || file.ends_with(".ci/run")
}

fn forbidden_word(line: &str) -> Option<String> {
    if let Some(word) = UNFINISHED.iter().find(|word| contains_word(line, word)) {
        return Some(format!("holds {word}: finish it, or say in docs what is missing"));
    }
    if let Some(host) = REGISTRIES.iter().find(|host| line.contains(*host)) {
        return Some(format!("names a package registry's host ({host}…)"));
    }
    let path = MACHINE_PATHS.iter().find(|path| contains_word(line, path))?;
    Some(format!("names a path of one machine ({path}…)"))
}

/// As a word of its own: `example.com/home/` is an address, and so on.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        before.is_none_or(|character| !character.is_alphanumeric() && !"._-~}".contains(character))
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        Findings, MACHINE_PATHS, UNFINISHED, check_allows, check_length, check_opening, contains_word, is_below_programs,
    };

    #[test]
    fn unfinished_work_is_found_as_a_word_only() {
        let [word, ..] = UNFINISHED;
        assert!(contains_word(&format!("// {word}: later"), word));
        assert!(!contains_word(&format!("MAS{word}NS"), word));
    }

    #[test]
    fn a_path_of_one_machine_is_found_and_an_address_is_not() {
        let [home, ..] = MACHINE_PATHS;
        assert!(contains_word(&format!("cd {home}me/x"), home));
        assert!(!contains_word(&format!("see example.com{home}page"), home));
    }

    #[test]
    fn a_file_says_what_lives_in_it_and_ends_in_time() {
        let mut findings = Findings::default();
        check_opening(Path::new("a.rs"), "use x;\n//! late\n", &mut findings);
        check_length(Path::new("a.rs"), &"x\n".repeat(501), &mut findings);
        check_length(Path::new("crates/x/tests/a.rs"), &"x\n".repeat(501), &mut findings);
        check_length(Path::new("a.rs"), &"x\n".repeat(301), &mut findings);
        assert_eq!((findings.broken.len(), findings.remarks.len()), (2, 1));
    }

    #[test]
    fn an_exception_gives_its_reason() {
        let mut findings = Findings::default();
        let attribute = |inside: &str| format!("#[{}({inside})]", "allow");
        check_allows(Path::new("a.rs"), &attribute("dead_code, reason = \"x\""), &mut findings);
        assert!(findings.broken.is_empty());
        check_allows(Path::new("a.rs"), &attribute("dead_code"), &mut findings);
        assert_eq!(findings.broken.len(), 1);
    }

    #[test]
    fn testkit_may_look_at_the_environment() {
        assert!(is_below_programs(Path::new("crates/kernel/src/lib.rs")));
        assert!(!is_below_programs(Path::new("crates/testkit/src/lib.rs")));
        assert!(!is_below_programs(Path::new("xtask/src/main.rs")));
    }
}
