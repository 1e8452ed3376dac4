//! The version that `peerd --version` prints: that of the package, with the commit and its date if the source is a clone.

use std::path::Path;
use std::process::Command;

fn main() {
    let version = std::env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let described = match commit() {
        Some(commit) => format!("{version} ({commit})"),
        None => version,
    };
    println!("cargo:rustc-env=PEERD_VERSION={described}");
    for file in ["../.git/HEAD", "../.git/logs/HEAD"] {
        if Path::new(file).exists() {
            println!("cargo:rerun-if-changed={file}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
}

/// The commit and its date, such as `1a2b3c4d5 2026-11-27`.
fn commit() -> Option<String> {
    if !Path::new("../.git").exists() {
        return None; // not a clone, but perhaps within one of another project
    }
    let format = ["log", "-1", "--format=%h %cs", "--abbrev=9"];
    let output = Command::new("git").args(format).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
