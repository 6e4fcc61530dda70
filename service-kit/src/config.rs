//! Settings from the environment and an optional TOML file.
//!
//! A service lists its settings as [`Key`]s: name, what it needs, a line of documentation. [`Settings`]
//! reads them one by one and collects every mistake, so that a start fails once with the whole list.
//!
//! Order of precedence: environment variable `NAME`, or for secrets a file named by `NAME_FILE` (both are a mistake);
//! `name` in the TOML file named by `CONFIG_FILE`; the default. An empty environment variable counts as absent.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use figment::providers::{Format, Toml};
use figment::value::Value;
use figment::{Figment, Provider};
use secrecy::SecretString;

/// The setting that names the TOML file.
pub const CONFIG_FILE: &str = "CONFIG_FILE";

/// What happens where a setting is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The service refuses to start.
    Required,
    /// This value is used.
    Default(&'static str),
    /// What it would switch on stays off.
    Optional,
}

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Name of the environment variable; in the TOML file the same in lower case.
    pub name: &'static str,
    /// What happens where it is absent.
    pub need: Need,
    /// One sentence for the table of settings, with the unit.
    pub doc: &'static str,
    /// Whether the value must never be shown; such a key may be given as `NAME_FILE` too.
    pub secret: bool,
}

impl Key {
    /// A setting without which the service does not start.
    #[must_use]
    pub const fn required(name: &'static str, doc: &'static str) -> Self {
        Self { name, need: Need::Required, doc, secret: false }
    }

    /// A setting with a default.
    #[must_use]
    pub const fn with_default(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self { name, need: Need::Default(default), doc, secret: false }
    }

    /// A setting that may be absent.
    #[must_use]
    pub const fn optional(name: &'static str, doc: &'static str) -> Self {
        Self { name, need: Need::Optional, doc, secret: false }
    }

    /// The same setting, as a secret.
    #[must_use]
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }
}

/// The table of settings for a README, in Markdown.
#[must_use]
pub fn markdown_table(keys: &[Key]) -> String {
    let mut table = String::from("| setting | default | meaning |\n| --- | --- | --- |\n");
    for key in keys {
        let default = match key.need {
            Need::Required => "required".to_owned(),
            Need::Default(value) => format!("`{value}`"),
            Need::Optional => "none".to_owned(),
        };
        let secret = if key.secret {
            format!(" Secret; or a file named by `{}_FILE`.", key.name)
        } else {
            String::new()
        };
        table.push_str(&format!("| `{}` | {default} | {}{secret} |\n", key.name, key.doc));
    }
    table
}

/// One mistake in the settings. Values of secrets are not in it.
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

/// Reads settings and remembers what is wrong with them.
pub struct Settings {
    keys: Vec<Key>,
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, String>,
    mistakes: Vec<Mistake>,
}

/// Shows no value: any may be a secret.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("mistakes", &self.mistakes).finish_non_exhaustive()
    }
}

impl Settings {
    /// The process's environment, and the file that it names.
    #[must_use]
    pub fn load(keys: &[Key]) -> Self {
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        Self::from_environment(keys, environment)
    }

    /// The given environment, and the file that it names.
    #[must_use]
    pub fn from_environment(keys: &[Key], environment: BTreeMap<String, String>) -> Self {
        let path = environment.get(CONFIG_FILE).filter(|path| !path.is_empty()).cloned();
        match path.map(|path| (std::fs::read_to_string(&path), path)) {
            None => Self::from_parts(keys, environment, ""),
            Some((Ok(text), _)) => Self::from_parts(keys, environment, &text),
            Some((Err(error), path)) => {
                let mut settings = Self::from_parts(keys, environment, "");
                settings.mistake(CONFIG_FILE, format!("can't read {path}: {error}"));
                settings
            }
        }
    }

    /// The given environment and the text of a TOML file.
    #[must_use]
    pub fn from_parts(keys: &[Key], environment: BTreeMap<String, String>, file: &str) -> Self {
        let mut settings =
            Self { keys: keys.to_vec(), environment, file: BTreeMap::new(), mistakes: Vec::new() };
        settings.read_file(file);
        settings
    }

    fn read_file(&mut self, text: &str) {
        let values = match Figment::from(Toml::string(text)).data() {
            Ok(profiles) => profiles.into_values().flatten().collect::<Vec<_>>(),
            Err(error) => {
                // The parser's message quotes the line that is wrong, which may hold a secret.
                let place = error.to_string().lines().next().unwrap_or_default().to_owned();
                return self.mistake(CONFIG_FILE, format!("is no TOML: {place}"));
            }
        };
        for (name, value) in values {
            let known = self.keys.iter().any(|key| key.name.to_lowercase() == name);
            match plain(&value) {
                _ if !known => self.mistake(&name, "is no setting (in the file)"),
                None => self.mistake(
                    &name,
                    "must be a text, a number, a truth value or a list of these (in the file)",
                ),
                Some(value) => {
                    self.file.insert(name, value);
                }
            }
        }
    }

    /// Records a mistake that the caller found, such as two settings that contradict one another. The same one is recorded
    /// once, however often its setting is read.
    pub fn mistake(&mut self, key: &str, problem: impl Into<String>) {
        let mistake = Mistake { key: key.to_owned(), problem: problem.into() };
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    /// The value of a setting that is required or has a default; `None` is a recorded mistake.
    pub fn get<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name, true)?;
        self.parse(name, &text)
    }

    /// The value of a setting that may be absent. A value that can't be read is a recorded mistake.
    pub fn optional<T: FromStr<Err: fmt::Display>>(&mut self, name: &str) -> Option<T> {
        let text = self.text(name, false)?;
        self.parse(name, &text)
    }

    /// The value of a number or duration within bounds (both included); `None` is a recorded mistake.
    pub fn within<T>(&mut self, name: &str, least: T, most: T) -> Option<T>
    where
        T: FromStr<Err: fmt::Display> + PartialOrd + fmt::Display,
    {
        let value = self.get::<T>(name)?;
        if !(&least..=&most).contains(&&value) {
            self.mistake(name, format!("must be from {least} to {most}"));
            return None;
        }
        Some(value)
    }

    /// A secret that is required; `None` is a recorded mistake.
    pub fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.text(name, true).map(SecretString::from)
    }

    /// A secret that may be absent.
    pub fn optional_secret(&mut self, name: &str) -> Option<SecretString> {
        self.text(name, false).map(SecretString::from)
    }

    /// The configuration, or all mistakes. `build` is called where there is none, and puts together what was
    /// read (with `?` on each value).
    ///
    /// # Errors
    ///
    /// All [`Mistakes`] recorded so far.
    pub fn finish<T>(mut self, build: impl FnOnce() -> Option<T>) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() {
            match build() {
                Some(config) => return Ok(config),
                None => self.mistake("settings", "a value is absent though nothing was found wrong with it"),
            }
        }
        Err(Mistakes(self.mistakes))
    }

    fn key(&mut self, name: &str) -> Option<Key> {
        let key = self.keys.iter().find(|key| key.name == name).copied();
        if key.is_none() {
            self.mistake(name, "is read but not declared");
        }
        key
    }

    fn text(&mut self, name: &str, needed: bool) -> Option<String> {
        let key = self.key(name)?;
        let given = |name: &str| self.environment.get(name).filter(|value| !value.is_empty()).cloned();
        let file = format!("{name}_FILE");
        match (given(name), given(&file).filter(|_| key.secret)) {
            (Some(_), Some(_)) => {
                self.mistake(&file, format!("can't be set together with {name}"));
                return None;
            }
            (None, Some(path)) => return self.secret_in(&file, &path),
            (Some(value), None) => return Some(value),
            (None, None) => {}
        }
        if let Some(value) = self.file.get(&name.to_lowercase()) {
            return Some(value.clone());
        }
        match key.need {
            Need::Default(value) => return Some(value.to_owned()),
            Need::Required => self.mistake(name, "is required"),
            Need::Optional if needed => self.mistake(name, "is needed but declared as optional"),
            Need::Optional => {}
        }
        None
    }

    /// The text of a secret's file, without the line break at its end.
    fn secret_in(&mut self, name: &str, path: &str) -> Option<String> {
        match std::fs::read_to_string(path).map(|text| text.trim_end_matches(['\r', '\n']).to_owned()) {
            Ok(text) if text.is_empty() => self.mistake(name, format!("{path} is empty")),
            Ok(text) => return Some(text),
            Err(error) => self.mistake(name, format!("can't read {path}: {error}")),
        }
        None
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&mut self, name: &str, text: &str) -> Option<T> {
        match text.trim().parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let secret = self.keys.iter().any(|key| key.name == name && key.secret);
                let problem = if secret {
                    "can't be read".to_owned()
                } else {
                    format!("can't be read from {text:?}: {error}")
                };
                self.mistake(name, problem);
                None
            }
        }
    }
}

/// A TOML value as an environment variable would give it; lists are joined by commas.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(_, text) => Some(text.clone()),
        Value::Char(_, letter) => Some(letter.to_string()),
        Value::Bool(_, truth) => Some(truth.to_string()),
        Value::Num(_, number) => number
            .to_i128()
            .map(|n| n.to_string())
            .or_else(|| number.to_u128().map(|n| n.to_string()))
            .or_else(|| number.to_f64().map(|n| n.to_string())),
        Value::Array(_, items) => {
            let items: Option<Vec<String>> = items.iter().map(plain).collect();
            items.map(|items| items.join(","))
        }
        Value::Empty(..) | Value::Dict(..) => None,
    }
}

#[cfg(test)]
mod tests;
