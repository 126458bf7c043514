//! Every relative link in a document leads somewhere.

use std::path::Path;

use crate::tidy::{Checkout, Findings};

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    for file in checkout.with_extension("md") {
        let text = checkout.text(file).unwrap_or_default();
        let folder = checkout.root.join(file).parent().map(Path::to_owned).unwrap_or_default();
        for link in relative_links(&text) {
            if !folder.join(link).exists() {
                findings.broken(file.display(), format!("the link to {link} leads nowhere"));
            }
        }
    }
}

/// Targets of `[text](target)` outside code blocks, without their `#fragment`. A path of Rust's, such as `crm_kernel::Context`,
/// is left to rustdoc.
fn relative_links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code || line.starts_with("    ") {
            continue;
        }
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '#']).next());
        links.extend(targets.filter(|target| {
            !target.is_empty() && !target.contains("::") && !target.contains("://") && !target.starts_with("mailto:")
        }));
    }
    links
}

#[cfg(test)]
mod tests {
    use super::relative_links;

    #[test]
    fn only_relative_links_in_prose_count() {
        let text = "see [a](docs/a.md#part) and [b](https://x.example/) and [c](#here) and [f](a::B)\n```\n[d](nowhere.md)\n```\n[e](../e.md \"title\")\n";
        assert_eq!(relative_links(text), ["docs/a.md", "../e.md"]);
    }
}
