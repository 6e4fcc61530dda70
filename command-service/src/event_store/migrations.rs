//! The tables' history: numbered scripts that are compiled in.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Runs these scripts, the first one as migration 1. Without `sqlx::migrate!`, for whose macro both drivers would be
/// compiled twice.
pub(super) fn migrator(scripts: &[(&'static str, &'static str)]) -> Migrator {
    let migrations = (1..).zip(scripts).map(|(version, (description, sql))| {
        Migration::new(version, (*description).into(), MigrationType::Simple, (*sql).into(), false)
    });
    Migrator {
        migrations: Cow::Owned(migrations.collect()),
        // A later build has made tables of its own: the rule is that this one can work beside it.
        ignore_missing: true,
        ..Migrator::DEFAULT
    }
}
