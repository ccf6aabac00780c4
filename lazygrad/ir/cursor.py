"""A place in text, and the errors that point at it. Knows nothing of graphs."""

from __future__ import annotations

import json
import re
from typing import NoReturn

from ..errors import ParseError

__all__ = ["BLANK_LINES", "Cursor"]

_BLANK = re.compile(r"(?:[ \t\r\f]|\#(?![A-Za-z_]*[0-9])[^\n]*)*")
BLANK_LINES = re.compile(r"(?:[ \t\r\f\n]|\#(?![A-Za-z_]*[0-9])[^\n]*)*")
"""Space, ends of lines, and comments; ``#3`` is a length."""

_WORD = re.compile(r"[^\W\d]\w*")
_QUOTED = re.compile(r'`[^`]*`|"(?:[^"\\\n]|\\[^\n])*"')
# Reading is the only recursion over text; graphs of any depth are written with names.
_DEEPEST = 50


class Cursor:
    """The text that is read, the place reached, and how many brackets are open there."""

    def __init__(self, text: str, position: int = 0, level: int = 0) -> None:
        self.text = text
        self.position = position
        self.level = level
        self.brackets = 0

    def skip(self, blank: re.Pattern[str] | None = None) -> None:
        """Go past blanks, and inside brackets past ends of lines."""
        pattern = blank or (BLANK_LINES if self.brackets else _BLANK)
        match = pattern.match(self.text, self.position)
        self.position = match.end() if match else self.position

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what *pattern* matches here, after blanks, or nothing."""
        self.skip()
        match = pattern.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def accept(self, mark: str) -> bool:
        """Read *mark* if it stands here."""
        self.skip()
        if not self.text.startswith(mark, self.position):
            return False
        self.position += len(mark)
        return True

    def accept_word(self, word: str) -> bool:
        """Read *word* if it stands here as a whole word."""
        self.skip()
        match = _WORD.match(self.text, self.position)
        if match is None or match[0] != word:
            return False
        self.position = match.end()
        return True

    def expect(self, mark: str, *others: str) -> None:
        """Read *mark*, or say that it or *others* should stand here."""
        if not self.accept(mark):
            self.fail(" or ".join(map(repr, (*others, mark))))

    def fail(self, expected: str, at: int | None = None) -> NoReturn:
        """Raise a ParseError about what was expected, and what was found."""
        if at is None:
            self.skip()
        place = self.position if at is None else at
        rest = self.text[place : place + 40]
        match = re.match(r"\w+|`[^`\n]*`?|.", rest)
        found = "the end of the text" if not rest else repr(match[0]) if match else "a line's end"
        self.refuse(f"expected {expected}, found {found}", place)

    def refuse(self, message: str, at: int) -> NoReturn:
        """Raise a ParseError about the text at a place."""
        raise ParseError(self.located(message, at)) from None

    def located(self, message: str, at: int) -> str:
        """Put line, column and a pointer into a message."""
        start = self.text.rfind("\n", 0, at) + 1
        end = self.text.find("\n", at)
        line = self.text[start : len(self.text) if end < 0 else end]
        number, column = self.text.count("\n", 0, at) + 1, at - start + 1
        first = max(0, column - 60)
        shown = line[first : first + 90]
        pointer = " " * (at - start - first) + "^"
        first_line, *rows = message.split("\n")
        stop = "" if first_line.endswith((".", "?")) else "."
        head = f"line {number}, column {column}: {first_line}{stop}"
        return "\n".join([head, f"    {shown}", f"    {pointer}", *rows])

    def enter(self, what: str) -> None:
        """Count a bracket that opens; *what* it holds is nested 50 deep at most."""
        self.level += 1
        self.brackets += 1
        if self.level > _DEEPEST:
            self.refuse(f"{what} are nested over {_DEEPEST} deep", self.position)

    def leave(self) -> None:
        """Count a bracket that closes."""
        self.level -= 1
        self.brackets -= 1

    def decoded(self, body: str, at: int) -> str:
        """Resolve the escapes of quoted text."""
        escaped = re.sub(r'(\\.)|"', lambda match: match[1] or '\\"', body)
        try:
            return str(json.loads(f'"{escaped}"', strict=False))
        except ValueError as error:
            self.refuse(f"this text can't be unescaped ({error})", at)

    def span_end(self, start: int) -> int:
        """Find where the text from *start* on reaches a comma or a bracket that it didn't open."""
        depth, position, text = 0, start, self.text
        while position < len(text):
            sign = text[position]
            if quoted := _QUOTED.match(text, position):
                position = quoted.end()
                continue
            if sign == "(":
                depth += 1
            elif sign in ")]},;\n" and not (depth and sign in "),"):
                return position
            elif sign == ")":
                depth -= 1
            position += 1
        return position
