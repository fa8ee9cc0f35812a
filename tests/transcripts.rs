//! Behaviour as text: runs every `tests/transcripts/*.txt` and compares what
//! happens with what is written there. `UPDATE=1 cargo test --test
//! transcripts` writes them anew; the commit then explains the change.

#![allow(clippy::unwrap_used)]

use boardroom_sim::transcript;
use std::fs;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_story_goes_as_it_is_written() {
    let update = std::env::var_os("UPDATE").is_some();
    let files = files();
    assert!(files.len() >= 12, "the stories are found: {files:?}");
    let mut changed = Vec::new();
    for file in files {
        let written = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        match transcript::run(&written) {
            Ok(happens) if happens == written => {}
            Ok(happens) if update => fs::write(&file, happens).unwrap(),
            Ok(happens) => changed.push(format!("{name}: {}", difference(&written, &happens))),
            Err(wrong) => changed.push(format!("{name}: {wrong}")),
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n\n"));
}

/// The first lines that differ.
fn difference(written: &str, happens: &str) -> String {
    let (mut a, mut b) = (written.lines(), happens.lines());
    for number in 1.. {
        match (a.next(), b.next()) {
            (None, None) => break,
            (old, new) if old == new => {}
            (old, new) => {
                return format!(
                    "line {number}\n  written: {}\n  happens: {}",
                    old.unwrap_or("(end)"),
                    new.unwrap_or("(end)")
                );
            }
        }
    }
    "only the ends of lines differ".into()
}

/// The negative control: a story that goes differently is seen.
#[test]
fn a_changed_story_is_seen() {
    let story = "boards 10.0.0.2\nVOTE\nrun 1ms\n----\n     0.000 nothing of the kind\n";
    let happens = transcript::run(story).unwrap();
    assert_ne!(happens, story);
    assert!(difference(story, &happens).contains("line "));
    assert!(transcript::run("dance 10.0.0.2\n").is_err());
}
