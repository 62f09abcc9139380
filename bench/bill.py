"""What AWS asks for a million messages and for a quiet month, as docs/costs.md shows it.

    .venv/bin/python bench/bill.py            # counts anew (a minute or two), prints the tables
    .venv/bin/python bench/bill.py --budget   # and writes what it counted into the budget file

The functions' own handlers run over moto; every call to AWS is counted. A dearer bill belongs into
the budget file only together with its reason.
"""

import argparse
import tempfile
from pathlib import Path

from tests.support import bills
from tests.support.billing import counted
from tests.support.monthly import minute, monthly
from tests.support.shapes import SHAPES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", action="store_true", help="write the budget file")
    write = parser.parse_args().budget
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {}
        for place, shape in enumerate(SHAPES):
            (folder / str(place)).mkdir()
            found[shape.name] = counted(shape, folder / str(place))
        (folder / "minute").mkdir()
        a_minute = minute(folder / "minute")
    units = {name: it.units for name, it in found.items()}
    for table in bills.TABLES:
        print(bills.per_million(units, table), end="\n\n")
        print(bills.counts(units, table), end="\n\n")
    print(bills.month(monthly(a_minute)))
    if write:
        head = bills.BUDGET_FILE.read_text().partition("[counted]")[0]
        bills.BUDGET_FILE.write_text(head + bills.toml(found, a_minute))


if __name__ == "__main__":
    main()
