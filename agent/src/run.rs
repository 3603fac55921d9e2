//! The agent on one page: what is started in which order, what each thread does, and how all of it ends.
//!
//! ```text
//! main thread   binds, loads and attaches, then runs tokio: the HTTP surface and the signals
//! shard thread  kernel ring → flow → dissect → record → store, every 100 ms
//! ```
//!
//! Anything that can be refused is tried before anything is started: a port in use, missing rights, an old kernel or a
//! bad token file end the program with one line, and nothing stays behind.

use std::{
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use crate::{
    capture::ring::{Heard, hear},
    config::AgentArgs,
    dissect::{Settings, kafka::TopicNames},
    flow::{Dropped, Limits},
    kernel::{self, CgroupError, Clock, Kernel, LoadError, Ring},
    record::{Redactor, fields::set_node_name},
    shard::{Shard, ShardOptions},
    status::{self, KernelCounters, RefusedSegments, Status},
    store::Store,
    time::Time,
    web::{self, App, Token},
};

/// A call can be asked for this long after its last byte.
const PUBLISH_EVERY: Duration = Duration::from_millis(100);
/// How often flows expire, losses are taken from the kernel, and the status is made anew.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// The reader looks into the ring at least this often; the kernel side wakes it only when much is waiting.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Events read between two looks at the clock.
const BATCH: usize = 1024;
/// Running answers may take this long to end: the whole close stays below 2 s.
const CLOSE_WITHIN: Duration = Duration::from_millis(1500);
/// Threads of tokio: it serves people and assistants, never the byte path.
const EDGE_THREADS: usize = 2;

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("cannot listen on {address}: {error}; choose another with --listen, or end what uses it")]
    Listen { address: std::net::SocketAddr, error: std::io::Error },
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{0}")]
    Token(String),
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    #[error("the capture ended in a panic, whose message stands above")]
    Panic,
}

/// Captures and serves until SIGTERM or SIGINT.
pub fn agent(args: &AgentArgs) -> Result<(), RunError> {
    let listen = |error| RunError::Listen { address: args.listen, error };
    let listener = TcpListener::bind(args.listen).map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    listener.set_nonblocking(true)?;
    let cgroup = kernel::cgroup2_root(args.cgroup.as_deref())?;
    let options = kernel::Options { cgroup, max_body: args.max_body.0, body_rate: args.body_rate.0 };
    let (kernel, ring) = kernel::load(&options, &listener)?;
    let redactor = if args.no_redact { None } else { Some(Redactor::from_environment(args.max_body.as_usize())?) };
    let token = Token::load_or_create(&args.token_file).map_err(RunError::Token)?;

    let node = args.node_name.clone().unwrap_or_else(host_name);
    set_node_name(node.clone());
    let store = Arc::new(Store::new(args.memory.as_usize()));
    let status = Arc::new(status::Shared::new(Status {
        listen: address.to_string(),
        capture: kernel.hooks.clone(),
        redaction: !args.no_redact,
        max_body: args.max_body.0,
        body_rate: args.body_rate.0,
        cgroup: options.cgroup.display().to_string(),
        ..Status::new(node.clone())
    }));
    let names = Arc::<TopicNames>::default();
    let shard = Shard::new(ShardOptions {
        settings: Settings {
            max_body: args.max_body.as_usize(),
            schemas: args.descriptor_set.clone().unwrap_or_default(),
            topic_names: names.clone(),
        },
        limits: Limits::default(),
        redactor,
        epoch: epoch(),
    });

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(EDGE_THREADS).enable_all().build()?;
    let stop = CancellationToken::new();
    let path = thread::Builder::new().name("shard-0".to_owned()).spawn({
        let (store, status, stop) = (store.clone(), status.clone(), stop.clone());
        move || BytePath::new(kernel, ring, shard, names, store, status).run(&stop)
    })?;
    tracing::info!(%address, cgroup = %options.cgroup.display(), node, "capturing");
    web::announce(address, &args.token_file, &token);
    let app = App { store, status, node, token, allow_hosts: args.allow_host.clone() };
    let served = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let server = tokio::spawn(web::serve(listener, app, stop.clone()));
        let signal = wait_for_signal(&stop).await;
        // Also when the signals can't be had: nothing may go on running behind an error.
        stop.cancel();
        let _ = tokio::time::timeout(CLOSE_WITHIN, server).await;
        signal
    });
    runtime.shutdown_background();
    let captured = path.join();
    tracing::info!("stopped");
    served?;
    captured.map_err(|_| RunError::Panic)
}

async fn wait_for_signal(stop: &CancellationToken) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        // The byte path ended by itself.
        () = stop.cancelled() => {}
    }
    Ok(())
}

/// One shard's thread.
struct BytePath {
    kernel: Kernel,
    ring: Ring,
    shard: Shard,
    /// By which records name topics of Kafka.
    names: Arc<TopicNames>,
    store: Arc<Store>,
    status: Arc<status::Shared>,
    clock: Clock,
    events: u64,
    malformed_events: u64,
    /// As of the last sweep.
    counted: KernelCounters,
    /// Start of what is published next.
    from: Time,
}

impl BytePath {
    fn new(
        kernel: Kernel,
        ring: Ring,
        shard: Shard,
        names: Arc<TopicNames>,
        store: Arc<Store>,
        status: Arc<status::Shared>,
    ) -> Self {
        let clock = Clock::new();
        let from = Time::now();
        let counted = KernelCounters::default();
        Self { kernel, ring, shard, names, store, status, clock, events: 0, malformed_events: 0, counted, from }
    }

    fn run(mut self, stop: &CancellationToken) {
        // However this thread ends, the program ends with it.
        let _ended = stop.clone().drop_guard();
        let (mut published, mut swept) = (Instant::now(), Instant::now());
        while !stop.is_cancelled() {
            let read = self.read();
            let now = Instant::now();
            if now.duration_since(swept) >= SWEEP_EVERY {
                swept = now;
                self.sweep();
            }
            if now.duration_since(published) >= PUBLISH_EVERY {
                published = now;
                self.publish();
            }
            if read < BATCH {
                self.ring.wait(LOOK_EVERY);
            }
        }
        self.read();
        self.take_losses();
        self.shard.finish();
        self.publish();
    }

    /// Reads a batch from the ring.
    fn read(&mut self) -> usize {
        let Self { ring, shard, clock, events, malformed_events, .. } = self;
        ring.drain(BATCH, |event| {
            *events += 1;
            match hear(event, *events, clock) {
                Heard::Packet(packet) => shard.packet(&packet),
                Heard::Own { cookie } => shard.forget(cookie),
                Heard::Unreadable => shard.unreadable(false),
                Heard::Malformed => *malformed_events += 1,
            }
        })
    }

    fn publish(&mut self) {
        self.kernel.flush_log();
        let (mut records, counters) = self.shard.take();
        for record in &mut records {
            self.names.name_topics(&mut record.exchange);
        }
        let to = Time::now();
        if !records.is_empty() || !counters.is_empty() {
            self.status.count(&counters);
            self.store.publish(records, counters, self.from, to);
        }
        self.from = to;
    }

    fn sweep(&mut self) {
        self.clock.refresh();
        self.take_losses();
        let now = Time::now();
        self.shard.expire(now);
        self.shard.show_open(now);
        let (flows, undecoded) = self.shard.report();
        let Dropped { outside_window, after_end, resets } = self.shard.flows().dropped();
        let refused = RefusedSegments { outside_window, after_end, resets };
        self.status.update(|status| {
            status.flows = flows;
            status.undecoded_flows = undecoded;
            status.refused_segments = refused;
        });
    }

    /// Each time, whatever the counts say: the kernel side counts a loss before it notes it.
    fn take_losses(&mut self) {
        for lost in self.ring.take_lost() {
            self.shard.lost(lost.cookie, lost.egress, lost.end, lost.bytes);
        }
        let counters = match self.ring.counters() {
            Ok(counters) => KernelCounters { malformed_events: self.malformed_events, ..counters },
            Err(error) => return tracing::warn!(%error, "kernel counters not read"),
        };
        let before = std::mem::replace(&mut self.counted, counters);
        let packets = counters.ring_full.saturating_sub(before.ring_full);
        if packets > 0 {
            tracing::warn!(packets, "ring full: packets lost");
        }
        self.shard.counters().lost_unnoted += counters.lost_unnoted.saturating_sub(before.lost_unnoted);
        self.status.update(|status| status.kernel = counters);
    }
}

/// The node's name where none was given.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Tells this run's record ids from those of an earlier one.
fn epoch() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    // Keyed anew by the standard library in each process; 0 is for capture files.
    (RandomState::new().hash_one(std::process::id()) as u32).max(1)
}
