"""What an experiment file may say, and what is answered to one that says something else."""

import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.experiments import make_experiment, make_table
from tf_transfer.encoders.families import PRECISIONS
from tf_transfer.errors import DataError
from tf_transfer.experiments.experiment import Experiment, load_experiment
from tf_transfer.kinds.tasks import Task
from tf_transfer.strategies import FineTune, Majority, TargetOnly, TfIdf


def refusal(**changes) -> str:
    with pytest.raises(DataError) as caught:
        load_experiment(make_experiment(**changes))
    return str(caught.value)


def write(folder, content) -> str:
    path = folder / "experiment.yaml"
    path.write_text(
        content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False),
        encoding="utf-8",
    )
    return str(path)


def in_file(**changes) -> dict:
    """An experiment of files, as YAML holds it."""
    tables = {
        "sources": {"films": "films.csv"},
        "targets": {"tweets": {"path": "tweets.csv", "test_size": 8}},
    }
    return make_experiment(**tables | changes)


# -- what is read ----------------------------------------------------------------------------------


def test_a_file_is_read_with_paths_from_its_own_folder(tmp_path):
    make_table(6, seed=0).to_csv(tmp_path / "films.csv", index=False)
    make_table(20, seed=1).to_csv(tmp_path / "tweets.csv", index=False)
    experiment = load_experiment(write(tmp_path, in_file(seeds=3)))
    assert experiment.seeds == [0, 1, 2]
    assert len(experiment.load_sources()["films"]) == 6
    train, test = experiment.load_target("tweets")
    assert (len(train), len(test)) == (12, 8)
    assert not set(train["text"]) & set(test["text"])


def test_an_encoder_folder_is_looked_for_from_the_files_folder(tmp_path):
    (tmp_path / "mine").mkdir()
    experiment = load_experiment(write(tmp_path, in_file(encoder="mine")))
    assert experiment.encoder.locate(experiment.folder) == str(tmp_path / "mine")
    assert load_experiment(in_file(encoder="bert-tiny")).encoder.locate(tmp_path) == "bert-tiny"


def test_an_encoders_precisions_are_those_of_load_encoder():
    for precision in PRECISIONS:
        assert (
            load_experiment(
                in_file(encoder={"name": "mine", "precision": precision})
            ).encoder.precision
            == precision
        )
    assert "Did you mean 'mixed_bfloat16'" in refusal(
        encoder={"name": "mine", "precision": "bfloat16"}
    )
    assert "encoder.dropout" in refusal(encoder={"name": "mine", "dropout": 1})


def test_strategies_as_names_mappings_objects_and_labelled_variants():
    named = [
        "target_only",
        {"fine_tune": {"epochs": 1}},
        TfIdf(),
        {"plain": {"strategy": "tfidf", "uses_source": False}},
    ]
    found = load_experiment(make_experiment(strategies=named, baseline="target_only")).strategies
    assert found == {
        "target_only": TargetOnly(),
        "fine_tune": FineTune(epochs=1),
        "tfidf": TfIdf(),
        "plain": TfIdf(uses_source=False),
    }
    mapping = {
        "majority": None,
        "slow": {"strategy": "fine_tune", "learning_rate": "1e-3"},
        "mine": FineTune(epochs=7),
    }
    found = load_experiment(make_experiment(strategies=mapping)).strategies
    # YAML reads 1e-3 as text.
    assert found == {
        "majority": Majority(),
        "slow": FineTune(learning_rate=0.001),
        "mine": FineTune(epochs=7),
    }
    assert list(found) == ["majority", "slow", "mine"]


def test_tables_tasks_and_targets_in_short_and_long_form(tmp_path):
    table = make_table(8, seed=0)
    table.to_csv(tmp_path / "a.csv", index=False)
    experiment = load_experiment(
        make_experiment(
            folder=tmp_path,
            tasks=[Task("stars", kind="regression"), "mood"],
            sources={
                "text": "a.csv",
                "path": tmp_path / "a.csv",
                "frame": table,
                "spec": {"path": "a.csv", "rows": 3},
            },
            targets={
                "frame": table,
                "path": "a.csv",
                "both": {"path": "a.csv", "where": {"mood": "glad"}, "test_size": 1},
                "data": {"data": {"table": table}, "test_size": 2},
                "two": {"train": "a.csv", "test": table},
            },
        )
    )
    assert [t.task() for t in experiment.tasks] == [Task("stars", kind="regression"), Task("mood")]
    assert {n: len(t) for n, t in experiment.load_sources().items()} == {
        "text": 8,
        "path": 8,
        "frame": 8,
        "spec": 3,
    }
    sizes = {name: tuple(map(len, experiment.load_target(name))) for name in experiment.targets}
    glad = int((table["mood"] == "glad").sum())
    assert sizes == {
        "frame": (6, 2),
        "path": (6, 2),
        "both": (glad - 1, 1),
        "data": (6, 2),
        "two": (8, 8),
    }
    assert set(experiment.load_target("both")[0]["mood"]) == {"glad"}


def test_a_drawn_part_of_a_table_is_the_same_each_time():
    sources = {"films": {"table": make_table(50, seed=1), "rows": 10}}
    drawn = [
        load_experiment(make_experiment(sources=sources)).load_sources()["films"] for _ in range(2)
    ]
    pd.testing.assert_frame_equal(*drawn)
    assert len(drawn[0]) == 10
    assert list(drawn[0]["text"]) != list(make_table(50, seed=1)["text"][:10])


def test_texts_are_cleaned():
    dirty = make_table(4, seed=0).assign(text=["<b>one</b>  word", "two", "three", "four"])
    assert (
        load_experiment(make_experiment(sources={"films": dirty})).load_sources()["films"]["text"][
            0
        ]
        == "one word"
    )


def test_the_demo_is_a_valid_experiment():
    import tf_transfer

    experiment = load_experiment(tf_transfer.__path__[0] + "/command_line/demo/experiment.yaml")
    assert experiment.budgets == [16, 64, 256]
    assert len(experiment.seeds) >= 3
    assert list(experiment.sources) == ["movie", "amazon"]
    assert list(experiment.targets) == ["tweets", "nyt"]
    assert experiment.targets["nyt"].group == "group"


def test_an_experiment_is_taken_as_it_is():
    experiment = Experiment(**make_experiment())
    assert load_experiment(experiment) is experiment


def test_plain_form_reads_back(tmp_path):
    content = in_file(
        strategies=["majority", {"plain": {"strategy": "tfidf", "penalty": 2.0}}], drop_leaks=False
    )
    experiment = load_experiment(content)
    plain = experiment.to_plain()
    assert load_experiment(write(tmp_path, plain)).to_plain() == plain
    assert plain["strategies"] == {
        "majority": {"strategy": "majority"},
        "plain": {"strategy": "tfidf", "penalty": 2.0},
    }
    assert plain["drop_leaks"] is False


def test_plain_form_names_a_dataframe_and_says_that_leaks_are_dropped():
    plain = load_experiment(make_experiment()).to_plain()
    assert plain["sources"]["films"] == {"table": "a DataFrame of 14 rows"}
    assert plain["drop_leaks"] is True
    yaml.safe_dump(plain)


@pytest.mark.parametrize(
    ("kind", "metric", "found"),
    [
        ("regression", "auto", "pearson"),
        ("classification", "auto", "f1_macro"),
        ("regression", "mae", "mae"),
    ],
)
def test_primary_metric(kind, metric, found):
    experiment = load_experiment(make_experiment(tasks=[{"name": "stars", "metric": metric}]))
    assert experiment.primary_metric(Task("stars", kind=kind)) == found


def test_a_metric_of_another_kind_is_refused():
    experiment = load_experiment(make_experiment(tasks=[{"name": "stars", "metric": "f1_macro"}]))
    with pytest.raises(DataError, match=r"'stars' must fit its kind, regression.*\n.*'f1_macro'"):
        experiment.primary_metric(Task("stars", kind="regression"))


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "place", "near"),
    [
        ({"budget": [4]}, "", "budgets"),
        ({"encoder": {"nme": "x"}}, "encoder: ", "name"),
        ({"tasks": [{"name": "a"}, {"name": "b", "lable": "c"}]}, "tasks.1: ", "label"),
        ({"sources": {"films": {"pth": "a.csv"}}}, "sources.films: ", "path"),
        ({"targets": {"tweets": {"path": "a.csv", "grup": "g"}}}, "targets.tweets: ", "group"),
        (
            {"targets": {"tweets": {"data": {"datset": "vader"}}}},
            "targets.tweets.data: ",
            "dataset",
        ),
        (
            {"targets": {"tweets": {"train": "a.csv", "test": {"whre": {}}}}},
            "targets.tweets.test: ",
            "where",
        ),
    ],
)
def test_an_unknown_key_is_answered_with_its_place_and_the_nearest_one(changes, place, near):
    message = refusal(**changes)
    assert f"  {place}unknown key " in message
    assert f"Did you mean {near!r}?" in message
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(("changes", "place", "near"), [
    ({"strategies": ["majority", "fine_tun"]}, "strategies", "fine_tune"),
    ({"strategies": {"mine": {"strategy": "multitask"}}}, "strategies", "multi_task"),
    ({"strategies": ["majority", {"fine_tune": {"epoch": 2}}]}, "strategies", "epochs"),
    ({"sources": {"films": {"dataset": "vadr"}}}, "sources.films", "vader"),
    ({"tasks": [{"name": "stars", "metric": "pearsn"}]}, "tasks.0", "pearson"),
    ({"tasks": [{"name": "stars", "kind": "regresion"}]}, "tasks.0", "regression"),
    ({"encoder": {"name": "x", "pooling": "men"}}, "encoder.pooling", "mean"),
    ({"encoder": {"name": "x", "freeze": "embedings"}}, "encoder.freeze", "embeddings"),
    ({"baseline": "majorty"}, "baseline", "majority"),
])  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest_one(changes, place, near):
    message = refusal(**changes)
    assert f"  {place}" in message
    assert f"Did you mean {near!r}?" in message


def test_a_dataset_that_is_an_encoder_is_no_dataset():
    assert "unknown dataset 'bert-tiny'" in refusal(sources={"films": {"dataset": "bert-tiny"}})


@pytest.mark.parametrize("key", ["encoder", "tasks", "targets", "strategies", "budgets"])
def test_a_missing_key_is_named(key):
    assert f"  {key}: this key is missing." in refusal(**{key: ...})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"budgets": 16}, "budgets: Input should be a valid list; received 16"),
        ({"budgets": ["many"]}, "budgets.0: Input should be a valid integer"),
        ({"budgets": [0]}, "budgets.0: Input should be greater than or equal to 1; received 0"),
        ({"budgets": []}, "budgets: List should have at least 1 item"),
        ({"budgets": [4, 4]}, "budgets must differ; received [4, 4]"),
        ({"seeds": 0}, "seeds: List should have at least 1 item"),
        ({"seeds": [-1]}, "seeds.0: Input should be greater than or equal to 0; received -1"),
        ({"seeds": [1, 1]}, "seeds must differ"),
        ({"seeds": 99999999999}, "seeds: at most 1,000 seeds; received 99999999999"),
        ({"seeds": 10**4000}, "seeds: at most 1,000 seeds; received 1000"),
        ({"tune": {"repeats": 10**9}}, "tune.repeats: Input should be less than or equal to 1000"),
        ({"seeds": "three"}, "seeds: Input should be a valid list; received 'three'"),
        ({"tasks": []}, "tasks: List should have at least 1 item"),
        ({"tasks": ["stars", "stars"]}, "Every task must have a name that differs"),
        ({"tasks": [{"name": "a/b"}]}, "tasks.0: The name of a task must not contain '/'"),
        ({"targets": {}}, "targets: Dictionary should have at least 1 item"),
        (
            {"targets": {"tweets": {"train": "a.csv"}}},
            "targets.tweets: needs either data (to be split), or train and test",
        ),
        (
            {"targets": {"tweets": {"data": "a.csv", "rows": 3}}},
            "targets.tweets: 'rows' must stand within 'data'",
        ),
        ({"sources": ["films"]}, "sources: Input should be a valid dictionary; received ['films']"),
        (
            {"sources": {"films": {}}},
            "sources.films: needs exactly one of path, dataset and table; received none",
        ),
        ({"sources": {"films": {"path": "a", "dataset": "vader"}}}, "received 'path', 'dataset'"),
        ({"sources": {"films": {"table": "a.csv"}}}, "table must be a DataFrame; received 'a.csv'"),
        ({"sources": {"films": {"path": "a.csv", "rows": 0}}}, "sources.films.rows: "),
        (
            {"encoder": {"name": "x", "max_length": 2}},
            "encoder.max_length: Input should be greater than or equal to 4",
        ),
        ({"encoder": 3}, "encoder: Input should be a valid dictionary"),
        (
            {"strategies": None},
            "strategies: needs a list or a mapping of strategies; received None",
        ),
        ({"strategies": []}, "strategies: needs a list or a mapping of strategies; received []"),
        (
            {"strategies": "tfidf"},
            "strategies: needs a list or a mapping of strategies; received 'tfidf'",
        ),
        ({"strategies": {"majority": {"strategy": [3]}}}, "unknown strategy [3]"),
        (
            {"strategies": ["majority", 3]},
            "a strategy is a name or {name: {argument: value}}; received 3",
        ),
        (
            {"strategies": ["majority", FineTune]},
            "a strategy is a name or {name: {argument: value}}",
        ),
        ({"strategies": [{"majority": 3}]}, "majority takes {argument: value}; received 3"),
        (
            {"strategies": ["majority", "majority"]},
            "need labels that differ; received ['majority', 'majority']",
        ),
        (
            {"strategies": ["majority", {"fine_tune": {"epochs": "two"}}]},
            "epochs of fine_tune: input should be a",
        ),
        ({"strategies": ["majority", {"fine_tune": {"learning_rate": "hot"}}]}, "received 'hot'"),
        ({"strategies": ["tfidf"]}, "baseline 'majority' must be one of the strategies 'tfidf'"),
        (
            {"strategies": ["majority", {"maml": {"validation_source": "shpo"}}]},
            "validation_source of maml must be one of several sources; received 'shpo' and the "
            "sources 'films', 'shop'. Did",
        ),
        ({"sources": {}}, "strategies 'tfidf' learn from source data; received no sources"),
        ({"drop_leaks": "perhaps"}, "drop_leaks: Input should be a valid boolean"),
    ],
)
def test_a_wrong_value_is_answered_with_its_place_and_what_was_received(changes, expected):
    assert expected in refusal(**changes)


@pytest.mark.parametrize(
    "name", ["a/b", "a:b", ".hidden", "  ", "a\nb", "what?", "a\0b", "n" * 101, "nul.txt", "a "]
)
def test_names_unfit_for_files_are_refused(name):
    table = make_table(4, seed=0)
    changes = {
        "sources": {name: table},
        "targets": {name: table},
        "strategies": {"majority": {}, name: {"strategy": "tfidf"}},
    }
    for key, value in changes.items():
        what = {"sources": "source", "targets": "target", "strategies": "strategy"}[key]
        assert f"The name of a {what} " in refusal(**{key: value})


@pytest.mark.parametrize(
    "pair", [("Shop", "shop"), ("caf\u00e9", "cafe\u0301"), ("Straße", "STRASSE")]
)
def test_names_that_a_file_system_may_take_for_one_are_refused(pair):
    table, (first, second) = make_table(4, seed=0), pair
    for key, value in {
        "sources": dict.fromkeys(pair, table), "targets": dict.fromkeys(pair, table),
        "strategies": {"majority": {}, first: {"strategy": "tfidf"}, second: {"strategy": "tfidf"}},
        "tasks": [{"name": first, "label": "stars"}, {"name": second, "label": "mood"}],
    }.items():  # fmt: skip
        message = refusal(**{key: value})
        assert "must have a name that differs from the others by more than case" in message
        assert message.count("caf") in (0, 2)


def test_all_wrong_values_are_listed_at_once():
    message = refusal(budgets=["x"], encoder={"name": "x", "pooling": "men"}, seeds=[-1])
    assert [line.split(":")[0].strip() for line in message.splitlines()[1:]] == [
        "encoder.pooling",
        "budgets.0",
        "seeds.0",
    ]


def test_a_huge_value_does_not_flood_the_message():
    assert len(refusal(budgets="many" * 1000)) < 200


def test_strategies_without_sources_need_none():
    experiment = load_experiment(
        make_experiment(sources=..., strategies=["majority", "target_only"])
    )
    assert experiment.sources == {}


@pytest.mark.parametrize(("content", "expected"), [
    ("budgets: [1, 2", "no valid YAML"),
    ("a: b: c", "no valid YAML"),
    ("- a\n- b", "must hold keys and values.\nReceived list."),
    ("", "must hold keys and values.\nReceived NoneType."),
    ("encoder: a\nencoder: b", "key 'encoder' occurs twice"),
    ("strategies:\n  tfidf: {}\n  tfidf: {penalty: 2}", "key 'tfidf' occurs twice"),
    ("!!python/object/apply:os.getcwd []", "no valid YAML"),
    ("1: 2", "unknown key 1."),
])  # fmt: skip
def test_a_file_that_is_no_experiment_is_named(tmp_path, content, expected):
    with pytest.raises(DataError) as caught:
        load_experiment(write(tmp_path, content))
    assert expected in str(caught.value)
    assert str(tmp_path / "experiment.yaml") in str(caught.value)


def test_bytes_that_are_no_text_are_no_yaml(tmp_path):
    (tmp_path / "experiment.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(DataError, match="no valid YAML"):
        load_experiment(tmp_path / "experiment.yaml")


def test_yaml_anchors_and_merges_are_kept(tmp_path):
    text = yaml.safe_dump(in_file(strategies=...)) + (
        "strategies:\n  majority: {}\n  one: &one {strategy: tfidf, penalty: 2}\n  two: {<<: *one, "
        "stop_words: true}\n"
    )
    found = load_experiment(write(tmp_path, text)).strategies
    assert found["two"] == TfIdf(penalty=2, stop_words=True)


def test_a_missing_file_is_answered_with_the_nearest_one(tmp_path):
    write(tmp_path, in_file())
    with pytest.raises(
        DataError, match=r"no experiment file .*experimant.yaml. Did you mean 'experiment.yaml'\?"
    ):
        load_experiment(tmp_path / "experimant.yaml")
    (tmp_path / "small.yaml").mkdir()
    with pytest.raises(
        DataError, match=r"small.yaml is no valid YAML: it is a folder, not a file$"
    ):
        load_experiment(tmp_path / "small.yaml")


def test_what_goes_wrong_with_a_table_names_its_source_or_target(tmp_path):
    make_table(8, seed=0).rename(columns={"text": "txt"}).to_csv(
        tmp_path / "films.csv", index=False
    )
    make_table(8, seed=0).to_csv(tmp_path / "tweets.csv", index=False)
    experiment = load_experiment(write(tmp_path, in_file()))
    with pytest.raises(DataError, match=r"source 'films': .*films.csv.* must have a column 'text'"):
        experiment.load_sources()
    with pytest.raises(DataError, match="target 'tweets': test_size must leave rows on both sides"):
        experiment.load_target("tweets")
    gone = load_experiment(write(tmp_path, in_file(sources={"films": "gone.csv"})))
    with pytest.raises(DataError, match=r"source 'films': .*gone.csv"):
        gone.load_sources()


def test_where_must_keep_rows_and_name_a_column():
    def load(**where):
        return load_experiment(
            make_experiment(sources={"films": {"table": make_table(8, 0), "where": where}})
        ).load_sources()

    assert set(load(mood="glad")["films"]["mood"]) == {"glad"}
    assert set(load(stars=[2, 3])["films"]["stars"]) == {2, 3} < set(make_table(8, 0)["stars"])
    with pytest.raises(DataError, match="where: stars: 9 must keep some rows"):
        load(stars=[2, 9])
    with pytest.raises(
        DataError, match=r"source 'films': where: mood: 'glda' must keep some rows(.|\n)*'glad'\?"
    ):
        load(mood="glda")
    with pytest.raises(DataError, match=r"must have a column 'mod'(.|\n)*'mood'\?"):
        load(mod="glad")


def test_a_group_column_that_is_not_there_is_refused():
    target = {"train": make_table(8, seed=0), "test": make_table(8, seed=1), "group": "author"}
    with pytest.raises(DataError, match=r"target 'tweets': .* must have a column 'author'"):
        load_experiment(make_experiment(targets={"tweets": target})).load_target("tweets")


def test_groups_stay_on_one_side():
    table = make_table(40, seed=0).assign(author=np.repeat(np.arange(10), 4))
    target = {"table": table, "group": "author", "test_size": 0.3}
    train, test = load_experiment(make_experiment(targets={"tweets": target})).load_target("tweets")
    assert not set(train["author"]) & set(test["author"])
    assert len(train) + len(test) == 40


def test_an_experiment_is_checked_without_tensorflow():
    import subprocess

    code = (
        "import sys; from tf_transfer.errors import DataError\n"
        "from tf_transfer.experiments.experiment import load_experiment\n"
        "try: load_experiment({'strategies': ['fine_tun']})\n"
        "except DataError: sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_text_file_of_another_form_is_read_as_it_says(tmp_path):
    table = make_table(6, seed=0)
    table.loc[0, "text"], table.loc[2, "text"] = "a café, late", " "
    table.to_csv(tmp_path / "films.csv", sep=";", encoding="latin-1", index=False)
    make_table(20, seed=1).to_csv(tmp_path / "tweets.csv", index=False)
    films = {"path": "films.csv", "delimiter": ";", "encoding": "latin-1", "drop_empty": True}
    found = load_experiment(write(tmp_path, in_file(sources={"films": films}))).load_sources()[
        "films"
    ]
    assert len(found) == 5 and found["text"][0] == "a café, late"
    assert found["stars"].tolist() == table["stars"].drop(2).tolist()
    wrong = load_experiment(
        write(tmp_path, in_file(sources={"films": films | {"encoding": "utf-8"}}))
    )
    with pytest.raises(DataError, match="utf-8"):
        wrong.load_sources()


def test_columns_get_the_names_of_the_experiment(tmp_path):
    films = make_table(6, seed=0).rename(columns={"text": "review", "stars": "rating"})
    films["id"] = ["007", "7", "8", "9", "10", "11"]
    films.to_csv(tmp_path / "films.csv", index=False)
    spec = {
        "path": "films.csv",
        "rename": {"review": "text", "rating": "stars", "id": "code"},
        "where": {"stars": [1, 2, 3, 4, 5]},
    }
    table = load_experiment(write(tmp_path, in_file(sources={"films": spec}))).load_sources()[
        "films"
    ]
    assert list(table.columns) == ["text", "stars", "mood", "code"] and table["code"].tolist()[
        :2
    ] == ["007", "7"]
    twice = {"review": "text", "rating": "mood"}
    for rename, words in [
        ({"reviw": "text"}, "'reviw'"),
        (twice, "'mood' of films.csv must be unique"),
    ]:
        wrong = load_experiment(
            write(tmp_path, in_file(sources={"films": spec | {"rename": rename}}))
        )
        with pytest.raises(DataError, match=words):
            wrong.load_sources()
    with pytest.raises(DataError, match="names that differ"):
        load_experiment(
            in_file(sources={"films": spec | {"rename": {"review": "text", "rating": "text"}}})
        )


def test_codes_stay_text_and_rows_are_chosen_by_them(tmp_path):
    make_table(6, seed=0).assign(id=[1, 2, 3, 4, 5, 5]).to_csv(tmp_path / "films.csv", index=False)
    spec = {"path": "films.csv", "as_text": "id", "where": {"id": [5, "1"]}}
    table = load_experiment(write(tmp_path, in_file(sources={"films": spec}))).load_sources()[
        "films"
    ]
    assert table["id"].tolist() == ["1", "5", "5"]
    gaps = make_table(3, seed=0).assign(n=pd.Series([1, None, 2], dtype="Int64"))
    kept = load_experiment(
        make_experiment(sources={"films": {"table": gaps, "where": {"n": [1, 2]}}})
    ).load_sources()
    assert kept["films"]["n"].tolist() == [1, 2]


def test_options_of_files_are_named_as_yaml_and_go_with_a_path(tmp_path):
    (tmp_path / "films.csv").write_text("text;stars;mood\na;3,5;glad\n")
    experiment = load_experiment(write(tmp_path, in_file()))
    with pytest.raises(DataError, match='Set delimiter: ";"'):
        experiment.load_sources()
    films = {"path": "films.csv", "delimiter": ";", "decimal": ","}
    assert (
        load_experiment(write(tmp_path, in_file(sources={"films": films}))).load_sources()["films"][
            "stars"
        ][0]
        == 3.5
    )
    assert "'quote' say how a file is read" in refusal(
        sources={"films": {"dataset": "vader", "quote": None}}
    )


@pytest.mark.parametrize("labels", ["{no: negative}", "{nein: no}"])
def test_words_that_yaml_reads_as_truth_values_are_refused_as_labels(tmp_path, labels):
    content = yaml.safe_dump(in_file(tasks=["LABELS"])).replace(
        "LABELS", f"{{name: mood, labels: {labels}}}"
    )
    with pytest.raises(DataError, match="written in quotes"):
        load_experiment(write(tmp_path, content))


def test_labels_of_a_task_are_read():
    task = (
        load_experiment(in_file(tasks=[{"name": "mood", "labels": {"OK": "ok", "n/a": None}}]))
        .tasks[0]
        .task()
    )
    assert task.labels == {"OK": "ok", "n/a": None}
    assert load_experiment(in_file(tasks=[task])).tasks[0].task() == task


def test_a_split_keeps_the_shares_of_a_column():
    table = make_table(40, seed=1)
    table["mood"] = ["glad"] * 30 + ["sad"] * 10
    target = {"data": table, "test_size": 8, "stratify": "mood"}
    _, test = load_experiment(make_experiment(targets={"tweets": target})).load_target("tweets")
    assert test["mood"].value_counts().to_dict() == {"glad": 6, "sad": 2}
