"""What the texts promise is there: links, commands, options and doors."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def program():
    named = os.environ.get("BOARDROOM_BIN")
    return named or str(ROOT / "target/debug/boardroom")


def told(*arguments):
    return subprocess.run([program(), *arguments, "--help"], capture_output=True, text=True,
                          timeout=60).stdout


COMMANDS = re.findall(r"^  ([a-z]+) ", told(), re.MULTILINE)
HELP = {command: told(command) for command in COMMANDS}


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(text):
    for target in re.findall(r"\]\(([^)#\s]+)", text.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (text.parent / target).exists(), target


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_commands_and_their_options_exist(text):
    """Every `boardroom COMMAND --option` in a text is one that there is."""
    # A console's transcript shows what happened; the rest is what to type.
    typed = re.findall(r"boardroom ([a-z]+)\b([^`\n|#]*)", text.read_text())
    known = [(command, rest) for command, rest in typed if command in COMMANDS]
    if text.name == "README.md":
        assert len(known) >= 10
    for command, rest in known:
        for option in re.findall(r"(?<!\S)--[a-z][a-z-]+", rest):
            assert option in HELP[command], f"boardroom {command} {option}"


def test_the_readme_names_every_command():
    readme = (ROOT / "README.md").read_text()
    assert len(COMMANDS) >= 10
    for command in COMMANDS:
        assert re.search(rf"boardroom {command}\b|`{command}`", readme), command


def test_options_in_the_readmes_table_are_options_of_serve():
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("| option of `serve`"):readme.index("Without `--failover`")]
    options = re.findall(r"`[^`]*?(--[a-z][a-z-]+)", table)
    assert len(options) >= 8
    for option in options:
        assert option in HELP["serve"], option


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.name)
def test_doors_exist(text):
    doors = set(re.findall(r"^  make ([a-z-]+)", subprocess.run(
        ["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout, re.MULTILINE))
    assert {"demo", "test", "check", "build"} <= doors
    for door in re.findall(r"(?:`|^\$? ?)make ([a-z-]+)", text.read_text(), re.MULTILINE):
        assert door in doors, f"make {door}"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_of_one_form(command):
    """Usage, a sentence, options with their texts in one column, 79 columns."""
    text = HELP[command]
    assert text.startswith(f"Usage: boardroom {command}")
    assert all(len(line) < 80 and line == line.rstrip() for line in text.splitlines()), command
    for line in text.splitlines():
        if match := re.match(r"^  (?:-\w, )?--[a-z-]+(?: [A-Z]+)?( +)\S", line):
            assert match.end(1) >= 24, line


def test_every_rule_in_the_source_is_in_the_protocol():
    protocol = (ROOT / "docs/protocol.md").read_text()
    rules = set(re.findall(r"\*\*([A-Z]\d)\b", protocol))
    assert {"R1", "R9", "F1", "F6", "Q1", "K1", "C1", "S1", "L1"} <= rules
    for path in sorted((ROOT / "src/election").glob("*.rs")):
        for group in re.findall(r"\(((?:[RFQKC]\d(?:, |–| and |; )?)+)\)", path.read_text()):
            for rule in re.findall(r"[RFQKC]\d", group):
                assert rule in rules, f"{path.name}: {rule}"
