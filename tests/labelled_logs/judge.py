"""Accuracy on the labelled logs: `python -m tests.labelled_logs.judge [-v]` prints tables.

Rows are labels by looking, columns labels of `phasejax.classify_curve`. Ambiguous logs are left
out. A log that it refuses counts as wrong, in the last column.
"""

import sys
from collections import Counter

import phasejax as pj
from phasejax.regimes import NAMES
from tests.labelled_logs import read

REFUSED = "refused"


def judged(log: read.Log) -> tuple[str, int | None, str]:
    """The label that is given to a log, the number of spikes, and why it was refused."""
    try:
        answer = pj.classify_curve(log.loss, step=log.step)
    except ValueError as error:
        return REFUSED, None, str(error)
    return answer.label, len(answer.spikes), ""


def same_count(seen: int, found: int | None) -> bool:
    """Whether two numbers of spikes agree within one or a fifth of what was seen."""
    return found is not None and abs(found - seen) <= max(1.0, seen / 5)


def print_table(counts: Counter[tuple[str, str]]) -> None:
    """Print counts by (label by looking, label of the rule)."""
    columns = (*NAMES, REFUSED) if any(said == REFUSED for _, said in counts) else NAMES
    print("| seen | " + " | ".join(columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for seen in NAMES:
        print(f"| {seen} | " + " | ".join(str(counts[seen, said]) for said in columns) + " |")


def print_part(part: str, verbose: bool) -> None:
    """Print the table of a part, and every log that was judged otherwise."""
    answers = [(log, *judged(log)) for log in read.logs() if log.part == part]
    clear = [(log, said) for log, said, _, _ in answers if not log.ambiguous]
    counts = Counter((log.label, said) for log, said in clear)
    right, total = sum(counts[name, name] for name in NAMES), len(clear)
    print(f"\n{part}: {right} of {total} unambiguous logs right ({right / total:.1%})\n")
    print_table(counts)
    counted = [(log, found) for log, _, found, _ in answers if log.spikes is not None]
    agree = sum(same_count(log.spikes or 0, found) for log, found in counted)
    print(f"\nnumber of spikes within a fifth or one: {agree} of {len(counted)} logs")
    for log, said, found, why in answers if verbose else ():
        mark = "ambiguous" if log.ambiguous else "wrong"
        if said != log.label:
            print(f"{log.file}: {log.label}, {said} ({mark}) {why}")
        if log.spikes is not None and not same_count(log.spikes, found):
            print(f"{log.file}: {log.spikes} spikes, {found} found")


def main() -> None:
    """Print the tables of all parts, and with -v every log whose labels or counts differ."""
    for part in ("set", "held-out", "fresh"):
        print_part(part, "-v" in sys.argv)


if __name__ == "__main__":
    main()
