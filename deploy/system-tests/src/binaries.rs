//! The binaries of the workspace, built once per test run.

use std::{path::PathBuf, process::Command, sync::OnceLock};

/// The path of a binary, in the profile of the caller. The first call builds all binaries, unless `SYSTEM_TESTS_BINARIES`
/// names their folder.
pub(crate) fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build).join(name)
}

fn build() -> PathBuf {
    if let Some(folder) = std::env::var_os("SYSTEM_TESTS_BINARIES") {
        return folder.into();
    }
    // Read before the build, which may replace the file.
    let program = std::env::current_exe().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    // The whole workspace with its tests, like `cargo test --workspace`: other features would build dependencies again.
    cargo.args(["build", "--workspace", "--bins", "--locked"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    // Without the variables that `cargo test` sets for this package: they would make build scripts run again.
    for (name, _) in std::env::vars_os() {
        let about_package = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") || name == "CARGO"
        });
        if about_package {
            cargo.env_remove(name);
        }
    }
    if cfg!(debug_assertions) {
        cargo.arg("--tests");
    } else {
        cargo.arg("--release");
    }
    let status = cargo.status().unwrap();
    assert!(status.success(), "the binaries can't be built: {status}");
    // A test is target/PROFILE/deps/it-HASH, a program target/PROFILE/NAME.
    let folder = program.parent().unwrap();
    if folder.ends_with("deps") { folder.parent().unwrap().to_owned() } else { folder.to_owned() }
}
