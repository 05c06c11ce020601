"""The script for fish: a line for each option of each command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from xformer.cli.completion.tree import MARKS, Command, Value
from xformer.cli.completion.words import SettingWords

_HEAD = """# Completion of xformer for fish, made by `xformer completion fish`.

# Whether the words so far name this command.
function __xformer_at
    set -l path
    for word in (commandline -opc)[2..]
        string match -q -- '-*' $word; and continue
        set -a path $word
        contains -- $path[1] %s; and test (count $path) -lt 2; and continue
        break
    end
    test "$path" = "$argv"
end

# Whether the last option so far is one of these.
function __xformer_after
    for word in (commandline -opc)[-1..1]
        string match -q -- '-*' $word; or continue
        contains -- $word $argv
        return
    end
    return 1
end

# Folders that have a file, and those above such ones.
function __xformer_marked
    for folder in (__fish_complete_directories (commandline -ct) '')
        set -l path (string split -f 1 \\t -- $folder)
        if test -e $path/$argv[1]; or count $path/*/ >/dev/null
            echo $path
        end
    end
end
"""


def script(root: Command, settings: Mapping[str, Sequence[SettingWords]]) -> str:
    """The script.

    Args:
        root: all commands.
        settings: the lists of settings by their names.
    """
    groups = " ".join(one.name for one in root.commands if one.commands)
    parts = [_HEAD % groups]
    for which, some in settings.items():
        words = []
        for one in some:
            ends = [f"={choice}" for choice in one.choices] or ["="]
            words += [f"{one.name}{end}\\t{one.meaning}" for end in ([""] if which == "names" else ends)]
        lines = " \\\n        ".join(map(_quoted, words))
        parts.append(f"function __xformer_settings_{which}\n    printf '%b\\n' {lines}\nend\n")
    parts.append("complete -c xformer -f")
    parts += [line for command in root.walk() for line in _lines(command)]
    return "\n".join(parts) + "\n"


def _lines(command: Command) -> Iterator[str]:
    path = " ".join(command.path)
    for one in command.commands:
        yield f"complete -c xformer -n '__xformer_at {path}' -a {one.name} -d {_quoted(one.help)}"
    for option in command.options:
        spelled = " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)
        what = _value(option.value)
        value = f" -r{what}" if option.value.what != "nothing" else ""
        yield f"complete -c xformer -n '__xformer_at {path}' {spelled}{value} -d {_quoted(option.help)}"
        if option.value.several and what:
            more = f"__xformer_at {path}; and __xformer_after {' '.join(option.names)}"
            yield f"complete -c xformer -n '{more}'{what}"
    for what in dict.fromkeys(_value(value) for _, value in command.places):
        if what:
            yield f"complete -c xformer -n '__xformer_at {path}'{what}"


def _value(value: Value) -> str:
    """What completes a value, as options of `complete`."""
    if value.what == "choice":
        return f" -f -a {_quoted(' '.join(value.choices))}"
    if value.what == "setting":
        return f" -f -a '(__xformer_settings_{value.choices[0]})'"
    if value.what in MARKS:
        return f" -f -a '(__xformer_marked {MARKS[value.what]})'"
    if value.what == "folder":
        return " -f -a '(__fish_complete_directories (commandline -ct))'"
    return " -F" if value.what == "file" else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\'", "'").replace("'", "\\'") + "'"
