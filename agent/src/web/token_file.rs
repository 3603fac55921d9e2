//! Where a user's own agent has its token, and how a new one is made. With nothing but std, since `cargo xtask run`,
//! which makes the token as the calling user, compiles this very file: what it makes is where clients look.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// As long as a SHA-256: guessing is out of the question.
const RANDOM_BYTES: usize = 32;

/// An absolute path in the environment.
pub fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The token files of this user, in the order in which clients look. The first folder may be missing or, after `su`,
/// somebody else's.
pub fn own_files() -> Vec<PathBuf> {
    let runtime = variable("XDG_RUNTIME_DIR").map(|folder| folder.join("tapwire/token"));
    let state = variable("HOME").map(|home| home.join(".local/state/tapwire/token"));
    runtime.into_iter().chain(state).collect()
}

/// Writes a new token, mode 0600, in a folder that is made with mode 0700 when it is not there. It is written aside and
/// linked into place, which fails when another came first: no reader ever sees half a token.
///
/// # Errors
/// The folder or the file cannot be made; that somebody else just made it is none.
pub fn create(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let token = random()?;
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.new", &random()?[..16]));
    let aside = PathBuf::from(aside);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside).and_then(|mut file| {
        writeln!(file, "{token}")?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&aside, path));
    let _ = fs::remove_file(&aside);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// In hexadecimal digits.
fn random() -> io::Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
