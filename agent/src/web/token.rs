//! The bearer token: made once in a file that only its owner may read, then compared in constant time. It is never
//! printed but to a terminal; logs know it by its fingerprint.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::token_file;

/// Where `agent` keeps the token unless told otherwise, and where clients look last.
pub const SYSTEM_FILE: &str = "/run/tapwire/token";

/// A file beyond this is something else.
const FILE_MAX: u64 = 4096;

/// What a caller must show.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.fingerprint())
    }
}

impl Token {
    /// Reads the token file, or makes it: mode 0600, in a directory that is made with mode 0700 when it is not there.
    ///
    /// # Errors
    /// One line that names the file: it cannot be made or read, or holds no token.
    pub fn load_or_create(path: &Path) -> Result<Self, String> {
        let failed =
            |what: &str, error: &io::Error| format!("cannot {what} the token file {}: {error}", path.display());
        match Self::read(path) {
            Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(ReadError::Io(error)) => return Err(failed("read", &error)),
            Err(ReadError::Content(what)) => return Err(format!("the token file {} {what}", path.display())),
            Ok(token) => {
                warn_when_others_read(path);
                return Ok(token);
            }
        }
        token_file::create(path).map_err(|error| failed("make", &error))?;
        // Read back: two agents that start at once agree on the one that came first.
        Self::read(path).map_err(|error| match error {
            ReadError::Io(error) => failed("read", &error),
            ReadError::Content(what) => format!("the token file {} {what}", path.display()),
        })
    }

    /// Reads an existing token file.
    ///
    /// # Errors
    /// It cannot be read, or holds no token.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let mut text = String::new();
        File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text)).map_err(ReadError::Io)?;
        let token = text.trim();
        if token.is_empty() {
            return Err(ReadError::Content("is empty: write a token into it, or remove it to have one made"));
        }
        // RFC 6750 section 2.1: b64token; anything else could not be sent in a header.
        if text.len() as u64 > FILE_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ReadError::Content("must hold one line without spaces"));
        }
        Ok(Self(token.to_owned()))
    }

    /// Compares digests, so that neither the time nor the length tells how much of a guess was right.
    pub fn matches(&self, presented: &str) -> bool {
        let (mine, theirs) = (Sha256::digest(self.0.as_bytes()), Sha256::digest(presented.as_bytes()));
        let difference = mine.iter().zip(theirs.iter()).fold(0_u8, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(difference) == 0
    }

    /// Names the token in logs: 8 hex digits of its digest.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(self.0.as_bytes()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    }

    /// For the `Authorization` header, and for a terminal.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

/// Why a token file gave no token.
#[derive(Debug)]
pub enum ReadError {
    Io(io::Error),
    /// Goes on after the file's name.
    Content(&'static str),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Content(what) => f.write_str(what),
        }
    }
}

/// Where clients look, in this order.
pub fn client_files() -> Vec<PathBuf> {
    // Assistants start their servers with few variables, and this is not among them; /proc/self belongs to the user.
    let runtime = match token_file::variable("XDG_RUNTIME_DIR") {
        Some(_) => None,
        None => fs::metadata("/proc/self").ok().map(|own| format!("/run/user/{}/tapwire/token", own.uid()).into()),
    };
    runtime.into_iter().chain(token_file::own_files()).chain([SYSTEM_FILE.into()]).collect()
}

fn warn_when_others_read(path: &Path) {
    let Ok(mode) = fs::metadata(path).map(|metadata| metadata.permissions().mode()) else { return };
    if mode & 0o077 != 0 {
        let mode = format!("{:04o}", mode & 0o7777);
        tracing::warn!(file = %path.display(), mode, "others may read the token file: chmod 600 it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tapwire-token-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn is_made_once_and_only_for_its_owner() {
        let directory = scratch("made");
        let path = directory.join("inner/token");
        let first = Token::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(directory.join("inner")).unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(first.secret().len() == 64 && first.secret().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(Token::load_or_create(&path).unwrap().secret(), first.secret());
        assert_eq!(fs::read_dir(directory.join("inner")).unwrap().count(), 1);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn agents_that_start_together_agree() {
        let directory = scratch("race");
        let path = directory.join("token");
        let tokens: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| Token::load_or_create(&path))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let mut secrets: Vec<_> = tokens.iter().map(|token| token.as_ref().unwrap().secret()).collect();
        secrets.dedup();
        assert_eq!(secrets.len(), 1);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_file_without_a_token_is_refused() {
        let directory = scratch("empty");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("token");
        for content in ["", " \n", "two words", "caf\u{e9}"] {
            fs::write(&path, content).unwrap();
            let error = Token::load_or_create(&path).unwrap_err();
            assert!(error.contains("token file") && !error.contains('\n'), "{error}");
        }
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn matches_only_itself_and_hides() {
        let token = Token("abc".to_owned());
        assert!(token.matches("abc"));
        for wrong in ["", "ab", "abd", "abcd", "ABC"] {
            assert!(!token.matches(wrong));
        }
        assert!(!format!("{token:?}").contains("abc"));
        assert_eq!(token.fingerprint(), "ba7816bf");
    }
}
