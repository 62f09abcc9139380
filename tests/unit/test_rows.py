"""A customer's table, from its bytes to recipients; no file makes anything but its own errors."""

import csv
import io
from codecs import BOM_UTF8
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recado.costcentre import CostCentre
from recado.errors import Invalid
from recado.rows import Plan, Taken, plan_of, taken, template_of
from recado.tables import LONGEST_ROW, MOST_LINES, Table, read_rows, table_of

_COST_CENTRE = CostCentre(id="c", name="c", created_at=0.0)
_DELIMITERS = st.sampled_from([";", ",", "\t"])


def _plan(content: bytes, text: str = "Oi", column: str = "", **switches: object) -> Plan:
    cost_centre = CostCentre(id="c", name="c", created_at=0.0, **switches)  # type: ignore[arg-type]  # whatever a test sets
    return plan_of(template_of(text), table_of(content, at_end=True, column=column), cost_centre)


def _taken(content: bytes, text: str = "Oi", column: str = "", **switches: object) -> list[Taken]:
    plan = _plan(content, text, column, **switches)
    return list(taken(content[plan.table.start :], at_end=True, plan=plan))


def _sent(content: bytes, text: str = "Oi", column: str = "") -> list[tuple[str, str]]:
    return [(row.number, row.text) for row in _taken(content, text, column) if row.number]


@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_the_delimiter_is_seen_in_the_header(delimiter: str) -> None:
    lines = [["Nome", "Telefone"], ["Ana", "34998887755"]]
    content = "\n".join(delimiter.join(line) for line in lines).encode()
    assert _sent(content, "Oi {nome}") == [("5534998887755", "Oi Ana")]


def test_a_delimiter_within_quotes_is_none() -> None:
    assert table_of(b'"a;b;c",telefone\n', at_end=True).names == ("a;b;c", "telefone")


def test_excels_own_line_names_the_delimiter() -> None:
    content = b"sep=,\r\nnome,telefone\r\nAna,34998887755\r\n"
    assert table_of(content, at_end=True).line == 3
    assert _sent(content) == [("5534998887755", "Oi")]


@pytest.mark.parametrize("name", ["TELEFONE", "celular", "Número", "msisdn", "Phone"])
def test_the_numbers_column_is_known_by_its_name(name: str) -> None:
    assert table_of(f"cpf;{name};nome\n".encode(), at_end=True).column == 1


def test_the_named_column_comes_before_the_known_ones() -> None:
    content = b"telefone;Recado Para\n34911111111;34998887755\n"
    assert _sent(content, column="recado para") == [("5534998887755", "Oi")]


def test_a_column_that_is_not_there_is_refused_by_its_name() -> None:
    with pytest.raises(Invalid, match="column fax is none of the file's: nome, telefone"):
        table_of(b"nome;telefone\n", at_end=True, column="fax")


def test_a_table_without_a_known_name_has_its_numbers_in_the_first_column() -> None:
    assert _sent(b"quem;nome\n34998887755;Ana\n") == [("5534998887755", "Oi")]


def test_a_file_that_begins_with_a_number_is_a_plain_list() -> None:
    content = b"\n(34) 99888-7755\n+55 34 99888.7744\n"
    assert table_of(content, at_end=True).line == 2
    assert [number for number, _ in _sent(content)] == ["5534998887755", "5534998887744"]


def test_a_header_that_holds_a_number_is_refused_not_skipped() -> None:
    with pytest.raises(Invalid, match="number in its header line"):
        table_of(b"Ana;34998887755\nBia;34998887744\n", at_end=True)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n \r\n;;\n", "is empty"),
        ("nome;telefone".encode("utf-16"), "UTF-16"),
        (b"PK\x03\x04xl/workbook.xml", "workbook"),
        (b"a\0b", "no text"),
        (b'"nome;telefone\nAna;1\n', "quotes make no sense"),
        (b"x" * (LONGEST_ROW + 1), "line of more than"),
    ],
)
def test_what_is_no_table_is_refused_in_words(content: bytes, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        table_of(content, at_end=True)


def test_utf_8_with_a_bom_and_latin_1_are_read_alike() -> None:
    text = "número;nome\n34998887755;João\n"
    for content in (text.encode(), BOM_UTF8 + text.encode(), text.encode("latin-1")):
        assert _sent(content, "Oi {nome}") == [("5534998887755", "Oi Joao")]


def test_a_quoted_field_may_hold_delimiters_quotes_and_line_breaks() -> None:
    content = b'telefone;nome\n34998887755;"Ana ""A""; Silva\r\nfilha"\n34998887744;Bia\n'
    assert _sent(content, "Oi {nome}") == [
        ("5534998887755", 'Oi Ana "A"; Silva\r\nfilha'),
        ("5534998887744", "Oi Bia"),
    ]


def test_a_quote_that_is_never_closed_swallows_no_other_row() -> None:
    content = b'telefone;nome\n34998887755;"Ana\n34998887744;Bia\n34998887733;"Cris"\n'
    rows = _taken(content, "Oi {nome}")
    assert [row.problem for row in rows] == ["its quotes make no sense", "", ""]
    assert [row.text for row in rows[1:]] == ["Oi Bia", "Oi Cris"]


@pytest.mark.parametrize(("line", "most"), [(b"x\n", MOST_LINES), (b"x" * 511 + b"\n", 16)])
def test_a_quoted_row_has_so_many_lines_or_bytes_at_most(line: bytes, most: int) -> None:
    def read(lines: int) -> list[int]:
        content = b'"' + line * (lines - 1) + b'y"\n34998887755\n'
        return [len(row.cells) for row in read_rows(content, True, ";")]

    assert read(most) == [1, 1]
    assert read(most + 1)[0] == 0


def test_a_quote_left_open_is_not_looked_for_beyond_what_a_row_may_have() -> None:
    """How much is read is counted: a file of such lines must not be read again for each."""
    read = Counter[str]()

    class Watched(bytes):
        def __getitem__(self, key: Any) -> Any:
            read["bytes"] += len(super().__getitem__(key))
            return super().__getitem__(key)

    content = Watched(b'a";"c\n' * 2_000)
    assert len(list(read_rows(content, True, ";"))) == 2_000
    assert read["bytes"] < len(content) * (MOST_LINES + 3)


def test_each_bad_row_is_told_with_its_line_its_value_and_why() -> None:
    content = b"telefone;nome\nabc;Ana\n;Bia\n\n3432123456;Cris\n34998887755;Davi\n"
    rows = [row for row in _taken(content) if row.problem]
    assert [(row.line, row.value, row.problem) for row in rows] == [
        (0, "abc", "the number is invalid"),
        (1, "", "the number is missing"),
        (3, "3432123456", "the number is a fixed line"),
    ]


def test_a_text_that_a_row_makes_too_long_is_that_rows_problem() -> None:
    content = f"telefone;nome\n34998887755;{'x' * 200}\n34998887744;Ana\n".encode()
    long, short = _taken(content, "Oi {nome}", max_segments=1)
    assert long.problem == "the text is too long: 2 segments, at most 1 are allowed"
    assert (short.text, short.segments) == ("Oi Ana", 1)


def test_numbers_abroad_and_fixed_lines_are_taken_where_the_cost_centre_says_so() -> None:
    content = b"telefone\n0034612345678\n3432123456\n"
    rows = _taken(content, international=True, fixed_lines=True)
    assert [row.number for row in rows] == ["34612345678", "553432123456"]


def test_a_cell_that_is_missing_at_the_end_of_a_row_is_empty() -> None:
    assert _sent(b"telefone;nome\n34998887755\n", "Oi {nome}!") == [("5534998887755", "Oi !")]


def test_doubled_braces_are_braces_and_names_are_folded() -> None:
    content = b"telefone;Nome Completo\n34998887755;Ana\n"
    assert _sent(content, "{{x}} { NOME completo }") == [("5534998887755", "{x} Ana")]


@pytest.mark.parametrize("text", ["a {", "a } b", "{a{b}", "{}", "{ }"])
def test_braces_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="text has a"):
        template_of(text)


def test_a_variable_that_is_no_column_is_refused_by_its_name() -> None:
    with pytest.raises(Invalid, match=r"names \{valor\}, which is no column: there are telefone"):
        _plan(b"telefone\n34998887755\n", "Deve {valor}")


@given(
    rows=st.lists(
        st.tuples(st.text(max_size=20), st.text(max_size=20)).filter(
            lambda cells: any(cell.strip() for cell in cells)
        ),
        max_size=20,
    ),
    delimiter=_DELIMITERS,
    cut=st.integers(min_value=1, max_value=400),
)
@settings(deadline=None)
def test_what_the_csv_module_writes_is_read_back_whatever_the_blocks(
    rows: list[tuple[str, str]], delimiter: str, cut: int
) -> None:
    rows = [(a.replace("\r", ""), b.replace("\r", "")) for a, b in rows]
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(rows)
    content = file.getvalue().encode(errors="replace")
    wanted = [[cell.encode(errors="replace").decode() for cell in row] for row in rows]
    read, position, length = [], 0, cut
    while position < len(content):
        block = content[position : position + length]
        at_end = position + length >= len(content)
        used = 0
        for row in read_rows(block, at_end, delimiter):
            read.append(row.cells)
            used = row.end
        assert used or not at_end
        position += used
        length = cut if used else length + cut  # a real block holds the longest row
    assert read == wanted


@given(content=st.binary(max_size=2_000), delimiter=_DELIMITERS)
@settings(deadline=None)
def test_rows_follow_one_another_and_leave_no_byte_out(content: bytes, delimiter: str) -> None:
    rows = list(read_rows(content, True, delimiter))
    assert [row.start for row in rows[1:]] == [row.end for row in rows[:-1]]
    assert not rows or (rows[0].start == 0 and rows[-1].end == len(content))
    assert [row.line for row in rows] == [content.count(b"\n", 0, row.start) for row in rows]


_FIELDS = st.one_of(
    st.sampled_from(["telefone", "nome", "34998887755", '"', '""', "{nome}", "\n", "\r\n", ";"]),
    st.text(max_size=8),
)


@given(
    pieces=st.lists(_FIELDS, max_size=60),
    text=st.lists(_FIELDS, max_size=4).map("".join),
    column=st.text(max_size=8),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-16"]),
)
@settings(deadline=None)
def test_nothing_but_a_refusal_comes_out_whatever_goes_in(
    pieces: list[str], text: str, column: str, encoding: str
) -> None:
    content = ";".join(pieces).encode(encoding, errors="replace")
    try:
        table: Table = table_of(content, True, column)
        plan = plan_of(template_of(text), table, _COST_CENTRE)
        rows = list(taken(content[table.start :], True, plan))
    except Invalid:
        return
    for row in rows:
        assert not row.number or row.problem or row.number.isdigit()
        assert bool(row.segments) == bool(row.number and not row.problem)
