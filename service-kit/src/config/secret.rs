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

    /// The same secret, with what `complete` adds to each value.
    #[must_use]
    pub fn completed(self, complete: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let last = self.0.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let file = self.0.file.clone();
        Self(Arc::new(Inner { file, last: Mutex::new(last), completed: Box::new(complete) }))
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
