//! Secrets that an operator may replace while the service runs.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;

/// The value of a secret. If it comes from a file, each use reads the file. Clones share the value.
#[derive(Debug, Clone)]
pub struct Secret(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    file: Option<PathBuf>,
    last: Mutex<SecretString>,
}

impl Secret {
    pub(super) fn new(value: SecretString, file: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner { file, last: Mutex::new(value) }))
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
        last.clone()
    }
}

/// A secret that never changes.
impl From<SecretString> for Secret {
    fn from(value: SecretString) -> Self {
        Self::new(value, None)
    }
}

/// The content of a secret's file without the line break at its end.
pub(super) fn without_line_break(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}
