//! Black-box tests of the whole system over HTTP, and tests that read its sources.
#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod compose;
mod layering;
