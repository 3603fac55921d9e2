//! What to type into a second terminal, ready to paste: a call, the command that shows it, and the JSON that adds the
//! agent to an assistant. The README shows the same lines, and a test replays them.

use std::{fmt::Write, io::IsTerminal, net::TcpListener, path::PathBuf};

use super::DEFAULT_LISTEN;

pub struct Transcript {
    pub binary: PathBuf,
    pub listen: String,
    pub token_file: PathBuf,
    /// Clients of this user look there anyway.
    pub usual_token_file: bool,
}

/// The example's server takes the first free port from here on.
const FIRST_PORT: u16 = 8000;

impl Transcript {
    pub fn print(&self) {
        // The token goes to a terminal only, never to a log.
        let token = std::fs::read_to_string(&self.token_file).ok().filter(|_| std::io::stdout().is_terminal());
        let token =
            token.map_or_else(|| format!("<the word in {}>", self.token_file.display()), |t| t.trim().to_owned());
        print!("{}", self.text(free_port(), &token));
    }

    fn text(&self, port: u16, token: &str) -> String {
        let tapwire = self.binary.display();
        let (listen, token_file) = (&self.listen, self.token_file.display());
        let mut agent = String::new();
        if listen != DEFAULT_LISTEN {
            let _ = write!(agent, " --agent http://{listen}");
        }
        if !self.usual_token_file {
            let _ = write!(agent, " --token-file {token_file}");
        }
        format!(
            r#"
Capturing. In a second terminal:

1. make a plain HTTP call

   (python3 -m http.server {port} --bind 127.0.0.1 >/dev/null 2>&1 & server=$!
    curl -sS -o /dev/null -w '%{{http_code}}\n' --retry 9 --retry-connrefused --retry-delay 1 'http://127.0.0.1:{port}/?hello=tapwire'
    kill $server)

2. see it

   {tapwire} calls --kfl 'dst.port == {port}'{agent}

3. add it to an assistant, by stdio

   {{"mcpServers": {{"tapwire": {{"command": "{tapwire}", "args": ["mcp", "--agent", "http://{listen}", "--token-file", "{token_file}"]}}}}}}

   or by HTTP (the token is the word in {token_file})

   {{"mcpServers": {{"tapwire": {{"type": "http", "url": "http://{listen}/mcp", "headers": {{"Authorization": "Bearer {token}"}}}}}}}}

Ctrl-C ends the capture.

"#
        )
    }
}

fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (FIRST_PORT..FIRST_PORT + 100).find(free).unwrap_or(FIRST_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(listen: &str, usual_token_file: bool) -> String {
        let (binary, token_file) =
            ("/home/you/tapwire/target/release/tapwire".into(), "/home/you/.local/state/tapwire/token".into());
        let transcript = Transcript { binary, listen: listen.to_owned(), token_file, usual_token_file };
        transcript.text(FIRST_PORT, "<the word in /home/you/.local/state/tapwire/token>")
    }

    #[test]
    fn names_the_agent_only_where_it_is_elsewhere() {
        assert!(at(DEFAULT_LISTEN, true).contains("/tapwire calls --kfl 'dst.port == 8000'\n"));
        let elsewhere = at("127.0.0.1:9", false);
        assert!(elsewhere.contains(" --agent http://127.0.0.1:9 --token-file /home/you/.local/state/tapwire/token\n"));
        assert!(elsewhere.contains(r#""url": "http://127.0.0.1:9/mcp""#));
    }

    #[test]
    fn the_readme_shows_it() {
        let readme = include_str!("../../../README.md");
        assert!(readme.contains(at(DEFAULT_LISTEN, true).trim()), "the README's transcript is another one");
    }
}
