//! What stands in `deploy` fits the program: a setting that is misspelt, a service that nothing is told of, a compiler that is not the
//! tested one would all be taken without a word.

use std::path::Path;

use crate::tidy::{Checkout, Findings};

const EXPLAINED_IN: &str = "docs/CONFIGURATION.md";

/// Read by the administrator's program, which stands in the same images.
const OF_XTASK: [&str; 2] = ["CRM_STATE_DIR", "CRM_CACHE_DIR"];

/// Set by whatever runs the gateway for others, besides what is required anyway.
const IN_PRODUCTION: [&str; 4] = ["CRM_PUBLIC_URL", "CRM_TRUSTED_PROXIES", "CRM_ENVIRONMENT", "CRM_REGISTRATION"];
/// What runs the gateway with nothing but what stands in it.
const RUNS_IT: [&str; 2] = ["deploy/compose.yaml", "deploy/ecs-task.json"];

pub fn check(checkout: &Checkout<'_>, findings: &mut Findings) {
    check_settings(checkout, findings);
    check_services(checkout, findings);
    check_addresses(checkout, findings);
    check_images(checkout, findings);
}

fn check_settings(checkout: &Checkout<'_>, findings: &mut Findings) {
    let explained = checkout.text(Path::new(EXPLAINED_IN)).unwrap_or_default();
    let required = explained.lines().filter(|line| line.contains("` | required | ")).flat_map(settings);
    let needed: Vec<&str> = required.chain(IN_PRODUCTION).collect();
    for file in RUNS_IT {
        let text = checkout.text(Path::new(file)).unwrap_or_default();
        let set = settings(&text);
        for setting in needed.iter().filter(|setting| !set.contains(setting)) {
            findings.broken(file, format!("does not set {setting}"));
        }
    }
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

/// A server that is started and that no address leads to is one that somebody forgot to tell of.
fn check_services(checkout: &Checkout<'_>, findings: &mut Findings) {
    let compose = checkout.text(Path::new("deploy/compose.yaml")).unwrap_or_default();
    let pooler = checkout.text(Path::new("deploy/pgbouncer.ini")).unwrap_or_default();
    let unused = services(&compose).into_iter().filter(|(name, text)| {
        let is_server = text.contains("restart: unless-stopped");
        let is_named = ["@", "://", "host="].iter().any(|before| {
            [":", " "].iter().any(|after| format!("{compose}{pooler}").contains(&format!("{before}{name}{after}")))
        });
        is_server && !is_named && !text.contains("ports:")
    });
    for (name, _) in unused {
        findings.broken("deploy/compose.yaml", format!("no address leads to the service {name}"));
    }
}

/// A service that keeps its address and comes back with another interface cannot be reached until its neighbours forget the first one.
fn check_addresses(checkout: &Checkout<'_>, findings: &mut Findings) {
    let compose = checkout.text(Path::new("deploy/compose.yaml")).unwrap_or_default();
    let fixed = services(&compose).into_iter().filter(|(_, text)| text.contains("ipv4_address:"));
    for (name, _) in fixed.filter(|(_, text)| !text.contains("mac_address:")) {
        findings.broken("deploy/compose.yaml", format!("{name} has a fixed address and no fixed mac_address"));
    }
}

/// The services with the lines of each.
fn services(compose: &str) -> Vec<(&str, String)> {
    let within = compose.split_once("\nservices:\n").map_or("", |(_, rest)| rest);
    let mut services: Vec<(&str, String)> = Vec::new();
    for line in within.lines().take_while(|line| line.is_empty() || line.starts_with(' ')) {
        let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':')).filter(|name| !name.starts_with(' '));
        match (name, services.last_mut()) {
            (Some(name), _) => services.push((name, String::new())),
            (None, Some((_, text))) => text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    services
}

/// The compiler is the tested one, and what is copied into an image is let through to it.
fn check_images(checkout: &Checkout<'_>, findings: &mut Findings) {
    let toolchain = checkout.text(Path::new("rust-toolchain.toml")).unwrap_or_default();
    let channel = toolchain.lines().find_map(|line| line.strip_prefix("channel = \"")).unwrap_or_default().trim_end_matches('"');
    let let_through = checkout.text(Path::new(".dockerignore")).unwrap_or_default();
    for file in
        checkout.files.iter().filter(|file| file.starts_with("deploy") && file.to_string_lossy().ends_with("Containerfile"))
    {
        let text = checkout.text(file).unwrap_or_default();
        for base in text.lines().filter_map(|line| line.strip_prefix("ARG RUST=rust:")) {
            if !base.starts_with(&format!("{channel}-")) {
                findings.broken(file.display(), format!("builds with {base}, and rust-toolchain.toml says {channel}"));
            }
        }
        let copied = text.lines().filter(|line| line.starts_with("COPY ")).flat_map(str::split_whitespace);
        for copied in copied.filter(|word| word.starts_with("deploy/")) {
            if !let_through.lines().any(|line| line.strip_prefix('!') == Some(copied)) {
                findings.broken(file.display(), format!("copies {copied}, which .dockerignore does not let through"));
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
    use std::path::{Path, PathBuf};

    use super::{check, services, settings};
    use crate::tidy::{Checkout, Findings};

    #[test]
    fn settings_are_found_wherever_they_stand() {
        let text = "CRM_BIND: 0.0.0.0:8080\n{ \"name\": \"CRM_MAIL\" }\nEnvironment=CRM_BIND=x \"${CRM_BIND##*:}\" CRM_* xCRM_";
        assert_eq!(settings(text), ["CRM_BIND", "CRM_MAIL"]);
    }

    #[test]
    fn services_are_told_apart() {
        let compose = "name: x\n\nservices:\n  a:\n    image: i\n    restart: no\n\n  b:\n    ports: []\n\nvolumes:\n  c:\n";
        let names: Vec<&str> = services(compose).iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(services(compose).iter().filter(|(_, text)| text.contains("ports")).count(), 1);
    }

    /// What is said about the files of this checkout after one of them was changed.
    fn broken_after(changed: &str, change: impl Fn(String) -> String) -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a checkout");
        let copy = std::env::temp_dir().join(format!("crm-tidy-{}", uuid::Uuid::now_v7()));
        let names = ["compose.yaml", "ecs-task.json", "pgbouncer.ini", "Containerfile", "pgbouncer.Containerfile"];
        let mut files: Vec<PathBuf> = names.iter().map(|name| Path::new("deploy").join(name)).collect();
        files.extend([".dockerignore", "rust-toolchain.toml", "docs/CONFIGURATION.md"].map(PathBuf::from));
        for file in &files {
            let text = std::fs::read_to_string(root.join(file)).expect("a file of the checkout");
            let text = if file == Path::new(changed) { change(text) } else { text };
            std::fs::create_dir_all(copy.join(file).parent().expect("a folder")).expect("can be made");
            std::fs::write(copy.join(file), text).expect("can be written");
        }
        let mut findings = Findings::default();
        check(&Checkout { root: &copy, files }, &mut findings);
        std::fs::remove_dir_all(copy).expect("can be removed");
        findings.broken
    }

    #[test]
    fn what_does_not_fit_is_found() {
        assert_eq!(broken_after("", |text| text), Vec::<String>::new());
        let without = |name: &'static str| {
            move |text: String| {
                text.lines().filter(|line| !line.contains(name)).fold(String::new(), |all, line| all + line + "\n")
            }
        };
        let said = broken_after("deploy/compose.yaml", without("CRM_REDIS_URL"));
        assert_eq!(said, ["deploy/compose.yaml: no address leads to the service redis"]);
        let said = broken_after("deploy/compose.yaml", |text| text.replace("mac_address:", "other:"));
        assert_eq!(said, ["deploy/compose.yaml: postgres has a fixed address and no fixed mac_address"]);
        let said = broken_after("deploy/ecs-task.json", without("CRM_SEALING_KEY_FILE"));
        assert_eq!(said, ["deploy/ecs-task.json: does not set CRM_SEALING_KEY_FILE"]);
        let said = broken_after(".dockerignore", without("healthcheck"));
        assert_eq!(said, ["deploy/Containerfile: copies deploy/healthcheck, which .dockerignore does not let through"]);
        let said = broken_after("rust-toolchain.toml", |text| text.replace("1.", "0."));
        assert_eq!(said.len(), 1, "{said:?}");
        let said = broken_after("deploy/compose.yaml", |text| text.replace("CRM_PUBLIC_URL", "CRM_PUBLIC_ADDRESS"));
        assert_eq!(said.len(), 2, "{said:?}");
    }
}
