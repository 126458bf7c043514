//! Who may depend on whom: only on what docs/ARCHITECTURE.md draws below.
//!
//! A new crate is put into its layer here first. Domains do not know each other; actix-web is known to the gateway alone, and no client
//! of a cloud or a cache to anything below it. What comes along by way of other packages is asked in `embedded.rs`.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::environment::Environment;
use crate::tidy::{Findings, embedded};

pub const DOMAINS: [&str; 9] = ["companies", "contacts", "deals", "campaigns", "projects", "tasks", "notes", "activities", "ai"];
const CAPABILITIES: [&str; 10] =
    ["timeline", "search", "reports", "exchange", "events", "webhooks", "files", "mail", "calendar", "jobs"];

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Layer {
    Kernel,
    Tenancy,
    Domain,
    Capability,
    /// A program: nothing may depend on it.
    Program,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Nothing for a normal one, else `dev` or `build`.
    kind: Option<String>,
    optional: bool,
}

pub fn check(environment: &Environment, findings: &mut Findings) -> Result<()> {
    for package in metadata(environment)?.packages {
        check_package(&package, findings);
        if is_embeddable(&package.name) {
            embedded::check(environment, &package.name, findings)?;
        }
    }
    Ok(())
}

fn metadata(environment: &Environment) -> Result<Metadata> {
    let output = std::process::Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(&environment.root)
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn check_package(package: &Package, findings: &mut Findings) {
    let Some(layer) = layer(&package.name) else {
        findings.broken(
            &package.name,
            "belongs to no layer: put it into xtask/src/tidy/dependencies.rs, where the architecture draws it",
        );
        return;
    };
    for dependency in &package.dependencies {
        if let Some(reason) = objection(&package.name, layer, dependency) {
            findings.broken(&package.name, format!("may not depend on {}: {reason}", dependency.name));
        }
    }
}

fn layer(package: &str) -> Option<Layer> {
    let name = match package {
        "xtask" | "crm-gateway" => return Some(Layer::Program),
        // Depended on in tests only, and itself on what every noun stands on.
        "crm-testkit" => return Some(Layer::Domain),
        "crm-kernel" => return Some(Layer::Kernel),
        "crm-tenancy" => return Some(Layer::Tenancy),
        _ => package.strip_prefix("crm-")?,
    };
    if DOMAINS.contains(&name) {
        return Some(Layer::Domain);
    }
    CAPABILITIES.contains(&name).then_some(Layer::Capability)
}

/// What another team's program may depend on. Tests alone depend on testkit.
fn is_embeddable(package: &str) -> bool {
    package != "crm-testkit" && layer(package).is_some_and(|layer| layer < Layer::Program)
}

/// Servers and clients of the services around a server. `aws-lc-rs` is none: it computes signatures, and knows no network.
pub(super) fn is_of_the_edge(dependency: &str) -> bool {
    let is_of = |family: &&str| dependency.strip_prefix(*family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    dependency.starts_with("aws-sdk-") || ["aws-config", "redis", "fred", "axum", "hyper", "reqwest"].iter().any(is_of)
}

fn objection(package: &str, from: Layer, dependency: &Dependency) -> Option<&'static str> {
    let is_test_only = dependency.kind.as_deref() == Some("dev");
    if dependency.name == "crm-testkit" {
        return (!is_test_only).then_some("testkit is for tests alone");
    }
    if dependency.name.starts_with("actix") && package != "crm-gateway" {
        return Some("only the gateway knows HTTP");
    }
    if is_of_the_edge(&dependency.name) && !is_test_only && from < Layer::Program {
        return Some("who embeds a crate gets no cloud, no cache and no web server with it");
    }
    if dependency.name == "paperclip" && package != "crm-gateway" && !dependency.optional {
        return Some("below the gateway it must be optional");
    }
    let to = layer(&dependency.name)?;
    match (from, to) {
        (Layer::Domain, Layer::Domain) => Some("domains do not know each other; a reference is an id"),
        // The end-to-end tests of one program may run the other.
        (Layer::Program, Layer::Program) if is_test_only => None,
        _ if to >= from => Some("it is not drawn below"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Dependency, is_embeddable, layer, objection};

    fn objects(package: &str, on: &str, kind: Option<&str>) -> bool {
        let dependency = Dependency { name: on.to_owned(), kind: kind.map(str::to_owned), optional: false };
        layer(package).is_none_or(|layer| objection(package, layer, &dependency).is_some())
    }

    #[test]
    fn a_domain_may_know_what_is_below_it() {
        assert!(!objects("crm-deals", "crm-tenancy", None));
        assert!(!objects("crm-deals", "crm-testkit", Some("dev")));
        assert!(!objects("crm-gateway", "crm-deals", None));
        assert!(!objects("xtask", "crm-gateway", Some("dev")));
    }

    #[test]
    fn a_domain_may_not_know_another_the_gateway_or_http() {
        assert!(objects("crm-deals", "crm-companies", None));
        assert!(objects("crm-deals", "crm-gateway", None));
        assert!(objects("xtask", "crm-gateway", None));
        assert!(objects("crm-deals", "actix-web", None));
        assert!(objects("crm-deals", "paperclip", None));
        assert!(objects("crm-deals", "crm-testkit", None));
        assert!(objects("crm-kernel", "crm-tenancy", None));
    }

    #[test]
    fn below_the_gateway_there_is_no_cloud_no_cache_and_no_web_server() {
        for edge in ["fred", "redis", "redis-test", "aws-sdk-s3", "aws-config", "axum", "hyper", "hyper-util", "reqwest"] {
            assert!(objects("crm-deals", edge, None), "{edge}");
            assert!(objects("crm-mail", edge, None), "{edge}");
            assert!(!objects("crm-gateway", edge, None), "{edge}");
            assert!(!objects("crm-deals", edge, Some("dev")), "{edge} may serve a test");
        }
        for other in ["aws-lc-rs", "redistribute", "frederick", "hyperloglog"] {
            assert!(!objects("crm-tenancy", other, None), "{other}");
        }
    }

    #[test]
    fn what_can_be_embedded_is_all_that_is_below_the_programs_but_what_serves_tests() {
        assert!(["crm-kernel", "crm-tenancy", "crm-deals", "crm-mail"].into_iter().all(is_embeddable));
        assert!(!["crm-testkit", "crm-gateway", "xtask"].into_iter().any(is_embeddable));
    }
}
