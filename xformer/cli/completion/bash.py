"""The script for bash, from version 4 on: the commands as tables, and a function that reads them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from xformer.cli.completion.tree import MARKS, Command, Value
from xformer.cli.completion.words import SettingWords

_ENGINE = r"""
# Completes a path: of files, or of folders; $2: the file that a folder has; folders above such ones stay.
_xformer_paths() {
  local one IFS=$'\n'
  compopt -o filenames 2>/dev/null
  if [[ $1 == file ]]; then
    COMPREPLY=($(compgen -f -- "$cur"))
    return
  fi
  for one in $(compgen -d -- "$cur"); do
    if [[ -z $2 || -e $one/$2 ]]; then
      COMPREPLY+=("$one")
    elif [[ -n $(compgen -d -- "$one/") ]]; then
      COMPREPLY+=("$one")
    fi
  done
}

_xformer_settings() {
  local one
  _xformer_names "$1"
  if [[ $cur == *=* ]]; then
    _xformer_choices "${cur%%=*}"
    COMPREPLY=($(compgen -P "${cur%%=*}=" -W "$words" -- "${cur#*=}"))
  elif [[ $1 == names ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
  else
    compopt -o nospace 2>/dev/null
    COMPREPLY=($(compgen -S = -W "$words" -- "$cur"))
  fi
}

_xformer() {
  local line=${COMP_LINE:0:COMP_POINT} given cur path='' option='' literal='' word words count kind prefix i
  local -i places=0
  COMPREPLY=()
  read -ra given <<<"$line"
  [[ $line == *[[:space:]] ]] && given+=('')
  cur=${given[${#given[@]} - 1]}
  for ((i = 1; i < ${#given[@]} - 1; i++)); do
    word=${given[i]}
    if [[ -n $literal ]]; then
      places+=1
    elif [[ $word == -- ]]; then
      literal=1 option=''
    elif [[ $word == -*=* ]]; then
      option=''
    elif [[ $word == -?* ]]; then
      _xformer_value "$path" "$word"
      option=$word
      [[ $count == 0 ]] && option=''
    elif [[ -n $option ]]; then
      [[ $count == 1 ]] && option=''
    else
      _xformer_commands "$path"
      if [[ " $words " == *" $word "* ]]; then
        path=${path:+$path }$word
      else
        places+=1
      fi
    fi
  done
  if [[ -z $literal && $cur == --*=* ]]; then
    _xformer_value "$path" "${cur%%=*}"
    prefix=${cur%%=*}=
    cur=${cur#*=}
  elif [[ -z $literal && $cur == -* ]]; then
    _xformer_options "$path"
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    return
  elif [[ -n $option ]]; then
    _xformer_value "$path" "$option"
  else
    _xformer_commands "$path"
    kind="choice $words"
    [[ -z $words ]] && _xformer_place "$path" "$places"
  fi
  case $kind in
    'choice '*) COMPREPLY=($(compgen -W "${kind#choice }" -- "$cur")) ;;
    'setting '*) _xformer_settings "${kind#setting }" ;;
    folder\ *) _xformer_paths folder "${kind#folder }" ;;
    folder) _xformer_paths folder ;;
    file) _xformer_paths file ;;
  esac
  # Readline replaces what stands after the last = or :, where these break words.
  word=$prefix$cur
  if [[ $word == *=* && $COMP_WORDBREAKS == *=* ]]; then
    prefix=${cur%"${cur##*=}"}
    COMPREPLY=("${COMPREPLY[@]#"$prefix"}")
  fi
}

complete -F _xformer xformer
"""


def script(root: Command, settings: Mapping[str, Sequence[SettingWords]]) -> str:
    """The script.

    Args:
        root: all commands.
        settings: the lists of settings by their names.
    """
    commands = list(root.walk())
    names = {which: " ".join(one.name for one in some) for which, some in settings.items()}
    choices = {one.name: " ".join(one.choices) for some in settings.values() for one in some if one.choices}
    values, places = {}, {}
    for command in commands:
        path = " ".join(command.path)
        for option in command.options:
            for name in option.names:
                values[f"{path} {name}"] = _kind(option.value)
        for place, (_, value) in enumerate(command.places):
            places[f"{path} {place}"] = _kind(value)[2:]
            if value.several:
                places[f"{path} "] = _kind(value)[2:]
    parts = [
        "# Completion of xformer for bash, made by `xformer completion bash`.",
        _table("commands", {" ".join(one.path): _words(c.name for c in one.commands) for one in commands}),
        _table(
            "options",
            {" ".join(one.path): _words(name for o in one.options for name in o.names) for one in commands},
        ),
        _table("names", names),
        _table("choices", choices),
        _lookup("value", values, "count=${found%% *} kind=${found#* }", "0 nothing"),
        _lookup("place", places, "kind=$found", "nothing"),
        _ENGINE.strip(),
    ]
    return "\n\n".join(parts) + "\n"


def _words(names: object) -> str:
    return " ".join(names)  # type: ignore[arg-type]


def _kind(value: Value) -> str:
    """How many words follow, and what they are."""
    count = "0" if value.what == "nothing" else "n" if value.several else "1"
    what: str = value.what
    if what in MARKS:
        what = f"folder {MARKS[what]}"
    elif value.choices:
        what = f"{what} {' '.join(value.choices)}"
    return f"{count} {what}"


def _table(name: str, rows: Mapping[str, str]) -> str:
    """A function that sets `words` to what belongs to its argument."""
    lines = [f"_xformer_{name}() {{", "  case $1 in"]
    lines += [f"    '{key}') words='{words}' ;;" for key, words in rows.items() if words]
    return "\n".join([*lines, "    *) words='' ;;", "  esac", "}"])


def _lookup(name: str, rows: Mapping[str, str], then: str, otherwise: str) -> str:
    """A function that looks its arguments up; a key with nothing after its last space is of any number."""
    alike = defaultdict(list)
    for key, found in rows.items():
        alike[found].append(f"'{key}'" if not key.endswith(" ") else f"'{key}'*")
    lines = [f"_xformer_{name}() {{", "  local found", '  case "$1 $2" in']
    # Places of a number come before those of any number.
    pairs = [(pattern, found) for found, patterns in alike.items() for pattern in patterns]
    exact = [(p, f) for p, f in pairs if not p.endswith("*")]
    for group in (exact, [pair for pair in pairs if pair not in exact]):
        by_found = defaultdict(list)
        for pattern, found in group:
            by_found[found].append(pattern)
        lines += [f"    {'|'.join(patterns)}) found='{found}' ;;" for found, patterns in by_found.items()]
    return "\n".join([*lines, f"    *) found='{otherwise}' ;;", "  esac", f"  {then}", "}"])
