//! `make sim`: runs many scenarios on all cores, or one with its transcript.
#![expect(clippy::print_stdout, reason = "the program prints its results")]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use peerd_testkit::sim::{Coverage, Scenario, Violation, shrink};

const USAGE: &str =
    "usage: sim --seeds COUNT [--from SEED], from a fresh seed unless one is given, or sim --seed SEED to replay one";

struct Options {
    seeds: u64,
    from: u64,
    replay: Option<u64>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { seeds: 1000, from: fresh_seed(), replay: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        let number =
            value.replace('_', "").parse().map_err(|_| format!("{name} `{value}` is not a number\n{USAGE}"))?;
        match name.as_str() {
            "--seeds" => options.seeds = number,
            "--from" => options.from = number,
            "--seed" => options.replay = Some(number),
            _ => return Err(format!("unknown option `{name}`\n{USAGE}")),
        }
    }
    Ok(options)
}

/// Returns a seed with which no earlier run started: the milliseconds since the Unix epoch. A run executes less than
/// one scenario per millisecond, so runs do not share seeds.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or_default()
}

fn main() -> ExitCode {
    match options() {
        Ok(Options { replay: Some(seed), .. }) => replay(seed),
        Ok(options) => play_all(&options),
        Err(why) => {
            println!("{why}");
            ExitCode::from(2)
        }
    }
}

/// Runs one scenario and prints its transcript; if it breaks a promise, prints the shrunk scenario and its transcript.
fn replay(seed: u64) -> ExitCode {
    let scenario = Scenario::of(seed);
    let Err(violation) = scenario.play(&mut Coverage::default()) else {
        scenario.transcript().iter().for_each(|line| println!("{line}"));
        return ExitCode::SUCCESS;
    };
    report(seed, &scenario, violation);
    ExitCode::FAILURE
}

fn report(seed: u64, scenario: &Scenario, violation: Violation) {
    let shrunk = shrink(scenario, violation);
    println!("seed {seed} {shrunk}");
    shrunk.scenario.transcript().iter().for_each(|line| println!("{line}"));
    println!("replay: make sim SEED={seed}");
}

fn play_all(options: &Options) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(options.from);
    let end = options.from + options.seeds;
    let (failed, total) = (AtomicBool::new(false), Mutex::new(Coverage::default()));
    let broken: Mutex<Vec<(u64, Violation)>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("sim: {} scenarios from seed {} on {threads} cores", options.seeds, options.from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut coverage = Coverage::default();
                while !failed.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    if let Err(violation) = Scenario::of(seed).play(&mut coverage) {
                        failed.store(true, Ordering::Relaxed);
                        broken.lock().map(|mut broken| broken.push((seed, violation))).unwrap_or_default();
                    }
                }
                total.lock().map(|mut total| total.merge(coverage)).unwrap_or_default();
            });
        }
    });
    let played = next.load(Ordering::Relaxed).min(end) - options.from;
    let seconds = began.elapsed().as_secs_f64();
    let coverage = total.into_inner().unwrap_or_default();
    print!("{coverage}");
    #[expect(clippy::cast_precision_loss, reason = "an approximate rate")]
    let rate = played as f64 / seconds;
    println!("sim: {played} scenarios in {seconds:.1} s, {rate:.0} per second");
    let mut broken = broken.into_inner().unwrap_or_default();
    broken.sort_by_key(|(seed, _)| *seed);
    let Some((seed, violation)) = broken.into_iter().next() else {
        println!("sim: no promise was violated");
        return ExitCode::SUCCESS;
    };
    report(seed, &Scenario::of(seed), violation);
    ExitCode::FAILURE
}
