"""Readers, on small made-up files that have the traps of the real formats."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tf_transfer.assets import registry
from tf_transfer.data import readers
from tf_transfer.errors import AssetError, DataError
from tf_transfer.kinds.tasks import infer_tasks

DATA = Path(__file__).parents[1] / "data"


VADER = {
    "tweets_GroundTruth.txt": b'1\t2.5\t"Good &amp; cheap\r\n2\t-1.25\tNA\r\n3\t0\tcaf\xc3\xa9 "',
    "movieReviewSnippets_GroundTruth.txt": b"1\t-3.0\tIt's ''bad''\r\n",
    "amazonReviewSnippets_GroundTruth.txt": b"1_1\t0.9\tworks\r\n1_2\t-0.9\tor not\r\n10_1\t0.1\tfine\r\n",
    "nytEditorialSnippets_GroundTruth.txt": b"1_1\t0.4\tThe vote passed.\r\n",
    "tweets_anonDataRatings.txt": b"1\t2.5\t0.5\t[2, 3]\r\n2\t-1.25\t0\t[-1, -1, -1, -2]\r\n",
    "movieReviewSnippets_anonDataRatings.txt": b"1\t-3.0\t0\t[-3]\r\n",
    "amazonReviewSnippets_anonDataRatings.txt": b"\xef\xbb\xbf1_1\t0.9\t0.1\t[1, 1]\r\n",
    "nytEditorialSnippets_anonDataRatings.txt": b"1_1\t0.4\t0\t[0, 1]\r\n",
}


def test_vader(serve):
    serve(VADER)
    table = readers.read_dataset("vader")
    assert list(table.columns) == ["text", "rating", "polarity", "domain", "group", "id"]
    assert list(table["text"][:4]) == ['"Good &amp; cheap', "NA", 'café "', "It's ''bad''"]
    assert list(table["rating"]) == [2.5, -1.25, 0.0, -3.0, 0.9, -0.9, 0.1, 0.4]
    assert list(table["polarity"].fillna("?"))[:4] == ["positive", "negative", "?", "negative"]
    assert list(table["group"]) == [
        *("tweets:1", "tweets:2", "tweets:3", "movie:1"),
        *("amazon:1", "amazon:1", "amazon:10", "nyt:1"),
    ]
    assert list(table["domain"].unique()) == ["tweets", "movie", "amazon", "nyt"]
    assert list(table["id"][4:7]) == ["1_1", "1_2", "10_1"]


def test_vader_domain_has_a_fresh_index(serve):
    serve(VADER)
    table = readers.read_dataset("vader", domain="amazon")
    assert list(table.index) == [0, 1, 2] and set(table["domain"]) == {"amazon"}


def test_vader_raters(serve):
    serve(VADER)
    table = readers.vader_raters()
    assert list(table["scores"]) == [[2, 3], [-1, -1, -1, -2], [-3], [1, 1], [0, 1]]
    assert list(table["id"]) == ["1", "2", "1", "1_1", "1_1"]
    assert len(readers.vader_raters("amazon")) == 1
    with pytest.raises(DataError, match="Did you mean 'tweets'"):
        readers.vader_raters("tweet")


def test_fdu_mtl(serve):
    serve(
        {
            "LICENSE": b"MIT",
            "dvd.task.train": '1\tfianc\u00e9 "quoted\n'.encode()
            + b"0\tclich\xe9 \x85 end\n1\t \n",
            "dvd.task.test": "0\tone\u2028line\n".encode(),
            "books.task.train": b"1\tNA\n",
        }
    )
    table = readers.read_dataset("fdu_mtl")
    assert table.to_dict("list") == {
        "text": ["NA", "one\u2028line", 'fiancé "quoted', "cliché \x85 end"],
        "polarity": ["positive", "negative", "positive", "negative"],
        "domain": ["books", "dvd", "dvd", "dvd"],
        "split": ["train", "test", "train", "train"],
    }
    assert list(readers.read_dataset("fdu_mtl", split="train", domain="dvd").index) == [0, 1]


def test_clinc150(serve):
    splits = {
        "oos_val": [["who won", "oos"]],
        "val": [["pay it", "pay_bill"]],
        "train": [["say null", "null_intent"]],
        "oos_test": [["a show", "oos"]],
    }
    domains = {"banking": ["pay_bill"], "meta": ["null_intent"]}
    serve(
        {
            "data_full.json": json.dumps(splits).encode(),
            "domains.json": json.dumps(domains).encode(),
        }
    )
    table = readers.read_dataset("clinc150").sort_values("split").reset_index(drop=True)
    assert list(table["split"]) == ["oos_test", "oos_validation", "train", "validation"]
    assert list(table["domain"]) == ["oos", "oos", "meta", "banking"]
    assert list(table["intent"]) == ["oos", "oos", "null_intent", "pay_bill"]
    assert list(readers.read_dataset("clinc150", split="train")["text"]) == ["say null"]


def test_trec_and_mpqa(serve):
    serve(
        {
            "TREC.train.all": b"4 sister\xf0city ?\n5 When was it ?\n0 How is it ?\n1 What film ?\n3 Who ?\n",
            "TREC.test.all": b"2 What does the abbreviation stand for ?\n",
            "mpqa.all": b"0 no quick fix\n1 \n1 wonderful\n",
        }
    )
    trec = readers.read_dataset("trec")
    assert list(trec["answer"]) == [
        "location",
        "number",
        "description",
        "entity",
        "human",
        "abbreviation",
    ]
    assert list(trec["text"][:2]) == ["sisterðcity ?", "When was it ?"]
    mpqa = readers.read_dataset("mpqa")
    assert list(mpqa["polarity"]) == ["negative", "positive"] and mpqa["text"][0] == "no quick fix"


def test_stsb_multi(serve):
    rows = '"A man, {0} {1}","Two ""men"" run.",3.75\r\nnull,NA,0\r\n'
    serve(
        {
            f"stsb-{language}-{part}.csv": rows.format(language, part).encode()
            for language in readers.LANGUAGES
            for part in ("train", "dev", "test")
        }
    )
    table = readers.read_dataset("stsb_multi", split="validation", domain="zh")
    assert table.to_dict("list") == {
        "text": ["A man, zh dev", "null"],
        "text_pair": ['Two "men" run.', "NA"],
        "similarity": [3.75, 0.0],
        "domain": ["zh", "zh"],
        "split": ["validation", "validation"],
        "group": ["validation:0", "validation:1"],
    }
    assert set(readers.read_dataset("stsb_multi").groupby("group").size()) == {5}


def test_sick_nl(serve):
    columns = (
        "pair_ID sentence_A sentence_B entailment_label relatedness_score entailment_AB "
        "entailment_BA sentence_A_original sentence_B_original sentence_A_dataset "
        "sentence_B_dataset SemEval_set"
    )
    rows = [
        '7|Een "man|Een hond|NEUTRAL|3.5|x|y|A "man|A dog|F|F|TRIAL',
        "9|a|b|CONTRADICTION|1|x|y|c|d|F|F|TEST",
    ]
    text = "\n".join([columns.replace(" ", "\t"), *(row.replace("|", "\t") for row in rows)])
    serve({"SICK_NL.txt": text.encode()})
    table = readers.read_dataset("sick_nl")
    assert list(table["text"]) == ['A "man', "c", 'Een "man', "a"]
    assert list(table["text_pair"]) == ["A dog", "d", "Een hond", "b"]
    assert list(table["domain"]) == ["en", "en", "nl", "nl"]
    assert list(table["entailment"][:2]) == ["neutral", "contradiction"]
    assert list(table["relatedness"][:2]) == [3.5, 1.0]
    assert list(table["split"][:2]) == ["validation", "test"]
    assert list(table["group"]) == ["7", "9", "7", "9"]


def test_unknown_names(serve):
    serve(VADER)
    with pytest.raises(AssetError, match="Did you mean 'vader'"):
        readers.read_dataset("vaders")
    with pytest.raises(DataError, match=r"Received 'bert-tiny'"):
        readers.read_dataset("bert-tiny")
    with pytest.raises(DataError, match="Did you mean 'tweets'"):
        readers.read_dataset("vader", domain="tweet")
    with pytest.raises(DataError, match="has no splits"):
        readers.read_dataset("vader", split="train")


def test_every_data_set_has_a_reader():
    assert set(readers.READERS) == {n for n, e in registry.ENTRIES.items() if e.kind == "dataset"}


def kinds(table, **columns):
    return {task.name: task.kind for task in infer_tasks(table, **columns)}


def test_sample_tables_exercise_every_kind_of_task():
    reviews = pd.read_csv(DATA / "reviews.csv")
    tickets = pd.read_json(DATA / "tickets.jsonl", lines=True)
    duplicates = pd.read_csv(DATA / "duplicates.tsv", sep="\t")
    assert kinds(reviews) == {"stars": "regression", "sentiment": "classification"}
    assert kinds(tickets) == {
        "topics": "multilabel",
        "urgent": "classification",
        "priority": "classification",
    }
    assert kinds(duplicates, text_pair="text_pair") == {
        "similarity": "regression",
        "same": "classification",
    }
    for table in (reviews, tickets, duplicates):
        assert 30 <= len(table) <= 60 and table["text"].str.strip().all()
        assert table.isna().any().sum() >= 2


def test_data_readme_names_every_asset_its_rows_and_where_it_comes_from():
    readme = (DATA / "README.md").read_text("utf-8")
    for name, entry in registry.ENTRIES.items():
        assert f"`{name}`" in readme
        assert (entry.pip.package if entry.pip else entry.origin) in readme
    for file in ("reviews.csv", "tickets.jsonl", "duplicates.tsv", "intents.csv"):
        rows = sum(1 for _ in (DATA / file).open()) - (not file.endswith("jsonl"))
        assert f"| `{file}` | {rows} |" in readme
