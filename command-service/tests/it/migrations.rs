//! The tables of MySQL: how they are made and brought up to date.

use command_service::event_store::{Append as _, EventLog as _, Leases as _, WriterForm};
use sqlx::{Connection, Executor};

use crate::{
    samples::{event, events, room},
    servers::Database,
};

#[tokio::test]
async fn instances_that_start_together_make_the_tables_once() {
    let database = Database::missing();
    let starting: Vec<_> = (0..4)
        .map(|_| {
            let store = database.open();
            tokio::spawn(async move { store.migrate().await })
        })
        .collect();
    for instance in starting {
        instance.await.unwrap().unwrap();
    }
    database.open().append(&events(vec![event(room(1), 1)])).await.unwrap();
    database.open().check().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_migration_is_run_again() {
    let database = Database::new().await;
    let store = database.open();
    store.append(&events(vec![event(room(1), 1)])).await.unwrap();
    let mut connection = database.connect().await;
    connection.execute("UPDATE _sqlx_migrations SET success = FALSE").await.unwrap();
    connection.execute("DROP TABLE leases").await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.heads(&[room(1)]).await.unwrap(), [(room(1), 1.into())]);
    assert!(store.leases().await.unwrap().members.is_empty());
}

#[tokio::test]
async fn a_build_starts_beside_a_later_one_that_has_migrated_the_database() {
    let database = Database::new().await;
    let mut connection = database.connect().await;
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (1000, 'of a later build', TRUE, x'00', 1)";
    connection.execute(later).await.unwrap();
    let store = database.open();
    store.migrate().await.unwrap();
    store.append(&events(vec![event(room(1), 1)])).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM _sqlx_migrations WHERE version = 1000")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, 1);
    connection.close().await.unwrap();
}

#[tokio::test]
async fn every_column_says_what_it_is() {
    let database = Database::new().await;
    let mut connection = database.connect().await;
    let sql = "SELECT CONCAT(table_name, '.', column_name) FROM information_schema.columns \
               WHERE table_schema = DATABASE() AND column_comment = '' AND table_name <> '_sqlx_migrations'";
    let silent: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
    assert_eq!(silent, Vec::<String>::new());
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_new_store_begins_with_this_builds_form_of_writing_and_an_older_one_keeps_its_own() {
    let database = Database::new().await;
    let store = database.open();
    assert_eq!(store.writer_form().await.unwrap(), WriterForm::KNOWN);
    let mut old = database.connect().await;
    old.execute("UPDATE relay_mode SET writer_form = 2").await.unwrap();
    old.execute("DELETE FROM _sqlx_migrations WHERE version > 1").await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.writer_form().await.unwrap(), WriterForm(2), "an operator raises it");
}
