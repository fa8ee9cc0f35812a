#!/usr/bin/python3
"""Completions for bash, zsh and fish, made from `--help`.

  completions.py PROGRAM FOLDER

writes boardroom.bash, _boardroom (zsh) and boardroom.fish.
"""

import re
import sys
from pathlib import Path

import helptext

# What a value's name means to a shell.
FILES = {"FILE", "PROGRAM", "PATH"}
FOLDERS = {"DIR"}
CHOICES = {"--answer": "unicast broadcast", "--log": "stderr syslog", "--mode": "judge display"}


def words_of(found):
    """All options of a command, once."""
    return list(dict.fromkeys(option for entry in found.entries() for option in entry.options()))


def values_of(found):
    """{option: what its value is: files, folders, interfaces, words, any}"""
    kinds = {}
    for entry in found.entries():
        for option in entry.options():
            value = entry.value()
            if value is None:
                continue
            if option == "--interface":
                kinds[option] = ("interfaces", "")
            elif option in CHOICES:
                kinds[option] = ("words", CHOICES[option])
            elif value in FILES:
                kinds[option] = ("files", "")
            elif value in FOLDERS:
                kinds[option] = ("folders", "")
            else:
                kinds[option] = ("any", "")
    return kinds


BASH_ACTIONS = {
    "files": 'COMPREPLY=($(compgen -f -- "$word"))',
    "folders": 'COMPREPLY=($(compgen -d -- "$word"))',
    "interfaces": 'COMPREPLY=($(compgen -W "$(ls /sys/class/net 2>/dev/null)" -- "$word"))',
    "any": "COMPREPLY=()",
}


def bash(commands):
    lines = ["# bash completion for boardroom", "_boardroom() {",
             '    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}',
             "    local command=${COMP_WORDS[1]}",
             "    if [ \"$COMP_CWORD\" = 1 ]; then",
             f'        COMPREPLY=($(compgen -W "{" ".join(commands)} --help --version" -- "$word"))',
             "        return", "    fi", '    case "$command:$before" in']
    for name, (_, found) in commands.items():
        for option, (kind, words) in values_of(found).items():
            action = BASH_ACTIONS.get(kind, f'COMPREPLY=($(compgen -W "{words}" -- "$word"))')
            lines.append(f"        {name}:{option}) {action}; return ;;")
    lines += ["    esac", '    case "$command" in']
    for name, (_, found) in commands.items():
        options = " ".join(words_of(found))
        roles = " ".join(found.roles())
        first = f'"$([ "$COMP_CWORD" = 2 ] && echo "{roles}") {options}"' if roles else f'"{options}"'
        lines.append(f'        {name}) COMPREPLY=($(compgen -W {first} -- "$word")) ;;')
    return "\n".join([*lines, "    esac", "}", "complete -F _boardroom boardroom", ""])


ZSH_ACTIONS = {"files": "_files", "folders": "_files -/", "interfaces": "_net_interfaces", "any": " "}


def zsh_text(text):
    return re.sub(r"([\[\]:'\\])", lambda m: {"'": "'\\''"}.get(m[0], "\\" + m[0]), text)


def zsh(commands):
    lines = ["#compdef boardroom", "", "_boardroom() {", "  local -a commands", "  commands=("]
    for name, (summary, _) in commands.items():
        lines.append(f"    '{name}:{zsh_text(summary)}'")
    lines += ["  )", "  if (( CURRENT == 2 )); then", "    _describe -t commands command commands",
              "    return", "  fi", "  local command=$words[2]", "  shift words", "  (( CURRENT-- ))",
              "  case $command in"]
    for name, (_, found) in commands.items():
        lines += [f"    {name})", "      _arguments -s \\"]
        if found.roles():
            lines.append(f"        '1:role:({' '.join(found.roles())})' \\")
        kinds, seen = values_of(found), set()
        for entry in found.entries():
            for option in entry.options():
                if option in seen:
                    continue
                seen.add(option)
                kind, words = kinds.get(option, (None, ""))
                action = f"({words})" if words else ZSH_ACTIONS.get(kind, "")
                value = f":{entry.value()}:{action}" if kind else ""
                lines.append(f"        '*{option}[{zsh_text(entry.text)}]{value}' \\")
        lines += ["        '*: :'", "      ;;"]
    return "\n".join([*lines, "  esac", "}", "", '_boardroom "$@"', ""])


FISH_ACTIONS = {
    "files": "-r -F", "folders": "-x -a '(__fish_complete_directories)'",
    "interfaces": "-x -a '(command ls /sys/class/net 2>/dev/null)'", "any": "-x",
}


def fish_text(text):
    return text.replace("\\", "\\\\").replace("'", "\\'")


def fish(commands):
    names = " ".join(commands)
    lines = ["# fish completion for boardroom", "complete -c boardroom -f"]
    for name, (summary, _) in commands.items():
        lines.append(f"complete -c boardroom -n 'not __fish_seen_subcommand_from {names}' "
                     f"-a {name} -d '{fish_text(summary)}'")
    for name, (_, found) in commands.items():
        when = f"-n '__fish_seen_subcommand_from {name}'"
        if found.roles():
            roles = " ".join(found.roles())
            lines.append(f"complete -c boardroom -n '__fish_seen_subcommand_from {name}; and not "
                         f"__fish_seen_subcommand_from {roles}' -a '{roles}'")
        kinds, seen = values_of(found), set()
        for entry in found.entries():
            options = [option for option in entry.options() if option not in seen]
            seen.update(options)
            if not options:
                continue
            spelled = " ".join(f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
                               for option in options)
            kind, words = kinds.get(options[-1], (None, ""))
            action = f"-x -a '{words}'" if words else FISH_ACTIONS.get(kind, "")
            lines.append(f"complete -c boardroom {when} {spelled} {action} "
                         f"-d '{fish_text(entry.text)}'".replace("  ", " "))
    return "\n".join([*lines, ""])


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    commands = helptext.commands(sys.argv[1])
    for name, make in (("boardroom.bash", bash), ("_boardroom", zsh), ("boardroom.fish", fish)):
        (folder / name).write_text(make(commands))
    return 0


if __name__ == "__main__":
    sys.exit(main())
