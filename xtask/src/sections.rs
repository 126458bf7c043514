//! The documents that commands write: what each counted or measured, in a section of its own between two marks.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::environment;

/// A document that commands write.
pub struct Document {
    path: &'static str,
    introduction: &'static str,
}

/// What was broken, and what was counted then.
pub const RELIABILITY: Document = Document {
    path: "docs/RELIABILITY.md",
    introduction: "# Reliability

What was tried, and what was counted. Each section is written by the command that it names; the same command counts again.
",
};

/// The language of questions, and what they cost. Most of it is written by hand.
pub const QUERY: Document = Document { path: "docs/QUERY.md", introduction: "# Questions\n" };

/// How long things take.
pub const BENCHMARKS: Document = Document {
    path: "docs/BENCHMARKS.md",
    introduction: "# Benchmarks

What was measured, on which machine, beside what. Each section is written by the command that it names; the same command measures again.
",
};

/// Puts the text between `<!-- begin name -->` and `<!-- end name -->`, in place of what was there; at the end of the document
/// when it has no such section yet.
pub fn write(document: &Document, name: &str, body: &str) -> Result<()> {
    let file = environment::checkout()?.join(document.path);
    let before = fs::read_to_string(&file).unwrap_or_else(|_| document.introduction.to_owned());
    let after = with_section(&before, name, body)?;
    fs::write(&file, after).with_context(|| format!("cannot write {}", file.display()))
}

fn with_section(document: &str, name: &str, body: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- begin {name} -->"), format!("<!-- end {name} -->"));
    let section = format!("{begin}\n{}\n{end}", body.trim());
    let Some((above, rest)) = document.split_once(&begin) else {
        return Ok(format!("{}\n\n{section}\n", document.trim_end()));
    };
    let Some((_, below)) = rest.split_once(&end) else { bail!("the document begins the section {name} and does not end it") };
    Ok(format!("{above}{section}{below}"))
}

#[cfg(test)]
mod tests {
    use super::with_section;

    #[test]
    fn a_section_is_added_once_and_then_replaced_where_it_is() {
        let first = with_section("# R\n", "a", "one").unwrap_or_default();
        let both = with_section(&first, "b", "two").unwrap_or_default();
        let changed = with_section(&both, "a", "three\n").unwrap_or_default();
        assert_eq!(changed, "# R\n\n<!-- begin a -->\nthree\n<!-- end a -->\n\n<!-- begin b -->\ntwo\n<!-- end b -->\n");
    }

    #[test]
    fn a_section_without_its_end_is_left_alone() {
        assert!(with_section("<!-- begin a -->\n", "a", "x").is_err());
    }
}
