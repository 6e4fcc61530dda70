//! Migrations: numbered SQL scripts, compiled in.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Runs these scripts, numbered from 1. `sqlx::migrate!` would compile both drivers a second time, for its macro.
pub(in crate::event_store) fn migrator(scripts: &[(&'static str, &'static str)]) -> Migrator {
    let migrations = (1..).zip(scripts).map(|(version, (description, sql))| {
        Migration::new(version, (*description).into(), MigrationType::Simple, (*sql).into(), false)
    });
    Migrator {
        migrations: Cow::Owned(migrations.collect()),
        // A later build may have migrated already. By rule this build works beside it.
        ignore_missing: true,
        ..Migrator::DEFAULT
    }
}
