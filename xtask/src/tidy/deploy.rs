//! Every setting in `deploy` is one that the gateway reads and docs/CONFIGURATION.md explains: a misspelt one would be ignored without
//! a word.

use std::path::Path;

use crate::tidy::{Checkout, Findings};

const EXPLAINED_IN: &str = "docs/CONFIGURATION.md";

/// Read by the administrator's program, which stands in the same images.
const OF_XTASK: [&str; 2] = ["CRM_STATE_DIR", "CRM_CACHE_DIR"];

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    let explained = checkout.text(Path::new(EXPLAINED_IN)).unwrap_or_default();
    let explained = settings(&explained);
    for file in checkout.files.iter().filter(|file| file.starts_with("deploy")) {
        let text = checkout.text(file).unwrap_or_default();
        for setting in settings(&text) {
            if !explained.contains(&setting) && !OF_XTASK.contains(&setting) {
                findings.broken(file.display(), format!("{setting} is no setting of {EXPLAINED_IN}"));
            }
        }
    }
}

/// All names that look like one, each once.
fn settings(text: &str) -> Vec<&str> {
    let words = text.split(|character: char| !character.is_ascii_uppercase() && character != '_');
    let mut names: Vec<&str> = words.filter(|word| word.strip_prefix("CRM_").is_some_and(|rest| !rest.is_empty())).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[test]
    fn settings_are_found_wherever_they_stand() {
        let text = "CRM_BIND: 0.0.0.0:8080\n{ \"name\": \"CRM_MAIL\" }\nEnvironment=CRM_BIND=x \"${CRM_BIND##*:}\" CRM_* xCRM_";
        assert_eq!(settings(text), ["CRM_BIND", "CRM_MAIL"]);
    }
}
