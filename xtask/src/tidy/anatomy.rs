//! A domain crate has the same rooms in the same order as every other.

use std::path::Path;

use crate::tidy::dependencies::DOMAINS;
use crate::tidy::{Checkout, Findings};

/// The last one runs the program that the README shows: a crate that nobody has embedded is not known to be embeddable.
const ROOMS: [&str; 7] =
    ["README.md", "src/lib.rs", "src/model.rs", "src/service.rs", "src/store.rs", "src/fields.rs", "tests/embedding.rs"];

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    for domain in DOMAINS {
        let folder = Path::new("crates").join(domain);
        if !checkout.root.join(&folder).is_dir() {
            continue;
        }
        for room in ROOMS {
            let file = folder.join(room);
            if !checkout.root.join(&file).is_file() {
                findings.broken(file.display(), "is missing; docs/ARCHITECTURE.md says what lives there");
            }
        }
    }
}
