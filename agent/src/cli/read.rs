//! `tapwire read`: capture files through the agent's own byte path, their calls printed as they are settled.

use std::{
    fs::File,
    io::Write,
    num::NonZero,
    os::fd::AsFd,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use super::{Failure, Format, calls::coverage_line, eprint_line, table};
use crate::{
    capture::pcap::Merge,
    config::ReadArgs,
    coverage::Coverage,
    dissect::{
        Settings,
        kafka::{self, TopicNames},
    },
    flow::Limits,
    query::filter::Filter,
    read::{
        self, Fault, LANES, Totals, Turn,
        order::{Buffers, HANDED_ON, Key, Lines, Order},
    },
    record::{
        Record, Redactor,
        json::{self, Detail},
    },
    shard::ShardOptions,
    time::Time,
};

/// Batches after which a lane says at the latest how far it has come: the others' lines wait for that.
const TURNS: usize = 16;
/// One more batch for so many flows: to say how far it has come costs the lane a look at all of them.
const FLOWS_A_TURN: usize = 64;
/// Hand-overs that may wait for the printing.
const WAITING: usize = 2 * LANES;

/// # Errors
/// The filter is wrong, or nothing can be read or printed.
pub fn run(arguments: ReadArgs) -> Result<ExitCode, Failure> {
    let filter = match arguments.kfl.as_deref().map(Filter::parse).transpose() {
        Ok(filter) => filter,
        Err(error) => {
            eprint_line(&format!("tapwire: {error}"));
            return Ok(ExitCode::from(2));
        }
    };
    for note in filter.iter().flat_map(|filter| filter.notes()) {
        eprint_line(&format!("note: {note}"));
    }
    if arguments.files.iter().filter(|file| file.as_os_str() == "-").count() > 1 {
        eprint_line("tapwire: standard input can be read only once: name `-` once");
        return Ok(ExitCode::from(2));
    }
    let format = Format::or_default(arguments.output);
    let max_body = arguments.max_body.as_usize();
    let options = ShardOptions {
        settings: Settings {
            max_body,
            schemas: arguments.descriptor_set.clone().unwrap_or_default(),
            ..Settings::default()
        },
        limits: Limits::default(),
        redactor: if arguments.no_redact { None } else { Some(Redactor::from_environment(max_body)?) },
        epoch: 0,
    };
    let threads = arguments.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZero::get);
    let files = read::open(arguments.files);
    let printing = Printing {
        filter,
        format,
        live: files.live(),
        limit: arguments.limit,
        now: Time::now(),
        names: options.settings.topic_names.clone(),
        unnamed: Mutex::default(),
    };
    let totals = printing.print(files, &options, threads)?;
    Ok(close(&totals, format))
}

/// What the answer rests on, and how it went.
fn close(totals: &Totals, format: Format) -> ExitCode {
    let failed = totals.files.iter().filter(|file| file.fault && !file.readable).count();
    if failed == totals.files.len() {
        return ExitCode::FAILURE;
    }
    let coverage = Coverage {
        from: totals.from,
        to: totals.to,
        counters: totals.counters.clone(),
        unreadable_files: totals.files.iter().any(|file| file.fault),
        ..Coverage::default()
    };
    coverage_line(&coverage.to_json(), format);
    if totals.files.iter().any(|file| file.fault) { ExitCode::from(3) } else { ExitCode::SUCCESS }
}

struct Printing {
    filter: Option<Filter>,
    format: Format,
    live: bool,
    limit: Option<u64>,
    /// What `now()` means in the filter.
    now: Time,
    /// What Kafka's connections have told.
    names: Arc<TopicNames>,
    /// Calls that name topics by ids: which names they have is known at the end, whatever lane has read it.
    unnamed: Mutex<Unnamed>,
}

#[derive(Default)]
struct Unnamed {
    records: Vec<Record>,
    bytes: usize,
    full: bool,
}

/// Bytes of calls that wait for the names of their topics. Beyond it they get those that are known by then.
const UNNAMED: usize = 64 << 20;

impl Printing {
    /// Reads on other threads; this one puts lines in order and prints them.
    fn print(&self, files: Merge, options: &ShardOptions, threads: usize) -> Result<Totals, Failure> {
        let mut out = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
        let buffers = Buffers::default();
        let stop = AtomicBool::new(false);
        let (send, receive) = sync_channel(WAITING);
        match self.format {
            Format::Table => writeln!(out, "{}", table::header())?,
            Format::Json => out.write_all(b"[")?,
            Format::Jsonl => {}
        }
        let mut order = Order::new(out, &buffers, self.limit, self.live);
        if self.format == Format::Json {
            order.without_first_byte();
        }
        let (totals, printed) = thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let send = send;
                let sink = |lane| LanePrinter::new(self, lane, &buffers, send.clone()).into_sink();
                read::run(files, options, threads, &stop, tell, sink)
            });
            // Ends when the last lane does, or when nobody reads what is printed.
            let printed = receive.iter().try_for_each(|lines| order.add(lines));
            let printed = printed.and_then(|()| order.add(self.deferred())).and_then(|()| order.finish());
            stop.store(true, Ordering::Relaxed);
            drop(receive);
            (reading.join(), printed)
        });
        let (mut out, late) = printed?;
        if self.format == Format::Json {
            out.write_all(b"\n]\n")?;
        }
        if late > 0 {
            eprint_line(&format!("note: {late} calls are printed out of order: the time of their packets goes back"));
        }
        if self.unnamed.lock().unwrap_or_else(PoisonError::into_inner).full {
            eprint_line(&format!(
                "note: more than {} MiB of calls waited for the names of their topics: others have the names that were \
                 known when they were read",
                UNNAMED >> 20
            ));
        }
        totals.map_err(|_| Failure::Failed("reading ended early".to_owned()))
    }

    /// Keeps a call until all names are known; gives it back when it need not or can't wait.
    fn defer(&self, mut record: Record) -> Option<Record> {
        if !kafka::has_unnamed(&mut record.exchange) {
            return Some(record);
        }
        let mut unnamed = self.unnamed.lock().unwrap_or_else(PoisonError::into_inner);
        unnamed.full |= !self.live && unnamed.bytes > UNNAMED;
        if self.live || unnamed.full {
            self.names.name_topics(&mut record.exchange);
            return Some(record);
        }
        unnamed.bytes += record.memory();
        unnamed.records.push(record);
        None
    }

    /// The calls that were kept, once all lanes have ended.
    fn deferred(&self) -> Lines {
        let records = std::mem::take(&mut self.unnamed.lock().unwrap_or_else(PoisonError::into_inner).records);
        let (mut text, mut lines) = (Vec::new(), Vec::new());
        for mut record in records {
            self.names.name_topics(&mut record.exchange);
            self.add(&record, &mut text, &mut lines);
        }
        Lines { lane: 0, text, lines, settled: Time(u64::MAX) }
    }

    /// Appends the line of a call that passes the filter.
    fn add(&self, record: &Record, text: &mut Vec<u8>, lines: &mut Vec<(Key, u32, u32)>) {
        if self.filter.as_ref().is_some_and(|filter| !filter.matches(record, self.now)) {
            return;
        }
        let start = text.len() as u32;
        self.line(record, text);
        lines.push((Key::new(record.timestamp, record.id), start, text.len() as u32));
    }

    fn line(&self, record: &Record, out: &mut Vec<u8>) {
        match self.format {
            Format::Jsonl => {
                json::write(record, Detail::Full, out);
                out.push(b'\n');
            }
            // The first line's comma is left out.
            Format::Json => {
                out.extend_from_slice(b",\n");
                json::write(record, Detail::Full, out);
            }
            Format::Table => {
                let mut text = Vec::new();
                json::write(record, Detail::WithoutBodies, &mut text);
                out.extend_from_slice(table::call(&serde_json::from_slice(&text).unwrap_or_default()).as_bytes());
                out.push(b'\n');
            }
        }
    }
}

/// Names a file that could not be read.
fn tell(fault: Fault) {
    let name = if fault.path.as_os_str() == "-" { "standard input".into() } else { fault.path.display().to_string() };
    eprint_line(&format!("tapwire: {}: {}", crate::mcp::text::one_line(&name), fault.what));
}

/// Makes lines of one lane's records.
struct LanePrinter<'a> {
    printing: &'a Printing,
    lane: usize,
    buffers: &'a Buffers,
    send: SyncSender<Lines>,
    text: Vec<u8>,
    lines: Vec<(Key, u32, u32)>,
    turns: usize,
    /// When the first call began that waits for its names.
    deferred: Time,
}

impl<'a> LanePrinter<'a> {
    fn new(printing: &'a Printing, lane: usize, buffers: &'a Buffers, send: SyncSender<Lines>) -> Self {
        Self { printing, lane, buffers, send, text: Vec::new(), lines: Vec::new(), turns: 0, deferred: Time(u64::MAX) }
    }

    fn into_sink(mut self) -> impl FnMut(Turn<'_>) {
        move |turn| self.turn(turn)
    }

    fn turn(&mut self, mut turn: Turn<'_>) {
        for record in std::mem::take(&mut turn.records) {
            let began = record.timestamp;
            let Some(record) = self.printing.defer(record) else {
                self.deferred = self.deferred.min(began);
                continue;
            };
            self.printing.add(&record, &mut self.text, &mut self.lines);
            if self.text.len() >= HANDED_ON {
                self.hand_on(Time::default());
                self.turns = TURNS;
            }
        }
        self.turns += 1;
        if turn.last || self.printing.live || self.turns >= TURNS + turn.flows() / FLOWS_A_TURN {
            self.turns = 0;
            self.hand_on(turn.settled());
        }
    }

    fn hand_on(&mut self, settled: Time) {
        let settled = settled.min(self.deferred);
        let text = std::mem::replace(&mut self.text, self.buffers.take());
        let lines = std::mem::take(&mut self.lines);
        // Without a receiver nobody reads what is printed, and the reading ends.
        let _ = self.send.send(Lines { lane: self.lane, text, lines, settled });
    }
}
