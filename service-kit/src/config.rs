//! Settings from the environment and an optional TOML file.
//!
//! A service declares each setting once, as a [`Key`]. [`Settings`] reads values through their keys and collects all mistakes:
//! a start fails once, with the whole list.
//!
//! The first of these wins:
//! 1. environment variable `NAME`, or for a secret the file named by `NAME_FILE` (having both is a mistake),
//! 2. `name` in the TOML file named by `CONFIG_FILE`,
//! 3. the default.
//!
//! An empty environment variable counts as absent.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use toml::{Table, Value};

mod key;
mod secret;

pub use key::{Declaration, HttpUrl, Key, Need, markdown_table};
pub use secret::Secret;
use secret::without_line_break;

crate::declare! {
    /// The setting that [`Settings`] itself reads.
    pub KEYS:
    /// A TOML file with settings, names in lower case; the environment wins over it.
    CONFIG_FILE: String = Key::optional();
}

/// One mistake in the settings. Holds no value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct Mistake {
    /// Name of the setting.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

/// All mistakes in the settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} mistake(s) in the settings", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

/// Reads settings and collects the mistakes in them.
pub struct Settings {
    declared: Vec<Declaration>,
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    mistakes: Vec<Mistake>,
}

/// Shows no values, because they may be secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("mistakes", &self.mistakes).finish_non_exhaustive()
    }
}

impl Settings {
    /// Settings from the process's environment and the file named there.
    #[must_use]
    pub fn load(declared: Vec<Declaration>) -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        });
        let mut settings = Self::from_variables(declared, variables);
        settings.read_file();
        settings
    }

    /// Settings from these variables alone.
    #[must_use]
    pub fn from_variables<S: Into<String>>(
        declared: Vec<Declaration>,
        variables: impl IntoIterator<Item = (S, S)>,
    ) -> Self {
        let environment = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { declared, environment, file: BTreeMap::new(), mistakes: Vec::new() }
    }

    fn read_file(&mut self) {
        let Some(path) = self.read(&CONFIG_FILE) else { return };
        match std::fs::read_to_string(&path) {
            Ok(text) => self.take_file(&text),
            Err(error) => self.mistake(&CONFIG_FILE, format!("can't read {path}: {error}")),
        }
    }

    fn take_file(&mut self, text: &str) {
        let values = match text.parse::<Table>() {
            Ok(values) => values,
            Err(error) => {
                // The further lines quote the file, which may hold a secret.
                let place = error.to_string().lines().next().unwrap_or_default().to_owned();
                return self.mistake(&CONFIG_FILE, format!("is not TOML: {place}"));
            }
        };
        for (name, value) in values {
            let known = self.declared.iter().any(|setting| setting.name.to_lowercase() == name);
            match plain(&value) {
                _ if !known => self.record(&name, "is not a setting (in the file)"),
                None => self.record(
                    &name,
                    "must be a text, a number, a truth value or a list of these (in the file)",
                ),
                Some(value) => {
                    self.file.insert(name, value);
                }
            }
        }
    }

    /// Records a mistake that the caller found, such as two contradicting settings.
    pub fn mistake<T>(&mut self, key: &Key<T>, problem: impl Into<String>) {
        self.record(key.declaration.name, problem);
    }

    /// Records a mistake once, however often its setting is read.
    fn record(&mut self, name: &str, problem: impl Into<String>) {
        let mistake = Mistake { key: name.to_owned(), problem: problem.into() };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// The value of a setting. `None` means a recorded mistake or an absent optional setting.
    pub fn read<T>(&mut self, key: &Key<T>) -> Option<T> {
        let name = key.declaration.name;
        let Some(declared) = self.declared.iter().find(|declared| declared.name == name).copied() else {
            self.record(name, "is read but not declared");
            return None;
        };
        let text = self.text(&declared)?;
        match (key.parse)(&text) {
            Ok(value) if declared.allows(&text) => return Some(value),
            Ok(_) => self.record(name, format!("must be {}", declared.range().unwrap_or_default())),
            Err(error) => self.record(name, format!("can't be read from {text:?}: {error}")),
        }
        None
    }

    /// The value of a secret that may be replaced in its file while the service runs. `None` as in [`Settings::read`].
    pub fn read_secret(&mut self, key: &Key<SecretString>) -> Option<Secret> {
        let file = self.environment.get(&format!("{}_FILE", key.declaration.name));
        let file = file.filter(|path| !path.is_empty()).map(PathBuf::from);
        Some(Secret::new(self.read(key)?, file))
    }

    /// The configuration. If there is no mistake, `build` assembles it from the values, with `?` on each.
    ///
    /// # Errors
    /// All recorded mistakes.
    pub fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() {
            match build() {
                Some(config) => return Ok(config),
                None => self.record("settings", "a value is absent though nothing was found wrong with it"),
            }
        }
        Err(Mistakes(self.mistakes))
    }

    fn text(&mut self, declared: &Declaration) -> Option<String> {
        let name = declared.name;
        let given = |name: &str| self.environment.get(name).filter(|value| !value.is_empty()).cloned();
        let file = format!("{name}_FILE");
        match (given(name), given(&file).filter(|_| declared.secret)) {
            (Some(_), Some(_)) => {
                self.record(&file, format!("can't be set together with {name}"));
                return None;
            }
            (None, Some(path)) => return self.secret_in(&file, &path),
            (Some(value), None) => return Some(value),
            (None, None) => {}
        }
        if let Some(value) = self.file.get(&name.to_lowercase()) {
            return Some(value.clone());
        }
        match declared.need {
            Need::Default(value) => return Some(value.to_owned()),
            Need::Required => self.record(name, "is required"),
            Need::Optional => {}
        }
        None
    }

    /// The secret in a file.
    fn secret_in(&mut self, name: &str, path: &str) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) if without_line_break(&text).is_empty() => self.record(name, format!("{path} is empty")),
            Ok(text) => return Some(without_line_break(&text).to_owned()),
            Err(error) => self.record(name, format!("can't read {path}: {error}")),
        }
        None
    }
}

/// A TOML value in the form of an environment variable. Commas join the items of a list.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(plain).collect();
            items.map(|items| items.join(","))
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests;
