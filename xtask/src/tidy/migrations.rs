//! Every migration goes up and down, and their order is plain from their names.

use std::collections::BTreeMap;
use std::path::Path;

use crate::tidy::{Checkout, Findings};

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    for folder in folders(checkout) {
        for script in ["up.sql", "down.sql"] {
            let file = Path::new("migrations").join(&folder).join(script);
            if checkout.text(&file).is_none_or(|text| text.trim().is_empty()) {
                findings.broken(file.display(), "is missing or empty");
            }
        }
        let version: String = folder.split('_').next().unwrap_or_default().replace('-', "");
        if version.is_empty() || !version.chars().all(|character| character.is_ascii_digit()) {
            findings.broken(format!("migrations/{folder}"), "does not begin with a version of digits");
        }
        if let Some(other) = versions.insert(version, folder.clone()) {
            findings.broken(format!("migrations/{folder}"), format!("has the same version as {other}"));
        }
    }
}

fn folders(checkout: &Checkout<'_>) -> Vec<String> {
    let within = checkout.files.iter().filter_map(|file| file.strip_prefix("migrations").ok());
    let mut names: Vec<String> = within
        .filter(|file| file.components().count() > 1)
        .filter_map(|file| file.components().next())
        .map(|folder| folder.as_os_str().to_string_lossy().into_owned())
        .collect();
    names.dedup();
    names
}
