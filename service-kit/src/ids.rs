//! The only source of new ids.

use uuid::Uuid;

/// A new id: unique, and sorted by time (UUID version 7).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the source that all others take ids from")]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_process_ascend() {
        let ids: Vec<Uuid> = (0..1000).map(|_| new_id()).collect();
        assert!(ids.is_sorted());
        assert_eq!(ids[0].get_version_num(), 7);
    }
}
