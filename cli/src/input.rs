//! Files from the command line, and stdin.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};

/// The text of a file, or of stdin for `-`.
pub fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let read = match is_stdin(file) {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.with_context(|| format!("{} not read", name(file)))?;
    Ok(text.strip_prefix(BYTE_ORDER_MARK).map(str::to_owned).unwrap_or(text))
}

/// What some editors write at the begin of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The name of a file in messages.
pub fn name(file: &Path) -> Cow<'_, str> {
    if is_stdin(file) { "stdin".into() } else { file.to_string_lossy() }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}
