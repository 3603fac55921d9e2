//! `tapwire read` against tshark: the same questions (what was asked, and how it went) to the same file, both to
//! /dev/null, each with all the cores it uses, in alternating turns with the file in the page cache.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};

use super::{Row, Setup, capture_file, median, spoken::Spoken};
use crate::host;

const GOAL: f64 = 100.0;

/// Size of the capture file.
const FILE: u64 = 300_000_000;

pub fn read(setup: &Setup) -> Result<Vec<Row>> {
    Spoken::ALL.into_iter().map(|spoken| one(setup, spoken)).collect()
}

fn one(setup: &Setup, spoken: Spoken) -> Result<Row> {
    let file = setup.dir.join("exchanges.pcap");
    eprintln!("xtask: writing {}", file.display());
    let made =
        capture_file::write(&mut std::io::BufWriter::with_capacity(1 << 20, File::create(&file)?), FILE, spoken)?;
    // Once for the page cache, and for the count: a fast reader that skips calls is no reader.
    let records = count(setup, &file)?;
    let (mut ours, mut theirs, mut alone) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=setup.rounds {
        ours.push(seconds(tapwire(setup, &file).stderr(Stdio::null()))?);
        theirs.push(seconds(&mut tshark(&file, spoken))?);
        alone.push(seconds(tapwire(setup, &file).args(["--threads", "1"]).stderr(Stdio::null()))?);
        eprintln!(
            "xtask: round {round}: tapwire {:.2} s, tshark {:.1} s",
            ours[ours.len() - 1],
            theirs[theirs.len() - 1]
        );
    }
    let ratio = median(ours.iter().zip(&theirs).map(|(ours, theirs)| theirs / ours).collect());
    let (ours, theirs, alone) = (median(ours).value, median(theirs).value, median(alone).value);
    let speed = |seconds: f64| made.bytes as f64 / 1e6 / seconds;
    Ok(Row {
        what: format!(
            "{}: `{}` against `{}`, {:.0} MB of {:.0}-byte exchanges ({} on {} connections, {} packets)",
            spoken.name(),
            host::shown(&tapwire(setup, Path::new("F"))) + " > /dev/null",
            host::shown(&tshark(Path::new("F"), spoken)) + " > /dev/null",
            made.bytes as f64 / 1e6,
            made.exchange_bytes as f64 / made.exchanges as f64,
            made.exchanges,
            made.connections,
            made.packets
        ),
        measured: format!("{:.0} times ({:.0}–{:.0})", ratio.value, ratio.low, ratio.high),
        goal: format!("≥ {GOAL:.0} times"),
        met: Some(ratio.value >= GOAL && records == made.exchanges),
        beside: format!(
            "{ours:.2} s ({:.0} MB/s; {:.0} on one thread beside the reader's) and {theirs:.1} s ({:.1} MB/s); {:.1} % of the exchanges printed",
            speed(ours),
            speed(alone),
            speed(theirs),
            records as f64 * 100.0 / made.exchanges as f64
        ),
    })
}

fn tapwire(setup: &Setup, file: &Path) -> Command {
    let mut command = Command::new(&setup.tapwire);
    command.args(["read", "-o", "jsonl"]).arg(file);
    command
}

fn tshark(file: &Path, spoken: Spoken) -> Command {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields"]).args(spoken.tshark());
    // It warns of running as root.
    command.stderr(Stdio::null());
    command
}

fn seconds(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    host::run(command.stdout(File::options().write(true).open("/dev/null")?))?;
    Ok(start.elapsed().as_secs_f64())
}

/// The lines that `tapwire read` prints.
fn count(setup: &Setup, file: &Path) -> Result<u64> {
    let mut child = tapwire(setup, file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = 0;
    let mut stdout = BufReader::with_capacity(1 << 20, child.stdout.take().context("no output of tapwire")?);
    loop {
        let buffer = stdout.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        lines += buffer.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let read = buffer.len();
        stdout.consume(read);
    }
    if !child.wait()?.success() {
        bail!("tapwire read fails on {}", file.display());
    }
    Ok(lines)
}
