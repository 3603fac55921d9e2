//! The token that the agent asks its clients for: made by the user who will ask, so that no root is needed to read it.

use std::{
    fs::{self, Permissions},
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

// The agent's own: it has the places and the making once for both.
#[path = "../../../agent/src/web/token_file.rs"]
mod token_file;

/// The user's token file, made at the first call and kept afterwards.
pub fn make() -> Result<PathBuf> {
    let mut refused = Vec::new();
    for file in token_file::own_files() {
        match keep_or_make(&file) {
            Ok(()) => return Ok(file),
            Err(error) => refused.push(format!("{error:#}")),
        }
    }
    bail!("no place for the token file: {}", refused.join("; "));
}

fn keep_or_make(file: &Path) -> Result<()> {
    match fs::read(file) {
        Ok(token) if !token.trim_ascii().is_empty() => {
            // One that others may have read is still the one in use; nobody else reads it from now on.
            return fs::set_permissions(file, Permissions::from_mode(0o600))
                .with_context(|| format!("cannot protect {}", file.display()));
        }
        Ok(_) => fs::remove_file(file)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
    token_file::create(file).with_context(|| format!("cannot make {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_kept_private() {
        let folder = std::env::temp_dir().join(format!("tapwire-run-token-{}", std::process::id()));
        let file = folder.join("inner/token");
        let mode = || fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
        keep_or_make(&file).unwrap();
        let token = fs::read(&file).unwrap();
        assert_eq!((token.len(), mode()), (65, 0o600));
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        keep_or_make(&file).unwrap();
        assert_eq!((fs::read(&file).unwrap(), mode()), (token.clone(), 0o600));
        fs::write(&file, "\n").unwrap();
        keep_or_make(&file).unwrap();
        assert_ne!(fs::read(&file).unwrap(), token);
        assert_eq!(fs::read_dir(folder.join("inner")).unwrap().count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }
}
