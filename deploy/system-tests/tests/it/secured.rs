//! TLS and rights on real servers that accept nothing else. The test makes the certificates. MongoDB's engine has neither
//! TLS nor users: a proxy of the test ends its TLS, and its roles are not tested.

use serde_json::Value;
use system_tests::{Secured, Server, YEAR, hour_of_year, until};

/// Runs a subcommand with the service's settings. Returns its output.
async fn succeeds(server: &Server, arguments: &[&str]) -> String {
    let output = server.command(arguments).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_with_the_granted_rights_alone_do_all_their_work_over_verified_tls() {
    let mut system = Secured::start().await;
    complains(&mut system.command, &[], "command denied to user 'reservations'").await;
    system.migrate().await;
    system.command.start(&[]);
    system.query.start(&[]);
    system.command.until_ready().await;
    system.query.until_ready().await;

    let client = system.client();
    let room = client.register(serde_json::json!({})).await;
    let made = client.reserve(&room.id, "2031-05-05T10:00:00Z", "2031-05-05T11:00:00Z").send().await;
    assert_eq!(made.status, 201, "{made:?}");
    let schedule = format!("/v1/rooms/{}/schedule", room.id);
    let seen = client.get(&schedule).with(&YEAR).after(&made.token()).send().await.expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 1);

    // Notices are written by transactions to a topic that the query service has made.
    let _ = client.until("/metrics", |answer| answer.text.contains("\nnotices_written_total ")).await;

    // The binary log needs rights of its own, and is read over verified TLS too.
    let refused = system.command.command(&["relay", "mode", "log"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(refused.status.code() == Some(1) && said.contains("Access denied"), "{refused:?}");
    system.grant_binlog().await;
    system.let_note(false).await;
    let refused = system.command.command(&["relay", "mode", "log"]).output().await.unwrap();
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(refused.status.code() == Some(1) && said.contains("Group authorization failed"), "{refused:?}");
    system.let_note(true).await;
    assert_eq!(succeeds(&system.command, &["relay", "mode", "log"]).await, "The relay's mode is log.\n");
    let made = client.reserve(&room.id, "2031-05-05T11:00:00Z", "2031-05-05T12:00:00Z").send().await;
    let seen = client.get(&schedule).with(&YEAR).after(&made.token()).send().await.expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 2);
    succeeds(&system.command, &["relay", "mode", "table"]).await;

    for (server, arguments) in [
        (&system.command, &["health"][..]),
        (&system.command, &["migrate"]),
        (&system.command, &["outbox"]),
        (&system.query, &["health"]),
        (&system.query, &["lag"]),
        (&system.query, &["checkpoints"]),
        // Reads the feed over HTTPS.
        (&system.query, &["verify", &room.id]),
        (&system.query, &["rebuild"]),
    ] {
        succeeds(server, arguments).await;
    }
    // Deletes the consumer group, too.
    let generations: Value =
        serde_json::from_str(&succeeds(&system.query, &["generations", "--json"]).await).unwrap();
    let first = generations[0]["number"].to_string();
    succeeds(&system.query, &["drop-generation", &first]).await;

    // Only if an administrator has granted the right after the tables were created.
    let person = ["erase", "--user", client.name()];
    let refused = system.query.command(&person).output().await.unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    system.grant_again().await;
    succeeds(&system.query, &person).await;

    let of_runtime = [
        "UPDATE events SET payload = payload",
        "ALTER TABLE events DROP COLUMN payload",
        "CREATE INDEX another ON events (type)",
        "CREATE TABLE IF NOT EXISTS events (id INT)",
        "UPDATE erasure_list SET epoch = 0",
        "DELETE FROM erasures",
        "DELETE FROM relay_mode",
        "DELETE FROM relay_place",
        "DELETE FROM _sqlx_migrations",
    ];
    let of_eraser = [
        "SELECT payload FROM events",
        "INSERT INTO outbox VALUES (1, 1)",
        "ALTER TABLE events DROP COLUMN payload",
        "DELETE FROM erasures",
        "SELECT * FROM idempotency_keys",
        "SELECT * FROM import_keys",
    ];
    let of_all = [
        "UPDATE events SET version = version + 1",
        "UPDATE events SET type = 'another'",
        "DELETE FROM events",
        "TRUNCATE TABLE events",
        "DROP TABLE events",
        "UPDATE idempotency_keys SET position = 1",
        "CREATE TABLE another (id INT)",
        "CREATE DATABASE another",
        "SELECT user FROM mysql.user",
        "GRANT SELECT ON reservations.events TO 'reservations'@'%'",
    ];
    let and_all = |of_one: &[&'static str]| [of_one, of_all.as_slice()].concat();
    for (user, refused) in [
        ("reservations", and_all(&of_runtime)),
        ("reservations_erasure", and_all(&of_eraser)),
        ("reservations_migration", of_all.to_vec()),
    ] {
        for refused in refused {
            let error = system.run_as(user, refused).await.unwrap_err().to_string();
            assert!(error.contains("denied"), "{user}: {refused}: {error}");
        }
    }
    let error = system.send_as("query-service").await.unwrap_err().to_string();
    assert!(error.contains("authorization"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_the_one_that_was_named_is_refused_with_the_reason() {
    let mut system = Secured::start().await;
    system.migrate().await;
    let (right, other) = (system.authority(), system.other_authority());
    let mysql = |host: &str| format!("{}&ssl-ca={right}", system.mysql_url(host, "VERIFY_IDENTITY"));
    let mongodb = |host: &str| format!("{}&tlsCAFile={right}", system.mongodb_url(host));
    let (right_mysql, misnamed_mysql) = (mysql("127.0.0.1"), mysql("localhost"));
    let plain_mysql = system.mysql_url("127.0.0.1", "DISABLED");
    let (right_mongodb, misnamed_mongodb) = (mongodb("127.0.0.1"), mongodb("localhost"));
    let plain_mongodb = system.mongodb_url("127.0.0.1").replace("&tls=true", "");
    let misnamed_brokers = system.brokers("localhost");
    let stranger = ("TLS_CA_FILE", &*other);

    // The last value of a variable counts.
    let no_file = ("MYSQL_URL_FILE", "");
    for (settings, reason) in [
        (&[stranger][..], "UnknownIssuer"),
        (&[no_file, ("MYSQL_URL", &misnamed_mysql)], "not valid for name"),
        (&[no_file, ("MYSQL_URL", &plain_mysql)], "Access denied"),
        (&[stranger, no_file, ("MYSQL_URL", &right_mysql)], "certificate verify failed"),
        (&[("KAFKA_BROKERS", &misnamed_brokers)], "certificate verify failed"),
        (&[("KAFKA_USERNAME", "nobody")], "Authentication failed"),
    ] {
        complains(&mut system.command, settings, reason).await;
    }
    let no_file = ("MONGODB_URL_FILE", "");
    for (settings, reason) in [
        (&[stranger][..], "UnknownIssuer"),
        (&[no_file, ("MONGODB_URL", &misnamed_mongodb)], "not valid for name"),
        (&[no_file, ("MONGODB_URL", &plain_mongodb)], "unexpected end of file"),
        (&[stranger, no_file, ("MONGODB_URL", &right_mongodb)], "certificate verify failed"),
        (&[("KAFKA_BROKERS", &misnamed_brokers)], "certificate verify failed"),
        (&[("KAFKA_TLS", "false")], "no broker answers"),
    ] {
        complains(&mut system.query, settings, reason).await;
    }

    system.command.start_ready(&[]).await;
    system.query.start_ready(&[]).await;
    let room = system.client().register(serde_json::json!({})).await;
    let mut verify = system.query.command(&["verify", &room.id]);
    verify.env("MONGODB_URL_FILE", "").env("MONGODB_URL", &right_mongodb).env("TLS_CA_FILE", &other);
    let output = verify.output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("UnknownIssuer"), "{errors}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_of_kafka_that_is_replaced_in_its_file_needs_no_restart() {
    let mut system = Secured::start().await;
    system.migrate().await;
    system.command.start_ready(&[]).await;
    system.query.start_ready(&[]).await;
    let client = system.client();
    let room = client.register(serde_json::json!({})).await;
    let [first, second] = ["2031-05-05T10:00:00Z", "2031-05-05T11:00:00Z"];
    let made = client.reserve(&room.id, first, second).send().await;
    client.sees(&room, &made.token()).await;
    system.replace_kafka_passwords().await;
    let made = client.reserve(&room.id, second, "2031-05-05T12:00:00Z").send().await;
    assert_eq!(made.status, 201, "{made:?}");
    until(async || {
        let answer = client.get(&room.path()).after(&made.token()).send().await;
        if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    })
    .await;
    // It came by Kafka, and not by the feed alone.
    until(async || {
        let lag = system.query.command(&["lag", "--json"]).output().await.unwrap();
        let rows: Value = serde_json::from_slice(&lag.stdout).unwrap_or_default();
        let lag: Option<i64> =
            rows.as_array().map(|rows| rows.iter().filter_map(|row| row["lag"].as_i64()).sum());
        if lag == Some(0) { Ok(()) } else { Err(format!("{rows}")) }
    })
    .await;
    system.command.until_ready().await;
    system.query.until_ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passwords_of_mysql_that_are_replaced_in_their_files_need_no_restart() {
    let mut system = Secured::start().await;
    system.migrate().await;
    system.grant_again().await;
    system.grant_binlog().await;
    system.command.start_ready(&[]).await;
    system.query.start_ready(&[]).await;
    succeeds(&system.command, &["relay", "mode", "log"]).await;
    let client = system.client();
    let room = client.register(serde_json::json!({})).await;
    system.replace_mysql_passwords().await;
    // The first command may meet a session that has just ended.
    let mut hour = 0;
    let made = until(async || {
        hour += 1;
        let made = client.reserve(&room.id, &hour_of_year(hour), &hour_of_year(hour + 1)).send().await;
        if made.status == 201 { Ok(made) } else { Err(format!("{made:?}")) }
    })
    .await;
    client.sees(&room, &made.token()).await;
    // By the binary log: the table gets nothing in this mode.
    until(async || {
        let lag = system.query.command(&["lag", "--json"]).output().await.unwrap();
        let rows: Value = serde_json::from_slice(&lag.stdout).unwrap_or_default();
        let lag: Option<i64> =
            rows.as_array().map(|rows| rows.iter().filter_map(|row| row["lag"].as_i64()).sum());
        let mode = succeeds(&system.command, &["relay", "mode", "--json"]).await;
        if lag == Some(0) && mode.contains("\"log\"") { Ok(()) } else { Err(format!("{rows} {mode}")) }
    })
    .await;
    succeeds(&system.query, &["erase", "--user", client.name()]).await;
    system.command.until_ready().await;
}

/// Starts a service with changed settings, waits until its log or its readiness tells the reason, and kills it.
async fn complains(server: &mut Server, settings: &[(&str, &str)], reason: &str) {
    server.start(settings);
    until(async || {
        let (missing, log) = (server.missing().await, server.log_since_start());
        if log.contains(reason) || missing.contains(reason) {
            return Ok(());
        }
        Err(format!("{settings:?}: no {reason:?} in {missing}\n{log}"))
    })
    .await;
    server.kill();
}
