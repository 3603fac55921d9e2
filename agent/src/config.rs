//! The arguments of the commands that run the pipeline, each with its environment variable `TAPWIRE_<FLAG>`, checked
//! once: what a limit may be is said here and nowhere else. The commands that ask a running agent declare their own
//! flags beside their code, in `cli`.

mod units;

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use clap::{Args, builder::BoolishValueParser};

pub use units::{ByteSize, Span};

use crate::dissect::{SchemaError, Schemas};

/// Smallest store: some segments must fit, or every publication evicts what was published just before.
const MEMORY_MIN: ByteSize = ByteSize::mib(1);
/// More than any node gives to an agent: a slip of the unit.
const MEMORY_MAX: ByteSize = ByteSize::gib(1024);
/// One message may not fill the smallest useful store.
const MAX_BODY_MAX: ByteSize = ByteSize::mib(16);
/// Far beyond what one node can copy.
const BODY_RATE_MAX: ByteSize = ByteSize::gib(1024);
/// A name in DNS has at most 253 characters (RFC 1035 section 3.1, as text).
const NODE_NAME_MAX: usize = 253;

/// `tapwire agent`.
#[derive(Args, Clone, Debug)]
pub struct AgentArgs {
    /// Address and port to serve MCP and the command line on
    #[arg(long, env = "TAPWIRE_LISTEN", value_name = "ADDR:PORT", default_value = "127.0.0.1:7330")]
    pub listen: SocketAddr,

    /// Memory of the store; the oldest calls make room
    #[arg(long, env = "TAPWIRE_MEMORY", value_name = "SIZE", default_value = "256MiB", value_parser = memory)]
    pub memory: ByteSize,

    /// Bytes kept of each message's body
    #[arg(long, env = "TAPWIRE_MAX_BODY", value_name = "SIZE", default_value = "64KiB", value_parser = max_body)]
    pub max_body: ByteSize,

    /// Body bytes copied a second on this node; 0 copies heads only
    #[arg(long, env = "TAPWIRE_BODY_RATE", value_name = "SIZE", default_value = "100MiB", value_parser = body_rate)]
    pub body_rate: ByteSize,

    /// File of the bearer token; made at the first start
    #[arg(long, env = "TAPWIRE_TOKEN_FILE", value_name = "FILE", default_value = crate::web::token::SYSTEM_FILE)]
    pub token_file: PathBuf,

    /// Host header served besides loopback; may be given several times, or with commas
    #[arg(long, env = "TAPWIRE_ALLOW_HOST", value_name = "NAME", value_delimiter = ',', value_parser = host_name)]
    pub allow_host: Vec<String>,

    /// cgroup2 directory whose processes are captured [default: the cgroup2 root of process 1]
    #[arg(long, env = "TAPWIRE_CGROUP", value_name = "PATH")]
    pub cgroup: Option<PathBuf>,

    /// Name of this node in answers and in the field node_name [default: the host's name]
    #[arg(long, env = "TAPWIRE_NODE_NAME", value_name = "NAME", value_parser = node_name)]
    pub node_name: Option<String>,

    /// Store secrets as they are, instead of replacing their values
    #[arg(long, env = "TAPWIRE_NO_REDACT", value_parser = BoolishValueParser::new())]
    pub no_redact: bool,

    /// Descriptors of gRPC services, as `protoc --include_imports --descriptor_set_out` writes them
    #[arg(long, env = "TAPWIRE_DESCRIPTOR_SET", value_name = "FILE", value_parser = schemas)]
    pub descriptor_set: Option<Arc<Schemas>>,
}

/// `tapwire read`.
#[derive(Args, Clone, Debug)]
pub struct ReadArgs {
    /// Capture files: pcap or pcapng, also gzip or zstd; `-` is standard input. Several are read as one capture
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Print only calls that match this filter
    #[arg(long, value_name = "EXPR")]
    pub kfl: Option<String>,

    /// Print at most this many calls [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// Output format [default: table on a terminal, else jsonl]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    pub output: Option<crate::cli::Format>,

    /// Bytes kept of each message's body
    #[arg(long, env = "TAPWIRE_MAX_BODY", value_name = "SIZE", default_value = "64KiB", value_parser = max_body)]
    pub max_body: ByteSize,

    /// Show secrets as they are, instead of replacing their values
    #[arg(long, env = "TAPWIRE_NO_REDACT", value_parser = BoolishValueParser::new())]
    pub no_redact: bool,

    /// Descriptors of gRPC services, as `protoc --include_imports --descriptor_set_out` writes them
    #[arg(long, env = "TAPWIRE_DESCRIPTOR_SET", value_name = "FILE", value_parser = schemas)]
    pub descriptor_set: Option<Arc<Schemas>>,

    /// Threads that dissect [default: one a core]
    #[arg(long, env = "TAPWIRE_THREADS", value_name = "N")]
    pub threads: Option<std::num::NonZero<usize>>,
}

fn schemas(path: &str) -> Result<Arc<Schemas>, SchemaError> {
    Schemas::open(path.as_ref()).map(Arc::new)
}

fn memory(text: &str) -> Result<ByteSize, String> {
    ByteSize::within(text, MEMORY_MIN, MEMORY_MAX)
}

fn max_body(text: &str) -> Result<ByteSize, String> {
    ByteSize::within(text, ByteSize(0), MAX_BODY_MAX)
}

fn body_rate(text: &str) -> Result<ByteSize, String> {
    ByteSize::within(text, ByteSize(0), BODY_RATE_MAX)
}

/// A name or an address as it stands in a Host header, without a port: ports are not compared.
fn host_name(text: &str) -> Result<String, String> {
    let name = text.trim().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address = name.parse::<std::net::IpAddr>().is_ok();
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    if name.is_empty() || name.len() > NODE_NAME_MAX || !(plain || address) {
        return Err("must be a host name or an address, without scheme or port".to_owned());
    }
    Ok(name)
}

fn node_name(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > NODE_NAME_MAX || text.chars().any(char::is_control) {
        return Err(format!("must be 1 to {NODE_NAME_MAX} printable characters"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Agent {
        #[command(flatten)]
        args: AgentArgs,
    }

    fn parse(args: &[&str]) -> Result<AgentArgs, clap::Error> {
        Agent::try_parse_from([&["agent"], args].concat()).map(|agent| agent.args)
    }

    #[test]
    fn defaults_are_those_of_the_interface() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.listen.to_string(), "127.0.0.1:7330");
        assert_eq!(args.memory, ByteSize::mib(256));
        assert_eq!(args.max_body, ByteSize(65_536));
        assert_eq!(args.body_rate, ByteSize::mib(100));
        assert_eq!(args.token_file, PathBuf::from("/run/tapwire/token"));
        assert!(!args.no_redact && args.allow_host.is_empty() && args.cgroup.is_none());
    }

    #[test]
    fn absurd_limits_and_unknown_flags_are_wrong_usage() {
        for wrong in [
            &["--memory", "0"][..],
            &["--memory", "1TB9"],
            &["--memory", "9999GiB"],
            &["--max-body", "1GiB"],
            &["--body-rate", "-1"],
            &["--listen", "7330"],
            &["--allow-host", "http://a/"],
            &["--kubernetes", "on"],
            &["--packets", "64MiB"],
        ] {
            let error = parse(wrong).map(|_| ()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
        assert_eq!(parse(&["--allow-host", "a,B.example"]).unwrap().allow_host, ["a", "b.example"]);
        assert_eq!(parse(&["--body-rate", "0"]).unwrap().body_rate, ByteSize(0));
    }

    #[test]
    fn every_agent_flag_has_its_variable() {
        use clap::CommandFactory;
        for argument in Agent::command().get_arguments().filter(|argument| argument.get_id() != "help") {
            let flag = argument.get_long().unwrap();
            let variable = format!("TAPWIRE_{}", flag.to_ascii_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(variable.as_str()));
        }
    }
}
