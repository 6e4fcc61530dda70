//! The table of all limits in `docs/limits.md` has the names and defaults of the code.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use crate::project::{read, root};

/// The sources that decide what a client can take.
const OF_CLIENTS: [&str; 10] = [
    "shared-events/src",
    "service-kit/src",
    "command-service/src/http",
    "command-service/src/domain",
    "query-service/src/calendars",
    "query-service/src/http",
    "query-service/src/live",
    "query-service/src/queries",
    "query-service/src/notifications",
    "query-service/src/progress.rs",
];

/// Names of constants that are limits begin with one of these words.
const WORDS: [&str; 4] = ["MAX", "MOST", "LONGEST", "HIGHEST"];

/// Constants with such a name that bound no request: the last minute of the calendar.
const NO_LIMITS: [&str; 1] = ["MAX_MINUTE"];

/// Settings with a range that bound what the service itself does, and settings of its servers.
const OF_OPERATORS: [&str; 15] = [
    "BATCH_ROWS",
    "CACHED_ROOMS",
    "FEED_TIMEOUT_SECONDS",
    "HTTP_WORKERS",
    "KAFKA_PARTITIONS",
    "KAFKA_REPLICATION",
    "KAFKA_RETENTION_HOURS",
    "KAFKA_SESSION_TIMEOUT_MS",
    "LEASE_SECONDS",
    "MYSQL_CONNECTIONS",
    "OTEL_TRACES_SAMPLER_ARG",
    "RELAY_BATCH",
    "RELAY_POLL_MILLISECONDS",
    "WATCHDOG_SECONDS",
    "WEBHOOK_TIMEOUT_SECONDS",
];

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The value of a constant, as the table shows it: a product of numbers, or a duration. `None`: the test can't read it.
fn value(expression: &str) -> Option<String> {
    let product = |text: &str| {
        text.split(" * ").map(|factor| factor.replace('_', "").parse::<u64>().ok()).product::<Option<u64>>()
    };
    if let Some(duration) = expression.strip_prefix("Duration::from_") {
        let (unit, number) = duration.strip_suffix(')')?.split_once('(')?;
        let unit = match unit {
            "millis" => "ms",
            "secs" => "s",
            "mins" => "min",
            _ => return None,
        };
        return Some(format!("{} {unit}", grouped(product(number)?)));
    }
    product(expression).map(grouped)
}

/// The constants of the sources below `path` by file and name, with their values.
fn constants(path: &Path, found: &mut BTreeMap<String, String>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            constants(&entry.unwrap().path(), found);
        }
        return;
    }
    let file = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    if file.contains("/tests") || !file.ends_with(".rs") {
        return;
    }
    let text = fs::read_to_string(path).unwrap();
    for line in text.split("#[cfg(test)]").next().unwrap().lines() {
        let declared =
            line.split_once("const ").and_then(|(_, rest)| rest.strip_suffix(';')?.split_once(": "));
        let Some((name, (_, expression))) =
            declared.and_then(|(name, rest)| Some((name, rest.split_once(" = ")?)))
        else {
            continue;
        };
        if let Some(value) = value(expression) {
            found.insert(format!("{file} {name}"), value);
        }
    }
}

/// The settings of both services with a range, and their defaults. The services' own tests compare the tables with the code.
fn settings() -> BTreeMap<String, String> {
    let readmes = ["command-service/README.md", "query-service/README.md"].map(read);
    let rows = readmes.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?;
        let default = cells.next()?.trim().trim_matches('`');
        let ranged = !cells.next()?.trim().is_empty();
        let upper = name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        (upper && ranged).then(|| {
            let default = default.parse().map_or_else(|_| default.to_owned(), grouped);
            (name.to_owned(), default)
        })
    });
    rows.collect()
}

/// The rows of the table by setting, or file and constant: the default, what happens past it, and the tests.
fn rows() -> BTreeMap<String, [String; 3]> {
    let document = read("docs/limits.md");
    let table = document.split("\n## Every limit\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut rows = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| `") || line.starts_with("| [`")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{line}");
        let name = cells[0].split('`').nth(1).unwrap();
        let key = match cells[0].split_once("](../") {
            Some((_, link)) => format!("{} {name}", link.trim_end_matches(')')),
            None => name.to_owned(),
        };
        let known = rows.insert(key, [cells[1], cells[2], cells[3]].map(str::to_owned));
        assert_eq!(known, None, "twice: {line}");
    }
    rows
}

#[test]
fn every_limit_of_the_code_is_in_the_table_with_its_default_and_no_other() {
    let mut declared = BTreeMap::new();
    for path in OF_CLIENTS {
        constants(&root().join(path), &mut declared);
    }
    let settings = settings();
    let is_limit = |name: &str| {
        !NO_LIMITS.contains(&name)
            && WORDS.iter().any(|word| {
                name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
            })
    };
    let required: BTreeSet<&String> = declared
        .keys()
        .filter(|key| is_limit(key.split(' ').nth(1).unwrap()))
        .chain(settings.keys().filter(|name| !OF_OPERATORS.contains(&name.as_str())))
        .collect();
    let rows = rows();
    let missing: Vec<_> = required.into_iter().filter(|key| !rows.contains_key(*key)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "these limits are not in the table");
    declared.extend(settings);
    for (key, [default, beyond, _]) in &rows {
        assert_eq!(Some(default), declared.get(key), "the default of {key}");
        assert!(!beyond.is_empty(), "{key}: what happens past it?");
    }
}
