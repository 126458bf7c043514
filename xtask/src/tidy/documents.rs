//! Every relative link in a document leads to a file and, where it names one, to a heading; and every document in `docs` is found by
//! whoever begins at the README.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use crate::tidy::{Checkout, Findings};

const BEGINNING: &str = "README.md";

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    let documents: BTreeMap<&Path, String> =
        checkout.with_extension("md").map(|file| (file.as_path(), checkout.text(file).unwrap_or_default())).collect();
    for (file, text) in &documents {
        for link in relative_links(text) {
            let target = target(file, link.path);
            if !checkout.root.join(&target).exists() {
                findings.broken(file.display(), format!("the link to {} leads nowhere", link.path));
            } else if let (Some(heading), Some(there)) = (link.heading, documents.get(target.as_path()))
                && !anchors(there).contains(heading)
            {
                findings.broken(file.display(), format!("{} has no heading #{heading}", target.display()));
            }
        }
    }
    let found = reachable(&documents);
    for file in documents.keys().filter(|file| file.starts_with("docs") && !found.contains(**file)) {
        findings.broken(file.display(), format!("no link leads here from {BEGINNING}"));
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Link<'a> {
    /// Empty for a heading of the same document.
    path: &'a str,
    heading: Option<&'a str>,
}

/// Targets of `[text](target)` outside code blocks. A path of Rust's, such as `crm_kernel::Context`, is left to rustdoc.
fn relative_links(text: &str) -> Vec<Link<'_>> {
    let targets = prose(text).flat_map(|line| line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next()));
    let is_ours = |target: &&str| !target.is_empty() && !["::", "://", "mailto:"].iter().any(|foreign| target.contains(foreign));
    let links = targets.filter(is_ours).map(|target| match target.split_once('#') {
        Some((path, heading)) => Link { path, heading: Some(heading) },
        None => Link { path: target, heading: None },
    });
    links.collect()
}

/// The lines that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence && !line.starts_with("    ")
    })
}

/// Where a link of this document leads, from the root of the checkout.
fn target(document: &Path, link: &str) -> PathBuf {
    if link.is_empty() {
        return document.to_owned();
    }
    let mut whole = PathBuf::new();
    for part in document.parent().unwrap_or(Path::new("")).join(link).components() {
        match part {
            Component::ParentDir => _ = whole.pop(),
            Component::CurDir => {}
            part => whole.push(part),
        }
    }
    whole
}

/// What links to the headings of a document are called, as the forges make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    for heading in prose(text).filter_map(|line| line.strip_prefix('#')) {
        let name = anchor(heading.trim_start_matches('#').trim());
        let again = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(again).find(|name| !anchors.contains(name));
        anchors.extend(free);
    }
    anchors
}

/// Small letters, digits, hyphens and underscores stay, spaces become hyphens; of a link in a heading its text counts.
fn anchor(heading: &str) -> String {
    let without_targets = heading.split("](").enumerate().map(|(index, part)| match index {
        0 => part,
        _ => part.split_once(')').map_or("", |(_, rest)| rest),
    });
    let letters = without_targets.flat_map(str::chars).flat_map(char::to_lowercase);
    let kept = letters.filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// The documents that links lead to from the first one; a link to a folder leads to the README in it.
fn reachable<'a>(documents: &BTreeMap<&'a Path, String>) -> BTreeSet<&'a Path> {
    let mut found = BTreeSet::new();
    let mut next: Vec<PathBuf> = vec![BEGINNING.into()];
    while let Some(file) = next.pop() {
        let file = if documents.contains_key(file.as_path()) { file } else { file.join(BEGINNING) };
        let Some((file, text)) = documents.get_key_value(file.as_path()) else { continue };
        if found.insert(*file) {
            next.extend(relative_links(text).iter().map(|link| target(file, link.path)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Link, anchors, check, relative_links, target};
    use crate::tidy::{Checkout, Findings};

    #[test]
    fn only_relative_links_in_prose_count() {
        let text = "see [a](docs/a.md#part) and [b](https://x.example/) and [c](#here) and [f](a::B)\n```\n[d](nowhere.md)\n```\n[e](../e.md \"title\")\n";
        let links = [("docs/a.md", Some("part")), ("", Some("here")), ("../e.md", None)];
        assert_eq!(relative_links(text), links.map(|(path, heading)| Link { path, heading }));
    }

    #[test]
    fn a_link_is_followed_from_its_document() {
        assert_eq!(target(Path::new("docs/adr/a.md"), "../b.md"), Path::new("docs/b.md"));
        assert_eq!(target(Path::new("README.md"), "./docs"), Path::new("docs"));
        assert_eq!(target(Path::new("docs/a.md"), ""), Path::new("docs/a.md"));
    }

    #[test]
    fn headings_have_the_names_that_links_use() {
        let text =
            "# The operator's list\n## `Tx`, and [why](x.md#y): [b]\n## A_b - c\n## Twice\n### Twice\n```\n# no heading\n```\n";
        let names = ["a_b---c", "the-operators-list", "twice", "twice-1", "tx-and-why-b"];
        assert_eq!(anchors(text).iter().map(String::as_str).collect::<Vec<_>>(), names);
    }

    /// What is said of a checkout with these documents.
    fn broken(documents: &[(&str, &str)]) -> Vec<String> {
        let root = std::env::temp_dir().join(format!("crm-tidy-{}", uuid::Uuid::now_v7()));
        let files: Vec<PathBuf> = documents.iter().map(|(file, _)| PathBuf::from(file)).collect();
        for (file, text) in documents {
            std::fs::create_dir_all(root.join(file).parent().expect("a folder")).expect("can be made");
            std::fs::write(root.join(file), text).expect("can be written");
        }
        let mut findings = Findings::default();
        check(&Checkout { root: &root, files }, &mut findings);
        std::fs::remove_dir_all(root).expect("can be removed");
        findings.broken
    }

    #[test]
    fn a_link_that_leads_nowhere_is_refused() {
        let linked = "# Top\n[a](docs/a.md#part) [b](docs/adr) [top](#top)";
        let (a, adr) = ("## Part\n[up](../README.md#top)", "[c](c.md)");
        let whole = [("README.md", linked), ("docs/a.md", a), ("docs/adr/README.md", adr), ("docs/adr/c.md", "c")];
        assert_eq!(broken(&whole), Vec::<String>::new());

        let said = broken(&[("README.md", "[a](docs/b.md) [c](#top)")]);
        assert_eq!(said, ["README.md: the link to docs/b.md leads nowhere", "README.md: README.md has no heading #top"]);
        let said = broken(&[("README.md", "[a](docs/a.md#parts)"), ("docs/a.md", a)]);
        assert_eq!(said, ["README.md: docs/a.md has no heading #parts", "docs/a.md: README.md has no heading #top"]);
    }

    #[test]
    fn a_document_that_nobody_is_led_to_is_refused() {
        let said = broken(&[("README.md", "[a](docs/a.md)"), ("docs/a.md", ""), ("docs/b.md", "[c](c.md)"), ("docs/c.md", "")]);
        assert_eq!(said, ["docs/b.md", "docs/c.md"].map(|file| format!("{file}: no link leads here from README.md")));
    }
}
