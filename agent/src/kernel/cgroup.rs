//! Where the cgroup2 tree begins: the hooks see the sockets of the cgroup that they are attached to and of all below.

use std::path::{Path, PathBuf};

/// Mounts of process 1: the node's, also when the agent runs in a container with the host's process namespace.
const MOUNTS_OF_INIT: &str = "/proc/1/mountinfo";
const ROOT_OF_INIT: &str = "/proc/1/root";
const MOUNTS: &str = "/proc/self/mountinfo";

#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    #[error(
        "no cgroup2 file system is mounted; mount one with `mount -t cgroup2 none DIR` and name it with --cgroup DIR"
    )]
    NotMounted,
    #[error("{0} is not a cgroup2 directory; name the cgroup2 root with --cgroup DIR")]
    NotCgroup2(PathBuf),
}

/// The directory to attach to: `given`, else the first cgroup2 mount of process 1, else of this process.
pub fn cgroup2_root(given: Option<&Path>) -> Result<PathBuf, CgroupError> {
    if let Some(path) = given {
        return check(path.to_owned());
    }
    let of_init = std::fs::read_to_string(MOUNTS_OF_INIT).ok().and_then(|mounts| cgroup2_mount(&mounts));
    if let Some(mount) = of_init {
        let through_init = Path::new(ROOT_OF_INIT).join(mount.strip_prefix("/").unwrap_or(&mount));
        // A container's default AppArmor profile blocks /proc/1/root; on a host both are the same directory.
        for path in [through_init, mount] {
            if let Ok(path) = check(path) {
                return Ok(path);
            }
        }
    }
    let own = std::fs::read_to_string(MOUNTS).ok().and_then(|mounts| cgroup2_mount(&mounts));
    check(own.ok_or(CgroupError::NotMounted)?)
}

/// `cgroup.controllers` is in every cgroup2 directory, and in no cgroup1 one.
fn check(path: PathBuf) -> Result<PathBuf, CgroupError> {
    if path.join("cgroup.controllers").exists() { Ok(path) } else { Err(CgroupError::NotCgroup2(path)) }
}

/// The mount point of the first cgroup2 line (proc(5): the file system's type follows a lone `-`).
fn cgroup2_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        if file_system.split(' ').next()? != "cgroup2" {
            return None;
        }
        Some(PathBuf::from(mount.split(' ').nth(4)?.replace("\\040", " ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mount_of_a_hybrid_and_of_a_unified_host() {
        let hybrid = "30 24 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(hybrid), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        let unified = "26 23 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(cgroup2_mount(unified), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(cgroup2_mount("26 23 0:23 / /sys/fs/cgroup rw - cgroup cgroup rw\n"), None);
    }

    #[test]
    fn a_foreign_directory_is_refused() {
        assert!(matches!(cgroup2_root(Some(Path::new("/"))), Err(CgroupError::NotCgroup2(_))));
    }
}
