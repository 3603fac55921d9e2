//! What `agent` says at its start: where it serves, and how to ask it. The token goes to a terminal only: standard
//! error of a service is a log, and logs are read by others.

use std::{
    io::{IsTerminal, Write},
    net::{IpAddr, SocketAddr},
    path::Path,
};

use super::Token;

/// Prints the address and lines ready to paste, on standard error.
pub fn announce(listen: SocketAddr, token_file: &Path, token: &Token) {
    let terminal = std::io::stderr().is_terminal();
    let program = std::env::current_exe().unwrap_or_else(|_| "tapwire".into());
    let text = text(listen, token_file, &program, terminal.then_some(token));
    // Nobody to tell is no reason to stop.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The URL at which this host reaches the agent.
pub fn url(listen: SocketAddr) -> String {
    let address = match listen.ip() {
        IpAddr::V4(address) if address.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], listen.port())),
        IpAddr::V6(address) if address.is_unspecified() => {
            SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, listen.port()))
        }
        IpAddr::V4(_) | IpAddr::V6(_) => listen,
    };
    format!("http://{address}")
}

fn text(listen: SocketAddr, token_file: &Path, program: &Path, token: Option<&Token>) -> String {
    let url = url(listen);
    let (file, program) = (token_file.display(), program.display());
    let mut arguments = vec!["mcp".to_owned()];
    if url != crate::cli::DEFAULT_AGENT {
        arguments.extend(["--agent".to_owned(), url.clone()]);
    }
    // Clients look there by themselves only for an agent on loopback.
    let known = super::token::client_files().iter().any(|known| known == token_file);
    if !known || !(listen.ip().is_loopback() || listen.ip().is_unspecified()) {
        arguments.extend(["--token-file".to_owned(), token_file.display().to_string()]);
    }
    let stdio = serde_json::json!({"mcpServers": {"tapwire": {"command": program.to_string(), "args": arguments}}});
    let bearer = format!("Bearer <the word in {file}>");
    let server = serde_json::json!({"type": "http", "url": format!("{url}/mcp"), "headers": {"Authorization": bearer}});
    let http = serde_json::json!({"mcpServers": {"tapwire": server}});
    let shown = token.map(|token| format!("  token:   {}\n", token.secret())).unwrap_or_default();
    format!(
        "tapwire serves MCP at {url}/mcp; the token is in {file}\n\
         {shown}\
         add it to an assistant, by stdio:\n  {stdio}\n\
         or by HTTP:\n  {http}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_named_by_its_file_and_shown_only_when_asked() {
        let directory = std::env::temp_dir().join(format!("tapwire-announce-{}", std::process::id()));
        let file = directory.join("token");
        let token = Token::load_or_create(&file).unwrap();
        let listen = "0.0.0.0:7331".parse().unwrap();
        let quiet = text(listen, &file, Path::new("/opt/tapwire"), None);
        assert!(quiet.contains("http://127.0.0.1:7331/mcp") && quiet.contains(&*file.to_string_lossy()));
        assert!(quiet.contains("\"--token-file\"") && quiet.contains("/opt/tapwire"));
        assert!(!quiet.contains(token.secret()));
        assert!(text(listen, &file, Path::new("/opt/tapwire"), Some(&token)).contains(token.secret()));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn urls() {
        for (listen, expected) in [
            ("127.0.0.1:7330", "http://127.0.0.1:7330"),
            ("[::]:1", "http://[::1]:1"),
            ("10.0.0.1:2", "http://10.0.0.1:2"),
        ] {
            assert_eq!(url(listen.parse().unwrap()), expected);
        }
    }
}
