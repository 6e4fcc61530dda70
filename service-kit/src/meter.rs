//! Shows the progress of a long step on standard error: a bar on a terminal, a line every ten seconds elsewhere.

use std::{
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// The pause between two lines.
const A_LINE_EVERY: Duration = Duration::from_secs(10);

/// A step in progress.
pub struct Meter {
    what: &'static str,
    bar: ProgressBar,
    /// The time of the last line; `None` on a terminal.
    line_at: Option<Mutex<Instant>>,
}

impl Meter {
    /// A step over `total` events, rooms or changes.
    #[must_use]
    pub fn new(what: &'static str, total: u64) -> Self {
        let style = "{msg:<10} {bar:40} {human_pos}/{human_len}, {per_sec}, {eta} to go";
        let style = ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        // The bar hides itself where standard error is no terminal.
        let bar = ProgressBar::new(total).with_style(style).with_message(what);
        let line_at = (!std::io::stderr().is_terminal()).then(|| Mutex::new(Instant::now()));
        Self { what, bar, line_at }
    }

    /// Notes that `more` are done.
    pub fn add(&self, more: u64) {
        self.bar.inc(more);
        let Some(line_at) = &self.line_at else { return };
        let mut line_at = line_at.lock().unwrap_or_else(PoisonError::into_inner);
        if line_at.elapsed() >= A_LINE_EVERY {
            *line_at = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            eprintln!(
                "{}: {done} of {total}, {:.0}/s, {:.0?} to go",
                self.what,
                self.bar.per_sec(),
                self.bar.eta()
            );
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
