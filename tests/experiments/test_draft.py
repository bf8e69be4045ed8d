"""What `tf-transfer init` writes: an experiment that runs as it is, from tables as they come."""

import warnings

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.experiments import make_table
from tf_transfer.comparison.compare import compare
from tf_transfer.errors import DataError
from tf_transfer.experiments.draft import draft
from tf_transfer.experiments.experiment import load_experiment
from tf_transfer.experiments.prepared import Prepared
from tf_transfer.kinds.tasks import Task


@pytest.fixture
def tables(tmp_path):
    """Three files as they come: another text column, semicolons, an id, look-alikes, an empty
    text.
    """
    films = make_table(24, seed=1).rename(columns={"text": "review"})
    films.to_csv(tmp_path / "films.csv", index=False)
    train = make_table(20, seed=2)
    train.to_json(tmp_path / "train.jsonl", orient="records", lines=True)
    shops = make_table(60, seed=3).assign(
        id=[f"{i:03}" for i in range(60)], colour="red", customer=["c1", "c2"] * 30
    )
    shops["stars"] = np.linspace(1, 5, 60).round(3)
    shops.loc[4, "text"], shops.loc[[5, 6], "mood"] = "<br>", ["Glad", None]
    shops.to_csv(tmp_path / "shops of 2024.csv", index=False, sep=";")
    return [tmp_path / name for name in ("films.csv", "train.jsonl", "shops of 2024.csv")]


def write(tables, folder, **options) -> str:
    *sources, target = tables
    text = draft(sources, target, folder, **options)
    (folder / "experiment.yaml").write_text(text, encoding="utf-8")
    return text


def test_a_draft_says_what_the_tables_hold_and_can_be_prepared(tables, tmp_path):
    text = write(tables, tmp_path)
    experiment = load_experiment(tmp_path / "experiment.yaml")
    assert [(t.name, t.kind, t.metric) for t in experiment.tasks] == [
        ("stars", "regression", "pearson"),
        ("mood", "classification", "f1_macro"),
    ]
    assert list(experiment.sources) == ["films", "train_rows"] and list(experiment.targets) == [
        "shops of 2024"
    ]
    assert experiment.sources["films"].rename == {"review": "text"}
    target = experiment.targets["shops of 2024"].data
    assert (target.delimiter, target.drop_empty, target.path) == (";", True, "shops of 2024.csv")
    assert experiment.budgets == [16] and experiment.encoder.max_length == 32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = Prepared.load(experiment)
    assert f"# {data.learned[1]}\n" in text
    for line in (
        "'glad' (",
        "'Glad' (1) look alike",
        'labels: {"Glad": "glad"}',
        "not used is id: in no source",
        "not used is colour: in no source",
        "leave_one_out",
        "are there beside the test",
    ):
        assert line in text


def test_a_draft_of_the_target_alone_has_strategies_that_need_no_source(tables, tmp_path):
    text = write(tables[2:], tmp_path)
    experiment = load_experiment(tmp_path / "experiment.yaml")
    assert not experiment.sources and not any(s.uses_source for s in experiment.strategies.values())
    assert (
        "not used is id: every row has its own value" in text
        and "needs at least two classes" in text
    )
    assert [t.name for t in experiment.tasks] == ["stars", "mood", "customer"]


def test_what_is_asked_for_is_taken(tables, tmp_path):
    films = (
        pd.read_csv(tables[0])
        .rename(columns={"mood": "code"})
        .replace({"code": {"glad": "1", "sad": "2"}})
    )
    films.assign(
        title="A long title of several words that is longer than all the reviews of the film " * 3
    ).to_csv(tables[0], index=False)
    options = {
        "text": "review",
        "labels": [Task("code", kind="classification")],
        "options": {"as_text": ["code"]},
    }
    write(tables[:1], tmp_path, encoder="minilm", **options)
    experiment = load_experiment(tmp_path / "experiment.yaml")
    assert (experiment.text, experiment.encoder.name) == ("review", "minilm")
    assert [t.name for t in experiment.tasks] == ["code"] and experiment.targets[
        "films"
    ].data.as_text == ["code"]
    assert Prepared.load(experiment).tasks[0].classes == ("1", "2")


def test_a_class_that_fell_into_the_test_alone_gets_another_split(tmp_path):
    shops = make_table(40, seed=3)[["text", "mood"]]
    for rare in range(40):
        shops["mood"] = ["glad", "sad"] * 20
        shops.loc[rare, "mood"] = "angry"
        shops.to_csv(tmp_path / "shops.csv", index=False)
        seed = yaml.safe_load(draft([], tmp_path / "shops.csv", tmp_path))["targets"]["shops"].get(
            "split_seed", 0
        )
        if seed:
            break
    assert 0 < seed < 10


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        ("code,kind\n1,a\n2,b\n", {}, ["must have a column of texts", "text='COLUMN'"]),
        (
            "text,n\na b,\nc d,\n",
            {},
            ["must have a column to predict", "n: no values", "label='COLUMN'"],
        ),
        ("text,y\na b,x\nc d,y\n", {"labels": [Task("z")]}, ["'z'"]),
        ("text,y\na b,x\nc d,y\n", {"text": "review"}, ["'review'"]),
        ("text,y\na b,x\nc d,x\n", {"labels": [Task("y")]}, ["two classes"]),
    ],
)
def test_tables_that_make_no_experiment_are_refused(tmp_path, content, options, words):
    (tmp_path / "shops.csv").write_text(content)
    with pytest.raises(DataError) as error:
        draft([], tmp_path / "shops.csv", tmp_path, **options)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_draft_runs_as_it_is(tables, tmp_path, encoder_folder):
    write(tables, tmp_path, encoder=str(encoder_folder))
    comparison = compare(tmp_path / "experiment.yaml", tmp_path / "run")
    # beside the five the probe without source
    assert not comparison.unusable and len(comparison.verdicts()) == 2 * 6


ALONE = {"uses_source": False}


@pytest.mark.parametrize(("kind", "expected"), [("person", "lexicon"), ("x", {"lexicon": ALONE})])
def test_words_of_a_source_with_other_types_are_left_out(tmp_path, kind, expected):
    paths = [tmp_path / "theirs.jsonl", tmp_path / "ours.jsonl"]
    for seed, (path, label) in enumerate(zip(paths, (kind, "person"))):
        table = make_table(24, seed=seed)[["text"]]
        span = {"start": 0, "end": 2, "label": label}
        table.assign(names=[[span]] * 24).to_json(path, orient="records", lines=True)
    content = yaml.safe_load(draft(paths[:1], paths[1], tmp_path))
    assert expected in content["strategies"]
