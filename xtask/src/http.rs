//! The few words of HTTP that the other commands speak with a running agent.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// For a connection to this host, and for the agent to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The body of a 200 answer.
pub fn get(address: &str, path: &str) -> Result<String> {
    let mut addresses = address.to_socket_addrs().with_context(|| format!("{address} is no address"))?;
    let to = addresses.next().with_context(|| format!("{address} is no address"))?;
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    if head.split(' ').nth(1) != Some("200") {
        bail!("GET {path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

/// An address of this host that nobody uses.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
