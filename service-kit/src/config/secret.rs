//! Secrets that an operator may replace while the service runs.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, fs};

use secrecy::{ExposeSecret as _, SecretString};

/// The value of a secret. If it comes from a file, each use reads the file. Clones share the value.
#[derive(Debug, Clone)]
pub struct Secret(Arc<Inner>);

struct Inner {
    file: Option<PathBuf>,
    /// As it was given.
    last: Mutex<SecretString>,
    /// What users of it get.
    completed: Box<dyn Fn(&str) -> String + Send + Sync>,
}

/// Shows no value.
impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Secret {
    pub(super) fn new(value: SecretString, file: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { file, last: Mutex::new(value), completed: Box::new(str::to_owned) }))
    }

    /// The same secret, with what `complete` adds to each value. It gets what earlier ones have completed.
    #[must_use]
    pub fn completed(self, complete: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let file = self.0.file.clone();
        let completed = Box::new(move |value: &str| complete(&(self.0.completed)(value)));
        Self(Arc::new(Inner { file, last: Mutex::new(last), completed }))
    }

    /// The present value. The last one stays while the file can't be read or is empty.
    #[must_use]
    pub fn current(&self) -> SecretString {
        let mut last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = self.0.file.as_ref().and_then(|file| fs::read_to_string(file).ok()) {
            let text = without_line_break(&text);
            if !text.is_empty() {
                *last = text.into();
            }
        }
        (self.0.completed)(last.expose_secret()).into()
    }
}

/// A secret that never changes.
impl<T: Into<String>> From<T> for Secret {
    fn from(value: T) -> Self {
        Self::new(value.into().into(), None)
    }
}

/// The content of a secret's file without the line break at its end.
pub(super) fn without_line_break(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_completed_more_than_once_also_after_its_file_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("url");
        let secret = Secret::new("before".into(), Some(file.clone()));
        let secret = secret.completed(|url| format!("{url}?a")).completed(|url| format!("{url}&b"));
        assert_eq!(secret.current().expose_secret(), "before?a&b");
        fs::write(file, "after\n").unwrap();
        assert_eq!(secret.current().expose_secret(), "after?a&b");
    }
}
