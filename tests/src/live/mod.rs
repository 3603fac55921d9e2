//! What the tests with real programs share: an agent under test, servers and clients, network namespaces. Everything
//! that is started here ends with the value that stands for it, by its process id. Traffic stays on loopback and in
//! network namespaces of our own; what other processes of the machine do is captured too, so every question names the
//! ports or the ids of its own calls.

mod agent;
mod host;
mod peers;
mod python;
mod said;
mod servers;

pub use agent::{Agent, PATIENCE, calls_by, tapwire};
pub use host::{Dir, Netns, Process, free_port, is_root, needs_root, skip, wait_until};
pub use peers::{Client, Peer, TWO_MINUTES, needs_peers};
pub use python::{PYTHON, client, json_lines, mcp, run_script, script};
pub use said::{Known, Said, assert_said};
pub use servers::{Nginx, PLACES, Server};
