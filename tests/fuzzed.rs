//! What is fuzzed at length by `make fuzz`, for a moment in every test run: samples of every format, changed at random.
#![expect(
    clippy::disallowed_methods,
    reason = "a test looks at the clock so that it ends"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

#[path = "../fuzz/targets.rs"]
mod targets;

/// For each format, unless CLEARWAY_FUZZ_SECONDS says otherwise.
const PATIENCE: Duration = Duration::from_millis(1_500);
const MOST_CHANGES: usize = 8;

#[test]
fn no_parser_is_brought_down_by_a_changed_sample() {
    let seconds = std::env::var("CLEARWAY_FUZZ_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok());
    let patience = seconds.map_or(PATIENCE, Duration::from_secs);
    for target in targets::ALL {
        let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let began = Instant::now();
        let mut runs = 0;
        for sample in target.samples {
            (target.run)(sample.as_bytes());
        }
        (target.run)(b"");
        while began.elapsed() < patience {
            let place = below(target.samples.len(), &mut random);
            let mut bytes = target.samples[place].as_bytes().to_vec();
            for _ in 0..=below(MOST_CHANGES, &mut random) {
                change(&mut bytes, &mut random);
            }
            (target.run)(&bytes);
            runs += 1;
        }
        assert!(runs > 50, "{} is slow: {runs} runs", target.name);
    }
}

/// Gives `cargo fuzz` the samples to begin with: into the directory that CLEARWAY_FUZZ_CORPUS names.
#[test]
fn samples_are_a_corpus() {
    let Some(corpus) = std::env::var_os("CLEARWAY_FUZZ_CORPUS") else {
        return;
    };
    for target in targets::ALL {
        let directory = Path::new(&corpus).join(target.name);
        std::fs::create_dir_all(&directory).unwrap();
        for (number, sample) in target.samples.iter().enumerate() {
            std::fs::write(directory.join(format!("sample-{number}")), sample).unwrap();
        }
    }
}

/// A number below another, which is not 0.
fn below(end: usize, random: &mut TestRng) -> usize {
    usize::try_from(random.next_u64() % end as u64).unwrap()
}

/// One change: a byte, a piece left out, doubled, or moved to the end.
fn change(bytes: &mut Vec<u8>, random: &mut TestRng) {
    const TELLING: &[u8] = b"\0\t\n\r \"'#%*,-./:=?@[\\]|!<>0123456789";
    let at = below(bytes.len() + 1, random);
    let end = (at + below(32, random)).min(bytes.len());
    let byte = match below(3, random) {
        0 => random.next_u64().to_le_bytes()[0],
        _ => TELLING[below(TELLING.len(), random)],
    };
    match below(5, random) {
        0 => bytes.insert(at, byte),
        1 if at < bytes.len() => bytes[at] = byte,
        2 => {
            bytes.drain(at..end);
        }
        3 => {
            let piece = bytes[at..end].to_vec();
            bytes.extend(piece);
        }
        _ => {
            let piece: Vec<u8> = bytes.drain(at..end).collect();
            bytes.extend(piece);
        }
    }
}

#[test]
fn every_target_is_one_of_cargo_fuzz() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let mut files: Vec<String> = std::fs::read_dir(fuzz.join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut expected: Vec<String> = Vec::new();
    for target in targets::ALL {
        expected.push(format!("{}.rs", target.name));
        let entry = format!("name = \"{}\"\n", target.name);
        assert!(
            manifest.contains(&entry),
            "fuzz/Cargo.toml: {}",
            target.name
        );
    }
    expected.sort();
    assert_eq!(files, expected);
}
