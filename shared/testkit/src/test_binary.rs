//! A check that `tests/it/main.rs`, the only integration test binary of a crate, declares every test file: a file that
//! it does not declare never runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the Rust files below a crate's `tests` folder that `tests/it/main.rs`, given as text, does not declare as
/// modules: undeclared files next to `main.rs`, and files elsewhere, which Cargo links as separate binaries.
///
/// # Errors
/// Fails if a folder cannot be read.
pub fn files_without_a_module(tests: &Path, main: &str) -> io::Result<Vec<String>> {
    let binary = tests.join("it");
    let declared = |file: &PathBuf| {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        name == "main" || main.lines().any(|line| line == format!("mod {name};"))
    };
    let mut files = rust_files(tests)?;
    files.extend(rust_files(&binary)?);
    let lost = files.into_iter().filter(|file| file.parent() != Some(&binary) || !declared(file));
    Ok(lost.map(|file| file.display().to_string()).collect())
}

fn rust_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let files: Vec<PathBuf> = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    Ok(files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect())
}
