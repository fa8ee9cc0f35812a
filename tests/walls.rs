//! The walls between wire, core and net, held by reading the source: a core
//! that could read a clock, draw from the operating system or touch a socket
//! would be a core that the simulator cannot drive.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// The folders and files in which nothing but bytes, time and random numbers
/// handed in may be known.
const PURE: &[&str] = &[
    "election",
    "matching",
    "echo",
    "sequence",
    "relay",
    "order",
    "outcome.rs",
    "judge",
    "json.rs",
    "rng.rs",
    "service.rs",
    "table.rs",
    "text.rs",
    "time.rs",
];

/// Words that lead out of a core. `std::` itself is allowed for `collections`,
/// `fmt` and the like; addresses are `core::net`.
const FORBIDDEN: &[&str] = &[
    "std::net",
    "std::time",
    "std::fs",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "std::os",
    "std::sync",
    "std::path",
    "libc::",
    "nix::",
    "socket2::",
    "getrandom::",
    "lexopt",
    "crate::net",
    "crate::commands",
    "println!",
    "print!(",
    "eprintln!",
    "SystemTime",
    "static mut",
    "thread_local!",
    "RandomState",
    "HashMap",
    "HashSet",
    "unsafe",
    "extern \"C\"",
    "include_str!",
    "include_bytes!",
];

fn rust_files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            rust_files(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.into());
    }
}

/// The lines of code of a file, with their numbers, without comments.
fn code(source: &str) -> impl Iterator<Item = (usize, &str)> {
    source
        .lines()
        .enumerate()
        .map(|(i, line)| (i + 1, line.split("//").next().unwrap_or_default()))
}

fn violations(source: &str) -> Vec<String> {
    code(source)
        .flat_map(|(number, line)| {
            FORBIDDEN
                .iter()
                .filter(move |word| line.contains(*word))
                .map(move |word| format!("{number}: {word}"))
        })
        .collect()
}

#[test]
fn no_core_knows_the_operating_system() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    for place in PURE {
        rust_files(&source.join(place), &mut files);
    }
    assert!(
        files.len() >= PURE.len(),
        "the pure places have files: {files:?}"
    );
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        found.extend(
            violations(&text)
                .into_iter()
                .map(|line| format!("{}:{line}", file.display())),
        );
    }
    assert!(
        found.is_empty(),
        "a core reaches through its wall:\n{}",
        found.join("\n")
    );
}

/// The net layer serves the commands and knows none of them.
#[test]
fn the_net_knows_no_command() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/net");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    assert!(files.len() > 10, "the net layer has files");
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let known = code(&text).any(|(_, line)| line.contains("crate::commands"));
        assert!(!known, "{} knows a command", file.display());
    }
}

/// The firmware is built without the formatting of `{:?}`, which would print
/// nothing there: what is shipped uses `text::quoted` and `Display`.
#[test]
fn nothing_shipped_is_formatted_for_debugging() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let mut found = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with("_tests.rs") || ["lab.rs", "script.rs"].contains(&&*name) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let shipped = text.split("#[cfg(test)]").next().unwrap();
        let lines = code(shipped).filter(|(_, line)| line.contains("?}"));
        found.extend(lines.map(|(number, _)| format!("{}:{number}", file.display())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// `unsafe` lives in one file, where each use has a SAFETY line.
#[test]
fn unsafe_lives_in_one_file() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let uses = code(&text)
            .filter(|(_, line)| line.contains("unsafe {") || line.contains("unsafe fn"))
            .count();
        if file.ends_with("net/sys.rs") {
            assert!(
                text.matches("// SAFETY:").count() >= uses,
                "each unsafe block says why it is sound"
            );
        } else {
            assert_eq!(uses, 0, "{} has unsafe code", file.display());
        }
    }
}

/// The negative control: the wall's test sees a hole.
#[test]
fn a_hole_in_the_wall_is_seen() {
    assert_eq!(
        violations("let x = 1;\nlet now = std::time::Instant::now(); // std::fs"),
        ["2: std::time"]
    );
    assert!(violations("use core::net::Ipv4Addr; // std::net would be a hole").is_empty());
}
