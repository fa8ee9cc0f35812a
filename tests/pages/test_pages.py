"""Manual pages and completions against the program's real options."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "board/pages"), str(ROOT / "tests/lan")]

import helptext  # noqa: E402
import lab  # noqa: E402


@pytest.fixture(scope="module")
def commands():
    return helptext.commands(lab.program())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder with the pages (man/) and the completions."""
    folder = tmp_path_factory.mktemp("pages")
    for tool, part in (("manual.py", "man"), ("completions.py", "completions")):
        subprocess.run([sys.executable, ROOT / "board/pages" / tool, lab.program(), folder / part],
                       check=True)
    return folder


def test_every_help_text_has_the_form(commands):
    assert {"serve", "whois", "vote", "judge"} <= set(commands)
    for name, (summary, found) in commands.items():
        assert summary and found.before and found.sections, name
        assert any("--help" in entry.options() for entry in found.entries()), name
        for entry in found.entries():
            assert entry.text, f"{name} {entry.names} says nothing"
        out = subprocess.run([lab.program(), name, "--help"], capture_output=True, text=True).stdout
        wide = [line for line in out.splitlines() if len(line) > 79]
        assert not wide, f"{name}: {wide}"


def takes(*words):
    """Whether the program knows all options among these words."""
    done = subprocess.run([lab.program(), *words, "--help"], capture_output=True, text=True,
                          timeout=60)
    return "invalid option" not in done.stderr


def test_the_program_knows_every_option_that_is_told(commands):
    for name, (_, found) in commands.items():
        for entry in found.entries():
            for option in entry.options():
                value = ["1"] if entry.value() else []
                roles = found.roles() or [None]
                known = [takes(name, *([role] if role else []), option, *value) for role in roles]
                assert any(known), f"{name} {option}"
    assert not takes("serve", "--no-such"), "what is not told is not known"


def test_every_command_has_a_page_with_every_option(made, commands):
    for name, (_, found) in commands.items():
        section = "8" if name == "serve" else "1"
        page = (made / f"man/boardroom-{name}.{section}").read_text().replace("\\-", "-")
        for entry in found.entries():
            for option in entry.options():
                assert f"\\fB{option}\\fR" in page, f"{name} {option}"


def test_man_takes_the_pages_without_a_warning(made):
    if not shutil.which("man"):
        pytest.skip("no man here")
    for page in sorted((made / "man").iterdir()):
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", page], text=True,
                              capture_output=True, env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin"})
        serious = [line for line in done.stderr.splitlines() if "can't break line" not in line]
        assert done.returncode == 0 and not serious, f"{page.name}: {serious}"
        assert "NAME" in done.stdout


def test_the_protocol_page_has_every_rule(made):
    rules = set(re.findall(r"\*\*([RFQK]\d+)", (ROOT / "docs/protocol.md").read_text()))
    page = (made / "man/boardroom-protocol.7").read_text()
    assert len(rules) >= 15 and not [rule for rule in rules if rule not in page]


def bash_completes(made, *words):
    script = (f"source {made}/completions/boardroom.bash\nCOMP_WORDS=({' '.join(words)!s} '')\n"
              f"COMP_CWORD={len(words)}\n_boardroom\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n")
    return set(subprocess.run(["bash", "-c", script], capture_output=True, text=True,
                              check=True).stdout.split())


def test_bash_completes_commands_roles_options_and_values(made, commands):
    assert set(commands) <= bash_completes(made, "boardroom")
    for name, (_, found) in commands.items():
        options = {option for entry in found.entries() for option in entry.options()}
        offered = bash_completes(made, "boardroom", name)
        assert options | set(found.roles()) == offered, name
    assert "lo" in bash_completes(made, "boardroom", "serve", "--interface")
    assert bash_completes(made, "boardroom", "serve", "--answer") == {"unicast", "broadcast"}


@pytest.mark.parametrize("shell, file", [("zsh", "_boardroom"), ("fish", "boardroom.fish")])
def test_the_other_shells_read_theirs_and_find_every_option(made, commands, shell, file):
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    path = made / "completions" / file
    subprocess.run([shell, "-n", path], check=True)
    text = path.read_text()
    for name, (_, found) in commands.items():
        for entry in found.entries():
            for option in entry.options():
                spelled = option if shell == "zsh" else option.lstrip("-")
                assert spelled in text, f"{name} {option}"


def test_fish_completes_commands_and_options(made, commands):
    if not shutil.which("fish"):
        pytest.skip("no fish here")

    def complete(line):
        script = f"source {made}/completions/boardroom.fish; complete -C {line!r}"
        out = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True,
                             check=True).stdout
        return {row.split("\t")[0] for row in out.splitlines()}

    assert set(commands) <= complete("boardroom ")
    assert {"--failover", "--interval", "--name"} <= complete("boardroom serve --")
    assert "--failover" not in complete("boardroom whois --")
