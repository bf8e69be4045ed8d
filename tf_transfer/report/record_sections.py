"""The parts of a report about what was done: leakage, cost, provenance, how to do it again, what
was left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

import pandas as pd
import yaml

from tf_transfer.experiments.results import Results
from tf_transfer.report.blocks import Cell, Code, Facts, Fold, Notes, Section, Table, Text
from tf_transfer.report.detail_sections import shortened
from tf_transfer.report.wording import count, duration, number, quantity


def leakage(comparison: Results) -> Section:
    """Test rows that are also in training tables."""
    title = "Leakage audit"
    rows = [_leakage_row(*place) for place in _audits(comparison)]
    if not rows:
        return Section("leakage", title, (Text("No audit was recorded."),))
    introduction = (
        "Test rows that are known from a training table, exactly (but for case, spaces and "
        "punctuation) or nearly."
    )
    if (comparison.provenance.get("experiment") or {}).get("drop_leaks"):
        introduction += " They were dropped from training."
    head = ("target", "table", "test rows", "exact", "near", "known", "other label", "rows to drop")
    examples = [
        _example(target, e)
        for target, audit in comparison.leakage.items()
        for e in audit.get("examples", ())
    ]
    fold = (Fold("Examples", (Notes(tuple(examples)),)),) if examples else ()
    table = Table("Leakage audit", head, tuple(rows), wide=True)
    of_spans = tuple(_known_spans(*p) for p in _audits(comparison) if p[2].get("spans"))
    notes = (Notes(of_spans),) if of_spans else ()
    return Section("leakage", title, (Text(introduction, quiet=True), table, *notes, *fold))


def _audits(comparison: Results) -> Iterator[tuple]:
    for target, audit in comparison.leakage.items():
        for table, counts in audit.get("tables", {}).items():
            yield target, table, counts


def _leakage_row(target: str, table: str, counts: Mapping) -> tuple:
    known = f"{counts['known']} ({counts['share']:.1%})"
    rest = (count(counts["exact"]), count(counts["near"]), known, count(counts["conflicts"]))
    return (
        Cell(target),
        table,
        count(counts["test_rows"]),
        *rest,
        f"{counts['rows_to_drop']} of {count(counts['rows'])}",
    )


def _known_spans(target: str, table: str, counts: Mapping) -> str:
    known, spans = counts["known_spans"], counts["spans"]
    return (
        f"{target}: {count(known)} of {count(spans)} labelled spans of the test "
        f"({known / spans:.1%}) have a text that is a span of {table} too. That is no leak."
    )


def _example(target: str, example: Mapping) -> str:
    near = f" ({number(example['similarity'])})" if example["kind"] == "near" else ""
    return (
        f"{target}, test row {example['test_row']}: “{shortened(example['test_text'])}” – "
        f"{example['table']} row {example['row']}, {example['kind']}{near}: "
        f"“{shortened(example['text'])}”"
    )


def costs(comparison: Results) -> Section:
    """Time, memory and weights trained of every strategy."""
    trainings = comparison.costs
    seconds = trainings.pivot_table("seconds", "strategy", "stage", sort=False)
    seconds = seconds.reindex(index=comparison.strategies, columns=["source", "target"])
    rows = []
    for strategy, times in zip(seconds.index, seconds.to_numpy()):
        own = trainings.loc[trainings["strategy"] == strategy]
        more = [own.get(c, pd.Series(dtype=float)).max() for c in ("parameters", "peak_gb")]
        memory = "–" if pd.isna(more[1]) else f"{more[1]:.2f} GB"
        rows.append((Cell(strategy), *map(duration, times), quantity(more[0]), memory))
    introduction = (
        "Mean time of one training: on the sources (once for a seed, shared by all targets and "
        "budgets), and on a target. Weights: how many the target's training changed; –: no "
        "encoder. Memory: the most that the process held while the strategy was trained and "
        "predicted, with what earlier ones had left allocated. Some systems, and older runs, know "
        "only the most since the program began: a strategy then shows at least what those before "
        "it needed."
    )
    head = ("strategy", "source", "target", "weights trained", "peak memory")
    blocks = [Text(introduction, quiet=True), Table("Cost", head, tuple(rows))]
    lacking = [
        words
        for column, words in (("parameters", "weights trained"), ("peak_gb", "peak memory"))
        if column not in trainings or trainings[column].isna().all()
    ]
    if lacking:
        sentence = f"Not recorded when this run was made: {' and '.join(lacking)}."
        blocks.append(Text(sentence, quiet=True))
    return Section("costs", "Cost", tuple(blocks))


def provenance(comparison: Results) -> Section:
    """Data and versions, with hashes."""
    elsewhere = ("experiment", "plan", "rows", "sha256")
    recorded = {str(k): v for k, v in comparison.provenance.items() if k not in elsewhere}
    single = {k: v for k, v in recorded.items() if not isinstance(v, Mapping)}
    blocks = [_data_table(comparison)] if comparison.provenance.get("sha256") else []
    if single:
        blocks.append(Facts(tuple(_leaves(single))))
    blocks += [Fold(k, (Facts(tuple(_leaves(v))),)) for k, v in recorded.items() if k not in single]
    plan = comparison.provenance.get("plan")
    blocks += [Fold("plan", (Facts(tuple(_leaves(plan))),))] if plan else []
    return Section(
        "provenance", "Data and versions", tuple(blocks) or (Text("Nothing was recorded."),)
    )


def _data_table(comparison: Results) -> Table:
    rows, hashes = comparison.provenance.get("rows") or {}, comparison.provenance["sha256"]
    cells = [
        (Cell(name), count(rows.get(name, float("nan"))), Cell(h, code=True))
        for name, h in hashes.items()
    ]
    return Table("Data", ("table", "rows", "sha256 of its content"), tuple(cells), wide=True)


def reproduce(comparison: Results) -> Section:
    """The exact commands, and the experiment as a file."""
    experiment = comparison.provenance.get("experiment")
    packages = comparison.provenance.get("packages") or {}
    pins = [
        f"{name}=={v}"
        for name, v in packages.items()
        if name != "tf-transfer" and v != "not installed"
    ]
    lines = [f"pip install {' '.join(map(shlex.quote, pins))}"] if pins else []
    lines += ["tf-transfer compare experiment.yaml -o runs/again", "tf-transfer report runs/again"]
    version = packages.get("tf-transfer")
    of = f" of tf_transfer {version}" if version else ""
    file = " and this experiment as experiment.yaml" if experiment else ""
    sentence = f"With a checkout{of}, the data above{file}:"
    blocks = [Text(sentence), Code("\n".join(lines), "sh")]
    if not experiment:
        return Section(
            "reproduce", "How to reproduce", (*blocks, Text("The experiment was not recorded."))
        )
    text = yaml.safe_dump(experiment, sort_keys=False, allow_unicode=True)
    if "a DataFrame of" in text:
        blocks.append(
            Text(
                "Tables given as DataFrames are only named in it: put the paths of their files "
                "there."
            )
        )
    return Section(
        "reproduce", "How to reproduce", (*blocks, Fold("experiment.yaml", (Code(text, "yaml"),)))
    )


def unusable(comparison: Results) -> Section:
    """What could not be used, and why."""
    title = "What could not be used"
    if not comparison.unusable:
        words = "Every cell of the plan was read, and its content is as it was written."
        return Section("unusable", title, (Text(words),))
    words = "These cells are in no figure above. A mean over seeds that lacks one says so."
    sentences = tuple(" ".join(str(sentence).split()) for sentence in comparison.unusable)
    return Section("unusable", title, (Text(words), Notes(sentences)))


def _leaves(content: object, path: tuple = ()) -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping) and content:
        for key, value in content.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(content, list | tuple) and any(isinstance(v, Mapping) for v in content):
        yield from _leaves({str(i): value for i, value in enumerate(content)}, path)
    else:
        joined = ", ".join(map(str, content)) if isinstance(content, list | tuple) else content
        yield " · ".join(path), "–" if joined in (None, "", {}) else str(joined)
