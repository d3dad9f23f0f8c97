"""How a file is to be read, and what came of it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.errors import InvalidReading

if TYPE_CHECKING:
    import polars as pl

OnProgress = Callable[[float], None]
"""Is told the share of the work that is done, 0 to 1, after each piece of it. What it raises stops the work."""

ENCODINGS = (
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "big5", "shift_jis", "euc_kr"),
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "iso-8859-1", "iso-8859-2", "iso-8859-15"),
)
"""What ``Reading.encoding`` may be. Python knows more, but some of its codecs unpack or evaluate."""

BAD_VALUES = (
    *("Bad", "Bad Input", "Bad Quality", "Bad Value", "No Data", "No Result", "No Value", "Invalid", "Error"),
    *("I/O Timeout", "Scan Timeout", "Scan Off", "Comm Fail", "Calc Failed", "Failed", "Not Connect", "Intf Shut"),
    *("Pt Created", "Configure", "Shutdown", "Out of Serv", "Over Range", "Under Range", "Equip Fail"),
    *("NaN", "NA", "N/A", "n.a.", "nil", "null", "None", "missing", "-", "--", "---", "?"),
    *("inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"),
    *("#N/A", "#NA", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A N/A", "1.#QNAN", "-1.#IND"),
)
"""Words that stand for a missing number in historian and spreadsheet exports; compared without case."""


@dataclass(frozen=True)
class Reading:
    """Options for reading a table. None leaves the choice to the data; the table says what was chosen.

    Attributes:
        encoding: one of ENCODINGS (CSV).
        delimiter: one character (CSV).
        decimal: "." or ",", for numbers that are written as text.
        header_row: the line (CSV) or the row of the sheet (XLSX) with the names of the columns, from 1.
        unit_row: whether the row under the header holds units.
        bad_values: words, a list or a tuple, that mean a missing value in a column of numbers or times; None means
            BAD_VALUES.
        time_zone: IANA name of the zone of time stamps that name none. Skipped hours count on from the hour
            before, repeated hours are told apart by their order in the table where it shows.
        time_format: such as "%d/%m/%Y %H:%M"; seconds, fractions of them and midnight may be left out in the
            file; a trailing %z reads an offset.
        sheet: name of the sheet (XLSX).
    """

    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    header_row: int | None = None
    unit_row: bool | None = None
    bad_values: tuple[str, ...] | None = None
    time_zone: str = "UTC"
    time_format: str | None = None
    sheet: str | None = None

    def __post_init__(self) -> None:
        """Check every option.

        Raises:
            InvalidReading: an option has the wrong type or value.
        """
        if isinstance(self.bad_values, list):
            object.__setattr__(self, "bad_values", tuple(self.bad_values))
        self._check("encoding", self.encoding is None or self.encoding in ENCODINGS, f"one of {', '.join(ENCODINGS)}")
        self._check("delimiter", self.delimiter is None or _is_delimiter(self.delimiter), "one character")
        self._check("decimal", self.decimal in (None, ".", ","), "'.' or ','")
        self._check("header_row", self.header_row is None or _is_count(self.header_row), "a row number from 1")
        self._check("unit_row", self.unit_row in (None, True, False), "true or false")
        self._check("bad_values", self.bad_values is None or _are_words(self.bad_values), "a list of words")
        self._check("time_zone", _is_time_zone(self.time_zone), "a name such as 'Asia/Shanghai' or 'UTC'")
        self._check(
            "time_format",
            self.time_format is None or _is_time_format(self.time_format),
            "such as '%d/%m/%Y %H:%M'",
        )
        self._check("sheet", self.sheet is None or isinstance(self.sheet, str), "the name of a sheet")
        if self.decimal is not None and self.decimal == self.delimiter:
            raise InvalidReading(f"decimal and delimiter are both {self.decimal!r}", option="decimal")

    def _check(self, option: str, is_valid: bool, wanted: str) -> None:
        if not is_valid:
            given = getattr(self, option)
            raise InvalidReading(f"{option} is {given!r}, but {wanted} is needed", option=option, wanted=wanted)

    def to_json(self) -> dict[str, Any]:
        """Return the options as values that go to JSON."""
        return asdict(self) | {"bad_values": None if self.bad_values is None else list(self.bad_values)}

    @classmethod
    def from_json(cls, options: Mapping[str, Any]) -> "Reading":
        """Return the reading that ``to_json`` gave, or that a user wrote with some of its options.

        Raises:
            InvalidReading: an option is unknown, or has the wrong type or value.
        """
        if not isinstance(options, Mapping):
            raise InvalidReading(f"options for reading a table are named values, not {options!r:.40}")
        known = [option.name for option in fields(cls)]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise InvalidReading(
                f"there is no option {unknown[0]!r} for reading a table; there are {', '.join(known)}",
                option=unknown[0],
            )
        return cls(**options)


@dataclass(frozen=True)
class Note:
    """Something that was guessed or changed while reading, for the person who gave the file.

    Attributes:
        code: what kind of thing, stable. About the file: encoding, delimiter, decimal, ambiguous_decimal, sheet,
            header_row, unit_row, blank_rows, error_cells. About columns: blank_header, empty_columns, bad_values,
            mostly_numbers, no_values, not_finite, backtick. About times: time_format, time_zone, ambiguous_dates,
            skipped_times, repeated_times.
        message: one sentence.
        details: the same for programs, as values that go to JSON.
    """

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the note as values that go to JSON."""
        return {"code": self.code, "message": self.message, "details": dict(self.details)}


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        frame: one column a tag: Float64, Int64, Boolean, String, or Datetime("ms", "UTC"). A missing value is
            null; there is no NaN and no infinity.
        reading: the options with every guess filled in; reading again with them gives the same table.
        notes: what was guessed or changed, in the order in which it happened.
        time_tag: the first tag that holds time stamps, None if there is none.
        units: units from a row under the header, by tag.
    """

    frame: "pl.DataFrame"
    reading: Reading
    notes: tuple[Note, ...] = ()
    time_tag: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)


def _is_delimiter(value: object) -> bool:
    return isinstance(value, str) and len(value) == 1 and value not in '"\r\n\0'


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _are_words(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(word, str) for word in value)


def _is_time_format(value: object) -> bool:
    return isinstance(value, str) and all(re.search(part, value) for part in ("%[Yy]", "%[mbB]", "%[de]"))


def _is_time_zone(value: object) -> bool:
    if value == "UTC":
        return True
    try:
        return isinstance(value, str) and bool(ZoneInfo(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
