"""`--help` as data: the one text from which manual pages and completions are
made. Its form: usage lines; paragraphs; option sections, whose title ends in
`:` and whose entries are indented by two; paragraphs again."""

import dataclasses
import re
import subprocess

_ENTRY = re.compile(r"^  (?P<names>\S+(?: \S+)*?)(?:  +(?P<text>\S.*))?$")


@dataclasses.dataclass
class Entry:
    """An option, or a command of the overview."""

    names: str          # as shown: `-v, --verbose`, `--port PORT`, `serve`
    text: str

    def options(self):
        """`-v`, `--verbose`; none for a command."""
        words = self.names.replace(",", " ").split()
        return [word for word in words if word.startswith("-")]

    def value(self):
        """The name of its value, or None."""
        words = self.names.replace(",", " ").split()
        return words[-1] if self.options() and not words[-1].startswith("-") else None


@dataclasses.dataclass
class Help:
    """A command's help text, taken apart."""

    usage: list
    before: list        # paragraphs in front of the options
    sections: list      # (title, entries)
    after: list         # paragraphs behind them

    def entries(self):
        return [entry for _, entries in self.sections for entry in entries]

    def roles(self):
        """The words that stand behind the command in its usage lines."""
        found = []
        for line in self.usage:
            words = line.split()
            if len(words) > 2 and re.fullmatch(r"[a-z]+", words[2]):
                found.append(words[2])
        return list(dict.fromkeys(found))


def parse(text):
    """Takes a help text apart; complains of a line that has no place."""
    lines = text.rstrip().split("\n")
    usage = []
    while lines and (lines[0].startswith("Usage: ") or (usage and lines[0].startswith("       "))):
        usage.append(lines.pop(0)[7:])
    if not usage:
        raise ValueError("a help text begins with `Usage: `")
    found = Help(usage, [], [], [])
    for block in "\n".join(lines).strip("\n").split("\n\n"):
        title, *rest = block.split("\n")
        if title.endswith(":") and rest and rest[0].startswith("  "):
            found.sections.append((title[:-1], _entries(rest)))
        else:
            place = found.after if found.sections else found.before
            place.append(block)
    return found


def _entries(lines):
    entries = []
    for line in lines:
        match = _ENTRY.match(line)
        if match:
            entries.append(Entry(match["names"], match["text"] or ""))
        elif line.startswith("    ") and entries:
            entries[-1].text = f"{entries[-1].text} {line.strip()}".strip()
        else:
            raise ValueError(f"neither an entry nor its continuation: {line!r}")
    return entries


def of(program, *command):
    """The help text of `program command`, taken apart."""
    done = subprocess.run([program, *command, "--help"], capture_output=True, text=True,
                          check=True, timeout=60)
    return parse(done.stdout)


def commands(program):
    """{name: (summary, Help)} in the overview's order."""
    overview = of(program)
    return {entry.names: (entry.text, of(program, entry.names)) for entry in overview.entries()
            if not entry.options()}


def version(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]
