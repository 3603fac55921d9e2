//! The token that the agent asks its clients for: made by the user who will ask, so that no root is needed to read it.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// As long as a SHA-256: guessing is out of the question.
const TOKEN_BYTES: usize = 32;

/// The user's token file, made at the first call and kept afterwards.
pub fn make() -> Result<PathBuf> {
    let mut refused = Vec::new();
    for dir in folders() {
        match in_folder(&dir) {
            Ok(file) => return Ok(file),
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    bail!("no place for the token file: {}", refused.join("; "));
}

/// Where clients look, in this order. The first may be missing or, after `su`, somebody else's.
fn folders() -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let runtime = variable("XDG_RUNTIME_DIR").map(|dir| dir.join("tapwire"));
    let state = variable("HOME").map(|home| home.join(".local/state/tapwire"));
    runtime.into_iter().chain(state).collect()
}

fn in_folder(dir: &Path) -> Result<PathBuf> {
    let file = dir.join("token");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .with_context(|| format!("cannot make {}", dir.display()))?;
    match fs::read(&file) {
        Ok(token) if !token.trim_ascii().is_empty() => {
            // One that others may have read is still the one in use; nobody else reads it from now on.
            fs::set_permissions(&file, Permissions::from_mode(0o600))
                .with_context(|| format!("cannot protect {}", file.display()))?;
            return Ok(file);
        }
        Ok(_) => fs::remove_file(&file)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
    let mut random = [0; TOKEN_BYTES];
    fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut random)).context("no random bytes")?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut new = OpenOptions::new();
    let mut new = new.write(true).create_new(true).mode(0o600).open(&file);
    let new = new.as_mut().map_err(|error| anyhow::anyhow!("cannot write {}: {error}", file.display()))?;
    writeln!(new, "{token}").with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}
