//! The servers that the tests talk to: nginx, and a Python one for what nginx does not do.

use std::{fs, net::TcpStream, process::Command};

use super::{Dir, PATIENCE, PYTHON, Process, free_port, script, wait_until};

/// Short answers of every kind that `client.py short` asks for.
pub const PLACES: &str = r#"
    location /ok/ { return 200 "hello $uri\n"; }
    location /missing/ { return 404 "nothing\n"; }
    location /made/ { return 201 "made\n"; }
    location /broken/ { return 500 "broken\n"; }"#;

/// nginx with one server block, on loopback of both families.
#[derive(Debug)]
pub struct Nginx {
    pub process: Process,
    pub dir: Dir,
    pub port: u16,
}

impl Nginx {
    /// `locations` go into the server block. Files are served from `dir`.
    pub fn start(locations: &str, files: &[(&str, Vec<u8>)]) -> Self {
        let dir = Dir::new();
        for (name, content) in files {
            dir.write(name, content);
        }
        let port = free_port();
        let path = dir.path().display();
        let config = dir.write(
            "nginx.conf",
            format!(
                "daemon off; user root; pid {path}/pid; error_log {path}/error.log; worker_processes 2;
                 events {{ worker_connections 1024; }}
                 http {{ access_log off; sendfile on; keepalive_requests 100000; default_type text/plain;
                   client_body_temp_path {path}/t1; proxy_temp_path {path}/t2; fastcgi_temp_path {path}/t3;
                   uwsgi_temp_path {path}/t4; scgi_temp_path {path}/t5; client_max_body_size 100m;
                   server {{ listen 127.0.0.1:{port} backlog=1024; listen [::1]:{port}; root {path};
                     {locations} }} }}"
            ),
        );
        let nginx = if fs::exists("/usr/sbin/nginx").unwrap_or(false) { "/usr/sbin/nginx" } else { "nginx" };
        let process = Process::start(Command::new(nginx).arg("-c").arg(config), &dir, "nginx");
        wait_for_port(port);
        Self { process, dir, port }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// `server.py`: answers that nginx would not give.
#[derive(Debug)]
pub struct Server {
    pub process: Process,
    pub dir: Dir,
    pub port: u16,
}

impl Server {
    #[expect(clippy::new_without_default, reason = "it starts a process")]
    pub fn new() -> Self {
        let dir = Dir::new();
        let port = free_port();
        let mut command = Command::new(PYTHON);
        let process =
            Process::start(command.arg(script("server.py")).args(["127.0.0.1", &port.to_string()]), &dir, "server");
        wait_for_port(port);
        Self { process, dir, port }
    }
}

fn wait_for_port(port: u16) {
    let open = wait_until(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok());
    assert!(open.is_some(), "nobody listens on port {port}");
}
