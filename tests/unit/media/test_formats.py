"""The table in docs/formats.md states what is read, and every container is refused or read as it should be."""

from lab.bench.formats import MARKER, PAGE, table


def test_the_table_of_formats_is_current() -> None:
    _, marker, written = PAGE.read_text("utf-8").partition(MARKER)
    assert marker
    made = table()
    assert written.strip() == made.strip()
    # A format that is decoded in part is a fault, whatever the page states.
    assert "in part" not in made
