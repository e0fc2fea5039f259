"""Random damage to files: of any bytes, and of texts by values of other types."""

import io
import random
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing, suppress

Mutate = Callable[[bytes, random.Random], bytes]

NUMBERS = (b"\x00", b"\xff", b"\x00" * 4, b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x80")
TOML_VALUES = (
    "3", "-1", "1e400", "nan", "inf", "true", "[]", "[[]]", "[1, 'a']", "{}", "{low = 1}", "''",
    "{low = 'a', high = {}}", "1979-05-27", "07:32:00", "'x'", "0x" + "f" * 5000, "9" * 5000,
    "'" + "x" * 5000 + "'", "[" * 2000 + "]" * 2000, "'\\u0000'", "'a\\nb'", "'\\ud800'",
    '"\\u0000"', '"a\\nb"', "['" + "x" * 5000 + "']",
)  # fmt: skip
JSON_VALUES = (
    "3", "-1", "1e999", "NaN", "true", "null", "[]", "{}", '{"a": []}', '""', '"x"', "[[], {}]",
    "[" * 3000 + "]" * 3000, '"' + "x" * 5000 + '"', "9" * 5000, '"\\ud800"', '{"class_name": {}}',
)  # fmt: skip
NPY_HEADERS = (
    "(", "[", "{", ")", "'", '"', "()", "''", "None", "-1", "9" * 30, "'|O'", "'<f8'", "'<U9'",
    "[('a', '<i4')]", "(1, (2, 3))", "\\", "\x00", "lambda: 0", "1" + "," * 50, "'<M8[D]'", "True",
)  # fmt: skip


def damage_bytes(content: bytes, rng: random.Random) -> bytes:
    """Change, cut, repeat or insert bytes at a few places."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not changed:
            break
        place = rng.randrange(len(changed))
        length = rng.choice((1, 1, 4, 32, 512))
        match rng.randrange(6):
            case 0:
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place : place + length] = rng.randbytes(length)
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = changed[place : place + length]
            case 4:
                number = rng.choice(NUMBERS)
                changed[place : place + len(number)] = number
            case 5:
                del changed[place:]
    return bytes(changed)


def damage_text(values: tuple[str, ...], separators: str) -> Mutate:
    """Return a mutation that puts one of some values in the place of a part of a text."""

    def damage(content: bytes, rng: random.Random) -> bytes:
        text = content.decode("utf-8", "replace")
        ends = [0, *(i + 1 for i, it in enumerate(text) if it in separators), len(text)]
        for _ in range(rng.choice((1, 1, 2))):
            place = rng.randrange(len(ends) - 1)
            start, end = ends[place], ends[place + 1]
            text = text[:start] + rng.choice(values) + text[max(start, end - 1) :]
        return text.encode("utf-8", "replace")

    return damage


def damage_toml(content: bytes, rng: random.Random) -> bytes:
    """Give a key of a TOML file a value of another type, or add one."""
    lines = content.decode().splitlines()
    keyed = [number for number, line in enumerate(lines) if "=" in line]
    for _ in range(rng.choice((1, 1, 2))):
        number = rng.choice(keyed)
        key = lines[number].split("=")[0]
        lines[number] = f"{key}= {rng.choice(TOML_VALUES)}"
    return "\n".join(lines).encode("utf-8", "replace")


def damage_member(mutations: tuple[Mutate, ...]) -> Mutate:
    """Return a mutation of one member of a ZIP archive, whose checksum is right again."""

    def damage(content: bytes, rng: random.Random) -> bytes:
        written = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w") as new:
            names = old.namelist()
            chosen = rng.choice(names)
            for name in names:
                part = old.read(name)
                new.writestr(name, rng.choice(mutations)(part, rng) if name == chosen else part)
        return written.getvalue()

    return damage


def damage_npy_header(content: bytes, rng: random.Random) -> bytes:
    """Damage the literal that describes an array, and correct its length."""
    length = int.from_bytes(content[8:10], "little")
    header, rest = content[10 : 10 + length], content[10 + length :]
    header = damage_text(NPY_HEADERS, " ,:{}()'")(header, rng)[:60_000]
    return content[:8] + len(header).to_bytes(2, "little") + header + rest


def damage_stored_value(content: bytes, rng: random.Random) -> bytes:
    """Put another value into a row of an SQLite store."""
    with closing(sqlite3.connect(":memory:")) as database:
        # Memory has no write-ahead log, which these two bytes ask for.
        database.deserialize(content[:18] + b"\x01\x01" + content[20:])
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for _ in range(rng.choice((1, 1, 2))):
            table = rng.choice(tables)[0]
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            rows = database.execute(f"SELECT rowid FROM {table}").fetchall()
            value = rng.choice((*JSON_VALUES, None, 7, -1, 2**62, 0.5, 1e308, b"\xff\x00"))
            with suppress(sqlite3.IntegrityError):
                database.execute(
                    f"UPDATE {table} SET {rng.choice(columns)} = ? WHERE rowid = ?",
                    (value, rng.choice(rows or [(1,)])[0]),
                )
        database.commit()
        return database.serialize()
