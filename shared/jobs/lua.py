"""Lua scripts with named, typed keys and arguments.

A script is a frozen dataclass. Its fields of type `Key` are the script's keys, the other fields its arguments. `source`
reads each of them as a local variable of the same name:

    @dataclass(frozen=True, kw_only=True)
    class Extend(Script[int]):
        source = "return redis.call('EXPIRE', record, ttl_s)"
        record: Key
        ttl_s: int

    Extend(record=record_key(job_id), ttl_s=60).run(client)

The broker runs a script as one step. redis-py sends a command again when its answer was lost, so each script gives its
second call the answer of the first, and does nothing twice. Every key that a script touches is one of its fields:
none is built inside the script.
"""

import hashlib
from dataclasses import dataclass, fields
from types import NoneType
from typing import Any, ClassVar, Final, Generic, TypeVar, cast, get_args, get_origin, get_type_hints

from redis.exceptions import NoScriptError

from shared.jobs.keys import Key

Reply = TypeVar("Reply")

#: How a script reads an argument of each type, from the text that the broker received. None is sent as "".
_READ: Final[dict[Any, str]] = {
    bool: "{} == '1'",
    int: "tonumber({})",
    float: "tonumber({})",
}
_SLICE: Final = """\
local function slice(values, first, count, read)
  local items = {}
  for i = 1, count do items[i] = read(values[first + i - 1]) end
  return items
end
local next_key, next_argument = %d, %d
"""


@dataclass(frozen=True)
class Script(Generic[Reply]):
    """One script and the keys and arguments of one call; `Reply` is what it returns."""

    #: The script's text, without its declarations.
    source: ClassVar[str]
    #: Whether a broker at its `maxmemory` runs it (Redis 7.0, Valkey): set for what ends jobs or frees memory.
    allow_oom: ClassVar[bool] = False

    def run(self, client: Any) -> Reply:  # noqa: ANN401  (redis-py's types do not know `decode_responses`)
        """Run the script and return its reply.

        Raises:
            redis.exceptions.RedisError: the broker is away, full or refuses.
        """
        keys, arguments = self.all_keys(), self.arguments()
        try:
            reply = client.evalsha(_compiled(type(self)).sha, len(keys), *keys, *arguments)
        except NoScriptError:
            reply = client.eval(_compiled(type(self)).text, len(keys), *keys, *arguments)
        return cast("Reply", reply)

    def eval(self, client: Any) -> Any:  # noqa: ANN401
        """Send the script's whole text: for pipelines, and for kombu's client, which rewrites EVALSHA's keys."""
        keys = self.all_keys()
        return client.eval(_compiled(type(self)).text, len(keys), *keys, *self.arguments())

    def all_keys(self) -> list[Key]:
        """Return the keys in the order in which the broker receives them."""
        layout = _compiled(type(self)).layout
        lists = [key for name in layout.key_lists for key in getattr(self, name)]
        return [*(getattr(self, name) for name in layout.keys), *lists]

    def arguments(self) -> list[str]:
        """Return the arguments as text: single ones, the lengths of all lists, and the lists of arguments."""
        layout = _compiled(type(self)).layout
        singles = [getattr(self, name) for name in layout.arguments]
        lengths = [len(getattr(self, name)) for name in (*layout.key_lists, *layout.argument_lists)]
        items = [item for name in layout.argument_lists for item in getattr(self, name)]
        return [_encode(value) for value in (*singles, *lengths, *items)]


@dataclass(frozen=True)
class _Layout:
    """The fields of a script by kind: the type of each argument, of each item of a list."""

    keys: tuple[str, ...]
    key_lists: tuple[str, ...]
    arguments: dict[str, Any]
    argument_lists: dict[str, Any]


@dataclass(frozen=True)
class _Compiled:
    """What is derived from a script once: its layout, its whole text, and the text's SHA-1, its name in the broker."""

    layout: _Layout
    text: str
    sha: str


_COMPILED: Final[dict[type[Script[Any]], _Compiled]] = {}


def _compiled(script: type[Script[Any]]) -> _Compiled:
    if script not in _COMPILED:
        layout = _layout(script)
        shebang = "#!lua flags=allow-oom\n" if script.allow_oom else ""
        text = f"{shebang}{_declarations(layout)}{script.source.strip()}\n"
        sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        _COMPILED[script] = _Compiled(layout, text, sha)
    return _COMPILED[script]


def _layout(script: type[Script[Any]]) -> _Layout:
    hints = get_type_hints(script)
    single = {field.name: hints[field.name] for field in fields(script)}
    lists = {name: get_args(hint)[0] for name, hint in single.items() if get_origin(hint) is tuple}
    single = {name: hint for name, hint in single.items() if name not in lists}
    return _Layout(
        keys=tuple(name for name, hint in single.items() if hint is Key),
        key_lists=tuple(name for name, hint in lists.items() if hint is Key),
        arguments={name: hint for name, hint in single.items() if hint is not Key},
        argument_lists={name: hint for name, hint in lists.items() if hint is not Key},
    )


def _declarations(layout: _Layout) -> str:
    """Return the Lua that binds each field to a local variable."""
    lines = [f"local {name} = KEYS[{number}]" for number, name in enumerate(layout.keys, 1)]
    for number, (name, hint) in enumerate(layout.arguments.items(), 1):
        lines.append(f"local {name} = {_read(hint).format(f'ARGV[{number}]')}")
        if NoneType in get_args(hint):
            lines.append(f"if {name} == '' then {name} = nil end")
    if not (layout.key_lists or layout.argument_lists):
        return "\n".join([*lines, ""])
    lengths = len(layout.arguments)
    first_argument = lengths + len(layout.key_lists) + len(layout.argument_lists) + 1
    lines.append(_SLICE.rstrip() % (len(layout.keys) + 1, first_argument))
    lists: list[tuple[str, str, str, Any]] = [(name, "KEYS", "next_key", Key) for name in layout.key_lists]
    lists += [(name, "ARGV", "next_argument", hint) for name, hint in layout.argument_lists.items()]
    for number, (name, values, following, hint) in enumerate(lists, lengths + 1):
        read = f"function(item) return {_read(hint).format('item')} end"
        lines.append(f"local {name} = slice({values}, {following}, tonumber(ARGV[{number}]), {read})")
        lines.append(f"{following} = {following} + #{name}")
    return "\n".join([*lines, ""])


def _read(hint: Any) -> str:  # noqa: ANN401  (a type)
    return _READ.get(hint, "{}")


def _encode(value: Any) -> str:  # noqa: ANN401  (any field's value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)
