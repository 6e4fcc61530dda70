//! `.ci/run` says what it could not check.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::project::{read, root};

const SUMMARY: &str = "1 passed, 0 failed, 0 skipped";

/// An executable script.
fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/bash\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The lines that `.ci/run` prints where all programs succeed but cargo-deny, which runs `deny`.
fn run(deny: &str) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    for file in [".ci/run", "deploy/test.sh", "deploy/compiling.sh"] {
        let copy = folder.path().join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root().join(file), copy).unwrap();
    }
    for other in ["deploy/openapi/check.sh", "deploy/page-tests/check.sh", "deploy/page-tests/run.sh"] {
        script(&folder.path().join(other), "");
    }
    let programs = folder.path().join("programs");
    script(
        &programs.join("cargo"),
        "[[ $1 != test || $* == *--no-run* ]] || echo 'test result: ok. 1 passed; 0 failed; 0 ignored;'",
    );
    let checks = read(".ci/run");
    for (name, variable, text) in
        [("cargo-deny", "CARGO_DENY_VERSION=", deny), ("cargo-machete", "CARGO_MACHETE_VERSION=", "")]
    {
        let version = checks.lines().find_map(|line| line.strip_prefix(variable)).unwrap();
        script(
            &folder.path().join(format!("cache/room-reservations/tools/{name}-{version}/bin/{name}")),
            text,
        );
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .arg(folder.path().join(".ci/run"))
        .env("PATH", path)
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .envs(["MYSQL_URL", "KAFKA_BROKERS", "MONGODB_URL"].map(|name| (name, "none")))
        .env_remove("WARNING")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn advisories_that_could_not_be_read_are_a_warning_right_before_the_summary() {
    let lines = run("[[ $* != *'fetch db'* ]]");
    assert_eq!(lines.last().unwrap(), SUMMARY);
    let summary = lines.iter().position(|line| line == "Summary").unwrap();
    let before = lines[..summary].iter().rfind(|line| !line.is_empty()).unwrap();
    assert!(before.starts_with("WARNING: advisories") && before.contains("NOT checked"), "{lines:#?}");
}

#[test]
fn advisories_that_were_read_are_no_warning() {
    let lines = run("");
    assert_eq!(lines.last().unwrap(), SUMMARY);
    assert!(lines.iter().all(|line| !line.contains("WARNING")), "{lines:#?}");
}
