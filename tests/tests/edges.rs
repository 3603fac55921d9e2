//! The edges without the kernel side: a store filled by hand, served on loopback, asked by the official MCP client, by
//! bare HTTP and JSON-RPC, and by our own command line. Needs no rights.

#[path = "edges/command_line.rs"]
mod command_line;
#[path = "edges/guards.rs"]
mod guards;
#[path = "edges/protocol.rs"]
mod protocol;
#[path = "edges/served.rs"]
mod served;
