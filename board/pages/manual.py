#!/usr/bin/python3
"""Manual pages, made from `--help` and docs/protocol.md.

  manual.py PROGRAM FOLDER [DATE]

writes boardroom.1, boardroom-serve.8, one boardroom-COMMAND.1 for every other
command, and boardroom-protocol.7.
"""

import re
import sys
from pathlib import Path

import helptext

ROOT = Path(__file__).resolve().parents[2]


def escape(text):
    """Text for roff: no line is taken for a request, no hyphen is broken, and
    hexadecimal bytes longer than a line may be."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"([0-9a-f]{32})(?=[0-9a-f]{8})", r"\1\\:", text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def marked(text):
    """Inline marks: `code` and **strong** are bold, *so* is italic, a link is its text."""
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", escape(text))
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"\\fB\1\\fR", text)
    return re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"\\fI\1\\fR", text)


def page(name, section, date, version, summary, body):
    return "\n".join([
        f'.TH {name.upper()} {section} "{date}" "boardroom {version}"',
        ".ad l",
        ".SH NAME", f"{escape(name)} \\- {escape(summary)}", *body, ""])


def names_of(entry):
    """`--port PORT` with the option bold and the value italic."""
    words = re.split(r"(\s+|,)", entry.names)
    return "".join(word if not word.strip() or word == "," else
                   f"\\fB{escape(word)}\\fR" if word.startswith("-") else
                   f"\\fI{escape(word)}\\fR" for word in words)


def sections_of(found):
    """The body of a command's page."""
    body = [".SH SYNOPSIS"]
    for line in found.usage:
        body += [f"\\fB{escape(line)}\\fR", ".br"]
    body.append(".SH DESCRIPTION")
    for paragraph in found.before:
        body += [".PP", marked(paragraph)]
    for title, entries in found.sections:
        body.append(f".SH {escape(title.upper())}")
        for entry in entries:
            body += [".TP", names_of(entry), marked(entry.text)]
    for paragraph in found.after:
        if paragraph.startswith("Exit code: "):
            body += [".SH EXIT STATUS", marked(paragraph.removeprefix("Exit code: "))]
        else:
            body += [".SH NOTES" if ".SH NOTES" not in body else ".PP", marked(paragraph)]
    return body


def see_also(*names):
    return [".SH SEE ALSO", ",\n".join(f".BR {escape(name)} ({section})".replace(" (", " (")
                                       for name, section in names)]


def command_pages(program, date):
    """{file name: text}"""
    version, found = helptext.version(program), helptext.commands(program)
    pages = {}
    section = {name: "8" if name == "serve" else "1" for name in found}
    for name, (summary, text) in found.items():
        body = sections_of(text) + see_also(("boardroom", "1"), ("boardroom-protocol", "7"))
        pages[f"boardroom-{name}.{section[name]}"] = page(
            f"boardroom-{name}", section[name], date, version, summary, body)
    body = [".SH SYNOPSIS", "\\fBboardroom\\fR \\fICOMMAND\\fR [\\fIOPTION\\fR]...",
            ".SH DESCRIPTION",
            "Small Linux boards on a LAN elect a master, name it to anyone who asks, take over\n"
            "from a dead one, and meet at it with four small socket services.",
            ".SH COMMANDS"]
    for name, (summary, _) in found.items():
        body += [".TP", f"\\fB{escape(name)}\\fR", f"{escape(summary)}; see "
                 f"\\fBboardroom\\-{escape(name)}\\fR({section[name]})"]
    body += [".SH EXIT STATUS", "0 success, 1 a negative answer, 2 wrong usage, 3 more than one master, "
             "4 cannot."]
    body += see_also(*((f"boardroom-{name}", section[name]) for name in found),
                     ("boardroom-protocol", "7"))
    pages["boardroom.1"] = page("boardroom", "1", date, version,
                                "boards on a LAN elect a master", body)
    return pages


def protocol_page(program, date):
    """docs/protocol.md as roff: headings, paragraphs, lists, tables and code."""
    lines = (ROOT / "docs/protocol.md").read_text().split("\n")
    body, in_code, paragraph = [], False, []

    def flush():
        if paragraph:
            body.append(marked(" ".join(paragraph)))
            paragraph.clear()

    for line in lines:
        if line.startswith("```"):
            flush()
            in_code = not in_code
            body.append(".PP\n.nf\n.ft CW" if in_code else ".ft R\n.fi")
        elif in_code:
            body.append(escape(line) or "\\&")
        elif line.startswith("#"):
            flush()
            level, title = line.split(" ", 1)
            if level != "#":
                body.append(f".{'SH' if level == '##' else 'SS'} {escape(title)}")
        elif line.startswith("|"):
            flush()
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not all(re.fullmatch(r":?-*:?", cell) for cell in cells):
                body += [".TP", marked(cells[0]) or "\\&", marked(" \u2014 ".join(cells[1:]))]
        elif re.match(r"\s*([-*]|\d+\.) ", line):
            flush()
            body.append('.IP \\(bu 2')
            paragraph.append(re.sub(r"^\s*([-*]|\d+\.) ", "", line))
        elif not line.strip():
            flush()
            body.append(".PP")
        else:
            paragraph.append(line.strip())
    flush()
    return page("boardroom-protocol", "7", date, helptext.version(program),
                "the election's messages and rules", [".SH DESCRIPTION", *body])


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    program, folder = sys.argv[1], Path(sys.argv[2])
    date = sys.argv[3] if len(sys.argv) > 3 else last_release()
    folder.mkdir(parents=True, exist_ok=True)
    pages = command_pages(program, date)
    pages["boardroom-protocol.7"] = protocol_page(program, date)
    for name, text in pages.items():
        (folder / name).write_text(text)
    return 0


def last_release():
    """A page's date must not change with the day of the build."""
    found = re.search(r"^## .*?(\d{4}-\d\d-\d\d)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    return found[1] if found else "unreleased"


if __name__ == "__main__":
    sys.exit(main())
