//! The servers that the tests talk to: nginx, and a Python one for what nginx does not do.

use std::{fs, net::TcpStream, process::Command};

use super::{Dir, PATIENCE, PYTHON, Process, free_port, script, wait_until};

/// Short answers of every kind that `client.py short` asks for.
pub const PLACES: &str = r#"
    location /ok/ { return 200 "hello $uri\n"; }
    location /missing/ { return 404 "nothing\n"; }
    location /made/ { return 201 "made\n"; }
    location /broken/ { return 500 "broken\n"; }"#;

/// The paths of `peers/go/http_server.go`, as far as nginx goes. A body is read to its end for an upstream only.
const HTTP2_PLACES: &str = r#"
    location ~ ^/size/([0-9]+)/ { try_files /size-$1 =404; }
    location /length/ { proxy_pass http://unix:DIR/upstream; }
    location /status/204/ { return 204; }
    location /status/304/ { return 304; }
    location /status/503/ { return 503; }"#;

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
        Self::listen("", locations, files)
    }

    /// HTTP/2 in plain text, with prior knowledge: nginx 1.22 speaks nothing else on such a port.
    pub fn http2(files: &[(&str, Vec<u8>)]) -> Self {
        Self::listen("http2", HTTP2_PLACES, files)
    }

    fn listen(options: &str, locations: &str, files: &[(&str, Vec<u8>)]) -> Self {
        let dir = Dir::new();
        for (name, content) in files {
            dir.write(name, content);
        }
        let port = free_port();
        let path = dir.path().display();
        let locations = locations.replace("DIR", &path.to_string());
        let config = dir.write(
            "nginx.conf",
            format!(
                "daemon off; user root; pid {path}/pid; error_log {path}/error.log; worker_processes 2;
                 events {{ worker_connections 1024; }}
                 http {{ access_log off; sendfile on; keepalive_requests 100000; default_type text/plain;
                   client_body_temp_path {path}/t1; proxy_temp_path {path}/t2; fastcgi_temp_path {path}/t3;
                   uwsgi_temp_path {path}/t4; scgi_temp_path {path}/t5; client_max_body_size 100m;
                   server {{ listen 127.0.0.1:{port} backlog=1024 {options}; listen [::1]:{port} {options}; root {path};
                     {locations} }}
                   server {{ listen unix:{path}/upstream; location / {{ return 200 read; }} }} }}"
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

pub(super) fn wait_for_port(port: u16) {
    let open = wait_until(PATIENCE, || TcpStream::connect(("127.0.0.1", port)).ok());
    assert!(open.is_some(), "nobody listens on port {port}");
}
