//! Reads the sources: which folder may know which technology, and what stays pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// Who may import a technology's crate: folders of these names.
const ADAPTERS: [(&str, &[&str]); 5] = [
    ("sqlx", &["mysql", "sql", "sqlite"]),
    ("rdkafka", &["kafka"]),
    ("mongodb", &["mongo"]),
    ("bson", &["mongo"]),
    ("actix_web", &["http"]),
];
/// Folders that hold decisions and folds: same input, same output, for ever.
const PURE: [&str; 3] = ["domain", "projections", "read_models"];
/// What a pure folder does without: I/O, clocks, randomness.
const IMPURE: [&str; 19] = [
    "tokio",
    "sqlx",
    "rdkafka",
    "mongodb",
    "bson",
    "reqwest",
    "actix_web",
    "rand",
    "service_kit",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "std::time::Instant",
    "SystemTime",
    "Utc::now",
    "Uuid::new_v4",
    "Uuid::now_v7",
];
const LONG: usize = 400;
const TOO_LONG: usize = 500;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// All files below a folder, but for what is built or generated at run time.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            let elsewhere = ["target", "node_modules", "data"].contains(&name);
            if !elsewhere && (!name.starts_with('.') || name == ".ci" || name == ".github") {
                files(&path, found);
            }
        } else {
            found.push(path);
        }
    }
}

/// Relative path and text of all files with an ending.
fn texts(endings: &[&str]) -> BTreeMap<String, String> {
    let root = workspace();
    let mut found = Vec::new();
    files(&root, &mut found);
    found
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)))
        .map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Production sources: all of `src` but for files of tests, which may measure time.
fn sources() -> BTreeMap<String, String> {
    let mut sources = texts(&["rs"]);
    sources.retain(|path, _| path.contains("/src/") && !path.ends_with("/tests.rs"));
    assert!(sources.len() > 30, "only {} sources were found", sources.len());
    sources
}

/// Whether a path leads through a folder of one of these names (a module may also be a single file).
fn lies_in(path: &str, folders: &[&str]) -> bool {
    path.split('/').any(|part| folders.contains(&part.strip_suffix(".rs").unwrap_or(part)))
}

/// Code lines, without comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or_default()))
        .filter(|(_, line)| !line.trim().is_empty())
}

/// Whether a line names a path such as `sqlx` or `std::fs`, and not as part of a longer word.
fn names(line: &str, path: &str) -> bool {
    let in_word =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    line.match_indices(path).any(|(start, _)| {
        let after = line[start + path.len()..].chars().next();
        let imported = line.trim_start().starts_with("use ") || line[start + path.len()..].starts_with("::");
        let is_item = path.contains("::") || path.chars().any(char::is_uppercase);
        !in_word(line[..start].chars().next_back()) && !in_word(after) && (imported || is_item)
    })
}

#[test]
fn only_a_technologys_own_folder_imports_its_crate() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        for (number, line) in code(&text) {
            for (technology, folders) in ADAPTERS {
                if names(line, technology) && !lies_in(&path, folders) {
                    wrong.push(format!("{path}:{number} imports {technology}: {}", line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn domain_projections_read_models_and_contract_know_neither_io_nor_clock_nor_chance() {
    let mut wrong = Vec::new();
    let mut looked_at = BTreeSet::new();
    for (path, text) in sources() {
        if !lies_in(&path, &PURE) && !path.starts_with("shared-events/") {
            continue;
        }
        looked_at.extend(PURE.into_iter().filter(|folder| lies_in(&path, &[folder])));
        for (number, line) in code(&text) {
            let found = IMPURE.into_iter().find(|impure| names(line, impure));
            if let Some(found) = found.or(line.contains("async ").then_some("async")) {
                wrong.push(format!("{path}:{number} knows {found}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(looked_at, BTreeSet::from(PURE), "folders were renamed: this test must learn their names");
}

#[test]
fn leases_know_no_time_of_day() {
    let sources = sources();
    for file in ["outbox/lease.rs", "outbox/shares.rs", "event_store/mysql/leases.rs"] {
        let text = &sources[&format!("command-service/src/{file}")];
        // Clocks of machines and of servers differ, and jump: `tokio::time::Instant` does not.
        let clocks = ["Clock", "SystemTime", "chrono", "Utc", "NOW(", "UTC_TIMESTAMP", "CURRENT_TIMESTAMP"];
        let known: Vec<_> =
            code(text).filter(|(_, line)| clocks.iter().any(|clock| line.contains(clock))).collect();
        assert!(known.is_empty(), "{file} reads a clock that may jump: {known:?}");
    }
}

#[test]
fn crates_depend_only_on_what_their_place_allows() {
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(workspace())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let dependencies: BTreeMap<&str, BTreeSet<&str>> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().unwrap().iter();
            let productive = all.filter(|dependency| dependency["kind"].is_null());
            let names = productive.map(|dependency| dependency["name"].as_str().unwrap()).collect();
            (package["name"].as_str().unwrap(), names)
        })
        .collect();
    let members: Vec<&str> = dependencies.keys().copied().collect();
    let without = |package: &str, forbidden: &[&str]| {
        let found: Vec<_> = forbidden.iter().filter(|name| dependencies[package].contains(**name)).collect();
        assert!(found.is_empty(), "{package} depends on {found:?}");
    };
    without("shared-events", &["sqlx", "rdkafka", "mongodb", "actix-web", "tokio", "reqwest", "service-kit"]);
    without(
        "service-kit",
        &["shared-events", "command-service", "query-service", "sqlx", "rdkafka", "mongodb"],
    );
    without("command-service", &["query-service", "mongodb"]);
    without("query-service", &["command-service", "sqlx"]);
    // What stands outside is a client like any other.
    without("demo", &members);
    without("system-tests", &members);
}

#[test]
fn the_embedded_default_is_built_without_any_server_s_client() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--package", "standalone", "--edges", "normal,build", "--prefix", "none", "--offline"])
        .current_dir(workspace())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let packages: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(packages.contains("sqlx-sqlite"), "the tree is not that of the embedded default: {packages:?}");
    let needless = ["rdkafka", "openssl", "mongodb", "bson", "sqlx-mysql", "sqlx-macros"];
    let found: Vec<_> =
        packages.iter().filter(|package| needless.iter().any(|name| package.starts_with(name))).collect();
    assert!(found.is_empty(), "the embedded default depends on {found:?}");
}

#[test]
fn no_source_is_too_long_to_be_read() {
    let mut too_long = Vec::new();
    for (path, text) in texts(&["rs", "sh"]) {
        let lines = text.lines().count();
        if lines > TOO_LONG {
            too_long.push(format!("{path} has {lines} lines"));
        } else if lines > LONG {
            println!("{path} has {lines} lines: time to split it");
        }
    }
    assert!(too_long.is_empty(), "{}", too_long.join("\n"));
}

#[test]
fn no_file_names_a_folder_of_somebodys_machine() {
    let machines =
        [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/")];
    let mut wrong = Vec::new();
    for (path, text) in
        texts(&["rs", "toml", "md", "sh", "yml", "yaml", "json", "sql", "cnf", "properties", "js"])
    {
        for (number, line) in text.lines().enumerate() {
            if machines.iter().any(|machine| line.contains(machine)) {
                wrong.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
