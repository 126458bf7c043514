//! What comes along with a crate that another team embeds, by way of whatever package: no server, no cloud, no cache.
//!
//! Asked of cargo for each crate alone and with its default features: a workspace that is built as a whole has the features that
//! the gateway turns on.

use anyhow::{Context, Result, bail};

use crate::{
    environment::Environment,
    tidy::{Findings, dependencies::is_of_the_edge},
};

/// Looks through everything that this package is built of, but for what builds it and tests it.
pub fn check(environment: &Environment, package: &str, findings: &mut Findings) -> Result<()> {
    let output = std::process::Command::new("cargo")
        .args(["tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .current_dir(&environment.root)
        .output()
        .context("cannot run cargo tree")?;
    if !output.status.success() {
        bail!("cargo tree failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    for unwanted in unwanted(&String::from_utf8_lossy(&output.stdout)) {
        let what = format!("brings {unwanted} into a program that embeds it: cargo tree -p {package} -e normal -i {unwanted}");
        findings.broken(package, what);
    }
    Ok(())
}

/// The packages of a tree, one a line, that nobody gets who embeds a crate; each once.
fn unwanted(tree: &str) -> Vec<&str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let is_unwanted =
        |name: &&str| is_of_the_edge(name) || *name == "actix" || name.starts_with("actix-") || name.starts_with("paperclip");
    let mut unwanted: Vec<&str> = names.filter(is_unwanted).collect();
    unwanted.sort_unstable();
    unwanted.dedup();
    unwanted
}

#[cfg(test)]
mod tests {
    use super::unwanted;

    #[test]
    fn a_server_a_cache_or_a_cloud_is_found_wherever_it_comes_from() {
        let tree = "crm-deals v0.1.0 (crates/deals)\naws-lc-rs v1.13.0\nclever v1.0.0\nfred v10.1.0\nactix-web v4.18.0 (*)\n\
                    actix-web v4.18.0\naws-sdk-s3 v1.0.0\npaperclip v0.9.7\npaperclip-macros v0.7.0 (proc-macro)\n";
        assert_eq!(unwanted(tree), ["actix-web", "aws-sdk-s3", "fred", "paperclip", "paperclip-macros"]);
    }

    #[test]
    fn what_a_crate_of_a_noun_is_built_of_is_not() {
        let tree = "crm-deals v0.1.0 (crates/deals)\ndiesel v2.3.0\naws-lc-rs v1.13.0\nhttpdate v1.0.3\n";
        assert!(unwanted(tree).is_empty());
    }
}
