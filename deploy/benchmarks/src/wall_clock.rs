//! The clock of commits and probes.

/// Microseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "the services' clock counts in milliseconds")]
pub(crate) fn clock_micros() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or_default()
}
