"""The script for zsh, whose `_arguments` reads the options of each command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from xformer.cli.completion.tree import MARKS, Command, Value
from xformer.cli.completion.words import SettingWords

_HEAD = """#compdef xformer
# Completion of xformer for zsh, made by `xformer completion zsh`.

# Folders that have a file, and those above such ones.
_xformer_marked() {
  local one
  local -a found inner
  if [[ $PREFIX == *[~\\$]* ]]; then
    _files -/
    return
  fi
  for one in $PREFIX*(N-/); do
    inner=($one/*(N-/))
    [[ -e $one/$1 || $#inner -gt 0 ]] && found+=($one)
  done
  compadd -f -S / -q -- $found
}

_xformer_setting() {
  local -a found
  if compset -P '*='; then
    case $IPREFIX in
%s
    esac
    (( $#found )) && compadd -a found
  else
    case $1 in
%s
    esac
    [[ $1 == names ]] && _describe setting found || _describe setting found -S =
  fi
}
"""
_TAIL = """
if [[ $funcstack[1] == _xformer ]]; then
  _xformer "$@"
else
  compdef _xformer xformer
fi
"""


def script(root: Command, settings: Mapping[str, Sequence[SettingWords]]) -> str:
    """The script.

    Args:
        root: all commands.
        settings: the lists of settings by their names.
    """
    choices = {one.name: one.choices for some in settings.values() for one in some if one.choices}
    lines = [f"      *{name}=) found=({' '.join(words)}) ;;" for name, words in choices.items()]
    lists = [f"      {which}) found=({_described(some)}) ;;" for which, some in settings.items()]
    functions = "\n\n".join(_function(command) for command in root.walk())
    return _HEAD % ("\n".join(lines), "\n".join(lists)) + "\n" + functions + "\n" + _TAIL


def _described(settings: Iterable[SettingWords]) -> str:
    return " ".join(_quoted(f"{one.name}:{one.meaning}") for one in settings)


def _function(command: Command) -> str:
    """A function that completes the words after a command."""
    name = "_".join(("_xformer", *command.path))
    specs = [spec for option in command.options for spec in _option(option.names, option.help, option.value)]
    if command.commands:
        lines = " ".join(_quoted(f"{one.name}:{one.help}") for one in command.commands)
        cases = [f"        {one.name}) _xformer_{'_'.join(one.path)} ;;" for one in command.commands]
        return "\n".join(
            [
                f"{name}() {{",
                "  local context state state_descr line",
                "  typeset -A opt_args",
                f"  local -a commands=({lines})",
                f"  _arguments -C {' '.join(specs)} '1:command:->command' '*::argument:->argument'",
                "  case $state in",
                "    command) _describe command commands ;;",
                "    argument)",
                "      case $line[1] in",
                *cases,
                "      esac ;;",
                "  esac",
                "}",
            ]
        )
    for number, (place, value) in enumerate(command.places, 1):
        specs.append(_quoted(f"{'*' if value.several else number}:{place}:{_action(value)}"))
    return "\n".join(
        [f"{name}() {{", "  _arguments -s -S \\", *(f"    {one} \\" for one in specs), "    && return", "}"]
    )


def _option(names: tuple[str, ...], help: str, value: Value) -> Iterable[str]:
    meaning = help.replace("\\", "").replace("[", "(").replace("]", ")").replace(":", ";")
    for name in names:
        what = "" if value.what == "nothing" else f":{name.lstrip('-')}:{_action(value)}"
        if value.several:
            yield _quoted(f"*{name}[{meaning}]:*-*{what}")
        else:
            # Each excludes its other spellings; where one value follows it may follow after = as well.
            others = f"({' '.join(names)})"
            sign = "=" if what and name.startswith("--") else ""
            yield _quoted(f"{others}{name}{sign}[{meaning}]{what}")


def _action(value: Value) -> str:
    """What completes a value. A function of ours stands behind a space, or zsh gives it options first."""
    if value.what == "choice":
        return f"({' '.join(value.choices)})"
    if value.what == "setting":
        return f" _xformer_setting {value.choices[0]}"
    if value.what in MARKS:
        return f" _xformer_marked {MARKS[value.what]}"
    return {"file": "_files", "folder": "_files -/"}.get(value.what, " ")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
