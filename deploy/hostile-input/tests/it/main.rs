//! Everything that decodes what others sent, given hostile input: nothing panics, nothing that was refused passes for a
//! defect of the service, and what is read is written and read again as the same.
//!
//! `HOSTILE_CASES=1000000 cargo test --release -p hostile-input --test it` makes a million inputs for each test.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod contract;
mod http;
mod tokens;
