//! Deliberate bugs: each is a text that replaces another in a copy of the
//! source, so that none of it is ever in the shipped program. The checkers, or
//! else the transcripts, must notice every one.
//!
//! ```text
//! mode: plain
//! file: src/election/rank.rs
//! <<<
//! what stands there, exactly once
//! ===
//! what stands there instead
//! >>>
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Schedules after which a mutant has survived the simulator.
const SEEDS: &str = "30000";
/// Where mutants are built, below the repository.
const WORK: &str = "target/mutants";
/// What a build of the simulator needs of the repository.
const NEEDED: &[&str] = &["src", "tests", "Cargo.toml", "Cargo.lock"];

/// One deliberate bug.
pub struct Mutant {
    /// Its file's name.
    pub name: String,
    /// The mode in which the simulator looks for it.
    pub mode: String,
    edits: Vec<Edit>,
}

struct Edit {
    file: String,
    before: String,
    after: String,
}

/// All mutants of a repository, by name.
pub fn all(root: &Path) -> Result<Vec<Mutant>, String> {
    let mut files: Vec<PathBuf> = fs::read_dir(root.join("tests/mutants"))
        .map_err(|error| format!("tests/mutants: {error}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(path: &Path) -> Result<Mutant, String> {
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let wrong = |what: &str| format!("{name}: {what}");
    let (head, mut rest) = text.split_once('\n').ok_or_else(|| wrong("empty"))?;
    let mode = head
        .strip_prefix("mode: ")
        .ok_or_else(|| wrong("no mode"))?;
    let mut edits = Vec::new();
    while let Some((head, text)) = rest.split_once("\n<<<\n") {
        let file = head
            .strip_prefix("file: ")
            .ok_or_else(|| wrong("no file"))?;
        let (before, text) = text.split_once("\n===\n").ok_or_else(|| wrong("no ==="))?;
        let (after, text) = text.split_once("\n>>>\n").ok_or_else(|| wrong("no >>>"))?;
        edits.push(Edit {
            file: file.into(),
            before: before.into(),
            after: after.into(),
        });
        rest = text;
    }
    if edits.is_empty() {
        return Err(wrong("changes nothing"));
    }
    Ok(Mutant {
        name,
        mode: mode.into(),
        edits,
    })
}

impl Mutant {
    /// Whether the source still has, once each, what this mutant replaces.
    pub fn fits(&self, root: &Path) -> Result<(), String> {
        for edit in &self.edits {
            let text = fs::read_to_string(root.join(&edit.file))
                .map_err(|error| format!("{}: {}: {error}", self.name, edit.file))?;
            let count = text.matches(&edit.before).count();
            if count != 1 {
                return Err(format!(
                    "{}: what it replaces stands {count} times in {}: write it anew",
                    self.name, edit.file
                ));
            }
        }
        Ok(())
    }

    fn apply(&self, work: &Path) -> Result<(), String> {
        self.fits(work)?;
        for edit in &self.edits {
            let path = work.join(&edit.file);
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            let text = text.replacen(&edit.before, &edit.after, 1);
            fs::write(&path, text).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Builds and hunts every mutant whose name holds `only`; prints a table.
/// Returns whether all were caught.
pub fn hunt(root: &Path, only: &str) -> Result<bool, String> {
    let root = &root.canonicalize().map_err(|error| error.to_string())?;
    let mutants: Vec<Mutant> = all(root)?
        .into_iter()
        .filter(|mutant| mutant.name.contains(only))
        .collect();
    let (mut caught, total) = (0, mutants.len());
    for mutant in mutants {
        let verdict = hunt_one(root, &mutant)?;
        crate::say!(
            "{:<32} {:<9} {}",
            mutant.name,
            mutant.mode,
            verdict.as_deref().unwrap_or("SURVIVED")
        );
        caught += usize::from(verdict.is_some());
    }
    crate::say!("{caught} of {total} mutants caught");
    Ok(caught == total)
}

/// How a mutant was caught, if it was.
fn hunt_one(root: &Path, mutant: &Mutant) -> Result<Option<String>, String> {
    let work = root.join(WORK).join("source");
    copy(root, &work)?;
    mutant.apply(&work)?;
    let target = root.join(WORK).join("target");
    let built = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args([
            "build",
            "--quiet",
            "--profile",
            "sim",
            "-p",
            "boardroom-sim",
        ])
        .current_dir(&work)
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_PROFILE_SIM_LTO", "off")
        .env("CARGO_PROFILE_SIM_CODEGEN_UNITS", "16")
        .env("RUSTFLAGS", "-Awarnings")
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if !built.success() {
        return Err(format!("{}: does not build", mutant.name));
    }
    let program = target.join("sim/boardroom-sim");
    let run = |arguments: &[&str]| {
        Command::new(&program)
            .args(arguments)
            .current_dir(root)
            .output()
            .map_err(|error| error.to_string())
    };
    let hunted = run(&["run", "--mode", &mutant.mode, "--seeds", SEEDS, "--brief"])?;
    let text = String::from_utf8_lossy(&hunted.stdout);
    if let Some(line) = text.lines().find(|line| line.contains("VIOLATION")) {
        return Ok(Some(by_checker(line)));
    }
    let played = run(&["scenarios", "100"])?;
    let text = String::from_utf8_lossy(&played.stdout);
    let wrong = |line: &&str| line.contains(" schedules, ") && !line.ends_with(" 0 violations");
    if let Some(line) = text.lines().find(wrong) {
        return Ok(Some(format!("a scenario: {line}")));
    }
    let told = run(&["stories", "tests/transcripts"])?;
    let text = String::from_utf8_lossy(&told.stdout);
    Ok(text
        .lines()
        .find(|line| line.contains("goes differently"))
        .map(|line| format!("a transcript: {line}")))
}

/// `seed 12: VIOLATION S5 junk changes nothing at 7 us: …` in short.
fn by_checker(line: &str) -> String {
    let seed = line
        .strip_prefix("seed ")
        .and_then(|line| line.split_once(':')?.0.parse::<u64>().ok())
        .unwrap_or(0);
    let property = line
        .split_once("VIOLATION ")
        .map_or(line, |(_, property)| property)
        .split(" at ")
        .next()
        .unwrap_or_default();
    format!("{property}, after {} schedules", seed + 1)
}

/// Makes `work` a copy of what is needed of `root`; files that are the same
/// stay untouched, so that little is built anew.
fn copy(root: &Path, work: &Path) -> Result<(), String> {
    for name in NEEDED {
        copy_tree(&root.join(name), &work.join(name))
            .map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_name() != "target" {
                copy_tree(&entry.path(), &to.join(entry.file_name()))?;
            }
        }
        return Ok(());
    }
    let text = fs::read(from)?;
    if fs::read(to).ok().as_ref() != Some(&text) {
        fs::write(to, text)?;
    }
    Ok(())
}
