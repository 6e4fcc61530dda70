//! The services' binaries, built once per test run.

use std::{path::PathBuf, process::Command, sync::OnceLock};

/// The path of a binary of the workspace, in the profile of the tests. The first call builds all of them.
pub(crate) fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    // The whole workspace with its tests: the same features as `cargo test --workspace` builds with, so that no
    // dependency is built twice.
    cargo
        .args(["build", "--workspace", "--bins", "--tests", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    // What `cargo test` tells a test about its own package would make build scripts believe that theirs has moved.
    for (name, _) in std::env::vars_os() {
        let about_package = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") || name == "CARGO"
        });
        if about_package {
            cargo.env_remove(name);
        }
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().unwrap();
    assert!(status.success(), "the binaries can't be built: {status}");
    // The test runs as target/PROFILE/deps/it-HASH.
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}
