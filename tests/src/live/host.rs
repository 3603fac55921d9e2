//! The machine: rights, temporary folders, processes, ports, network namespaces.

use std::{
    fs,
    io::Write,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Whether this process may load programs into the kernel.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Says past the test runner, which keeps what passing tests print, that a test does not run here.
pub fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stdout(), "\nskipped: {why} ({test})");
}

/// Whether a test that needs root's rights cannot run here, which it then says.
pub fn needs_root(test: &str) -> bool {
    if !is_root() {
        skip(test, "needs root");
    }
    !is_root()
}

/// Distinguishes what one test process makes.
static NUMBER: AtomicU32 = AtomicU32::new(0);

fn unique() -> String {
    format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A folder that goes away with the value. Other users may enter it.
#[derive(Debug)]
pub struct Dir(PathBuf);

impl Dir {
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("tapwire-test-{}", unique()));
        fs::create_dir_all(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
        Self(dir)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file into it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, content).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        file
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program that ends with the value.
#[derive(Debug)]
pub struct Process(pub Child);

impl Process {
    /// Starts it with its output going to files `NAME.out` and `NAME.err` in `dir`.
    pub fn start(command: &mut Command, dir: &Dir, name: &str) -> Self {
        let out = |end: &str| {
            fs::File::create(dir.file(&format!("{name}.{end}"))).unwrap_or_else(|error| panic!("{name}.{end}: {error}"))
        };
        let command = command.stdin(Stdio::null()).stdout(out("out")).stderr(out("err"));
        Self(command.spawn().unwrap_or_else(|error| panic!("cannot start {name}: {error}")))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        let done = Command::new("sh").args(["-c", &kill]).status().is_ok_and(|status| status.success());
        assert!(done, "{kill}");
    }

    /// Waits until it has ended; None when it has not by then.
    pub fn ended(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        wait_until(patience, || self.0.try_wait().ok().flatten())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SIGTERM first: nginx's master ends its workers then, and cannot after SIGKILL.
        if self.0.try_wait().ok().flatten().is_none() {
            self.signal("TERM");
            if self.ended(Duration::from_secs(3)).is_none() {
                let _ = self.0.kill();
                let _ = self.0.wait();
            }
        }
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.unwrap_or_else(|error| panic!("no free port: {error}")).port()
}

/// Asks again until there is an answer, or patience ends.
pub fn wait_until<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > end {
            return None;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A network namespace of our own, with loopback up.
#[derive(Debug)]
pub struct Netns(String);

impl Netns {
    #[expect(clippy::new_without_default, reason = "it makes a namespace")]
    pub fn new() -> Self {
        let name = format!("tw{}", unique());
        run(Command::new("ip").args(["netns", "add", &name]));
        let netns = Self(name);
        netns.run("ip link set lo up");
        netns
    }

    pub fn name(&self) -> &str {
        &self.0
    }

    /// A command that runs inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }

    /// Runs a line inside.
    pub fn run(&self, line: &str) {
        run(self.command("sh").args(["-c", line]));
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
