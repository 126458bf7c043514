//! Where settings come from: the environment, a file in TOML that `CRM_CONFIG_FILE` names, files that hold secrets.
//!
//! Must stay true: the environment wins over the file; a key that is no setting is refused by its name, because one that is ignored
//! looks like one that holds; no secret is part of a mistake.

use std::{collections::BTreeMap, fs, path::Path};

use super::settings::{SETTINGS, Setting, Shown};

/// What has been said about each setting, and by whom.
#[derive(Default)]
pub struct Source {
    values: BTreeMap<&'static str, (String, Origin)>,
    unknown: Vec<String>,
}

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A variable of the environment.
    Environment,
    /// The configuration file.
    File,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}

impl Source {
    /// Reads the environment, and the file that it names.
    ///
    /// # Errors
    /// Every mistake that can be told before the values are looked at.
    pub fn read(environment: &BTreeMap<String, String>) -> (Self, Vec<String>) {
        let (mut source, mut mistakes) = (Self::default(), Vec::new());
        let environment: BTreeMap<&str, &str> = environment
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let file = environment.get("CRM_CONFIG_FILE").map(|file| read_file(Path::new(file)));
        let file = file.unwrap_or_else(|| Ok(BTreeMap::new())).unwrap_or_else(|found| {
            mistakes.extend(found);
            BTreeMap::new()
        });
        for setting in SETTINGS {
            let said = said(setting, |name| environment.get(name).map(|value| (*value).to_owned()), |name| name.to_owned());
            let filed = said_in_file(setting, &file);
            let chosen = match (said, filed) {
                (Ok(None), filed) => filed.map(|value| value.map(|value| (value, Origin::File))),
                (said, _) => said.map(|value| value.map(|value| (value, Origin::Environment))),
            };
            match chosen {
                Ok(Some(chosen)) => drop(source.values.insert(setting.name, chosen)),
                Ok(None) => {}
                Err(mistake) => mistakes.push(mistake),
            }
        }
        source.unknown = environment.keys().filter(|name| is_unknown(name)).map(|name| (*name).to_owned()).collect();
        (source, mistakes)
    }

    /// What was said about this setting.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).map(|(value, _)| value.clone())
    }

    /// Variables of the environment whose names begin like settings and are none.
    #[must_use]
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// A line for each setting: what it is and where that comes from. Secrets are not shown.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let line = |setting: &Setting| match self.values.get(setting.name) {
            None => format!("{} = {} (default)", setting.name, setting.default),
            Some((value, origin)) => {
                let value = if setting.shown == Shown::Openly { value } else { "(secret)" };
                let origin = if *origin == Origin::File { "file" } else { "environment" };
                format!("{} = {value} ({origin})", setting.name)
            }
        };
        SETTINGS.iter().map(line).collect()
    }
}

/// What one place says about a setting: the value, or the name of a file that holds it.
fn said(
    setting: &Setting,
    get: impl Fn(&str) -> Option<String>,
    called: impl Fn(&str) -> String,
) -> Result<Option<String>, String> {
    let value = get(setting.name);
    if setting.shown == Shown::Openly {
        return Ok(value);
    }
    let by_file = format!("{}_FILE", setting.name);
    match (value, get(&by_file)) {
        (Some(_), Some(_)) => {
            Err(format!("{}: given twice, as itself and as {}: leave one away", called(setting.name), called(&by_file)))
        }
        (Some(value), None) => Ok(Some(value)),
        (None, Some(file)) => match fs::read_to_string(&file) {
            Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
            Ok(_) => Err(format!("{}: {file}: is empty", called(&by_file))),
            Err(error) => Err(format!("{}: {file}: {error}", called(&by_file))),
        },
        (None, None) => Ok(None),
    }
}

fn said_in_file(setting: &Setting, file: &BTreeMap<String, String>) -> Result<Option<String>, String> {
    let key = |name: &str| name.trim_start_matches("CRM_").to_ascii_lowercase();
    said(setting, |name| file.get(&key(name)).cloned(), key)
}

/// The keys and values of a configuration file.
fn read_file(path: &Path) -> Result<BTreeMap<String, String>, Vec<String>> {
    let about = |mistake: String| format!("CRM_CONFIG_FILE: {}: {mistake}", path.display());
    let text = fs::read_to_string(path).map_err(|error| vec![about(error.to_string())])?;
    // Its own message shows the line, and with it perhaps a secret.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text.get(..span.start).unwrap_or_default().lines().count().max(1));
        vec![about(format!("line {line}: not TOML: {}", error.message()))]
    })?;
    let (mut values, mut mistakes) = (BTreeMap::new(), Vec::new());
    for (key, value) in table {
        if !is_key(&key) {
            mistakes.push(about(format!("`{key}` is no setting")));
            continue;
        }
        match in_words(&value) {
            Some(value) => drop(values.insert(key, value)),
            None => mistakes.push(about(format!("`{key}` must be a text, a number or a list of texts"))),
        }
    }
    if mistakes.is_empty() { Ok(values) } else { Err(mistakes) }
}

/// A value as the environment would have it.
fn in_words(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(toml::Value::as_str).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

fn is_key(key: &str) -> bool {
    SETTINGS.iter().any(|setting| {
        let own = setting.key();
        own == key || (setting.shown == Shown::Never && format!("{own}_file") == key)
    })
}

/// What this module, `cargo xtask` and the tests read: it may be around where a gateway runs.
const OF_TOOLS: [&str; 4] = ["CRM_CONFIG_FILE", "CRM_STATE_DIR", "CRM_CACHE_DIR", "CRM_TEST_ADMIN_URL"];

fn is_unknown(name: &str) -> bool {
    let known = |setting: &Setting| {
        setting.name == name || (setting.shown == Shown::Never && name.strip_suffix("_FILE") == Some(setting.name))
    };
    name.starts_with("CRM_") && !OF_TOOLS.contains(&name) && !SETTINGS.iter().any(known)
}
