"""The pages of `docs/`: every snippet runs, every strategy has its page and options, every figure
is measured.
"""

import dataclasses
import importlib.util
import inspect
import re
import subprocess
import sys

import pytest
import typer

import tf_transfer
from tests import snippets
from tests.snippets import ROOT
from tf_transfer.assets import registry
from tf_transfer.command_line import cli
from tf_transfer.strategies import STRATEGIES

DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("guide/*.md"), *DOCS.glob("strategies/*.md")])
OVERVIEW = DOCS / "strategies" / "index.md"
BENCHMARKS = DOCS / "benchmarks.md"
README = ROOT / "README.md"
WORDS = {"tfidf", "majority", "lexicon", "word_windows", "word_overlap"}
TRACED = set(STRATEGIES) - {"linear_probe", *WORDS}
"""Strategies whose snippets compile a network of their own, some seconds each."""
COMPILING = {
    "advisor",
    "checkpoints",
    "first_experiment",
    "index",
    "interoperability",
    "keras",
    "meta_learning",
    "tuning",
    "your_data",
}
"""Guides whose snippets do."""
PRINTED = {"meta_learning": ("relative error of the meta-gradient", "diverged")}
"""What the snippets of a page print at least."""
sys.path.append(str(DOCS / "_ext"))

from docstrings import arguments, options  # noqa: E402
from public_names import GROUPS, grouped, is_documented  # noqa: E402


def each(pages):
    return [
        pytest.param(page, id=page.relative_to(ROOT).with_suffix("").as_posix()) for page in pages
    ]


def is_slow(page):
    return page.stem in (TRACED if page.parent == OVERVIEW.parent else COMPILING)


def snippet_pages():
    """Pages with Python; those that compile most are marked slow."""
    pages = [
        page for page in PAGES if snippets.blocks(page, "python", "pycon") and page != OVERVIEW
    ]
    marks = {True: [pytest.mark.slow], False: []}
    return [pytest.param(*p.values, id=p.id, marks=marks[is_slow(*p.values)]) for p in each(pages)]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder like a checkout, where every encoder of the toolkit is a tiny random one."""
    from tests import tiny
    from tf_transfer.experiments import runner

    (tmp_path / "data").symlink_to(ROOT / "data")
    (tmp_path / "models").mkdir()
    monkeypatch.chdir(tmp_path)

    def load(name, **_):
        assert registry.find(str(name)).kind == "encoder"
        return tiny.make_encoder()

    monkeypatch.setattr(tf_transfer, "load_encoder", load)
    monkeypatch.setattr(runner, "load_encoder", load)
    return tmp_path


@pytest.mark.filterwarnings("ignore::tf_transfer.evaluation.metrics.UndefinedMetricWarning")
@pytest.mark.parametrize("page", snippet_pages())
def test_snippets_run(page, place):
    names = {"__name__": "snippet"}
    if page.parent == OVERVIEW.parent:
        snippets.run(OVERVIEW, names)
    printed = snippets.run(page, names)
    code = "".join(content for _, content in snippets.blocks(page, "python"))
    assert printed or "print(" not in code
    assert all(text in printed for text in PRINTED.get(page.stem, ()))
    assert len(names) > 2


@pytest.mark.parametrize("page", each(PAGES))
def test_experiments_and_commands_are_valid(page):
    for _, content in snippets.blocks(page, "yaml"):
        snippets.check_yaml(content)
    for command in snippets.commands(page):
        snippets.check_command(command)


def test_a_wrong_snippet_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```pycon\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="Expected"):
        snippets.run(page, {})
    with pytest.raises(ValueError, match="fine_tune"):
        snippets.check_yaml("strategies: [fine_tun]")


@pytest.mark.parametrize(
    "command",
    [
        "tf-transfer compaire a.yaml",
        "tf-transfer fit a.csv --lable x -o m",
        "tf-transfer predict m t.csv --output",
        "tf-transfer report run --margin little",
        "python -m tests.benchmarks.nothing",
        "python -m tests.benchmarks.fewshot --tunes",
        "pip install '.[dokumente]'",
        "pandoc page.md",
    ],
)
def test_a_wrong_command_is_found(command):
    with pytest.raises(AssertionError):
        snippets.check_command(command)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_has_a_page_that_says_it_all(name):
    strategy = STRATEGIES[name]
    text = (OVERVIEW.parent / f"{name}.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.*)", text, flags=re.MULTILINE)
    assert headings[0] == strategy.__name__
    assert headings[1:7] == [
        "The idea",
        "The formula",
        "When it wins, and when it loses",
        "Its cost",
        "Try it",
        "Its options",
    ]
    assert "$$" in text and f"```{{strategy-options}} {strategy.__name__}\n" in text
    assert name in OVERVIEW.read_text(encoding="utf-8").split("{toctree}", 1)[1]
    papers = re.findall(
        r"^([A-Z][\w& ]+) (?:et al\. )?(\d{4}),",
        inspect.getmodule(strategy).__doc__,
        flags=re.MULTILINE,
    )
    for authors, year in papers:
        assert authors.split()[0] in text and year in text


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_option_is_described(name):
    assert [option.name for option in options(STRATEGIES[name]) if not option.text] == []


def reads(strategy, name, seen):
    """The attributes of ``self`` that a method reads, and those that it calls."""
    for cls in strategy.__mro__:
        method = cls.__dict__.get(name)
        if inspect.isfunction(method) and method not in seen:
            seen.add(method)
            source = inspect.getsource(method)
            for found in re.findall(r"\bself\.(\w+)", source):
                reads(strategy, found, seen)
            if "super()" not in source:
                return
        elif method is not None:
            return


@pytest.mark.parametrize("name", STRATEGIES)
def test_options_that_change_nothing_are_refused(name):
    """From the source of all that `fit` and `adapt` call; an estimate of memory changes nothing."""
    strategy, seen = STRATEGIES[name], set()
    for verb in ("fit", "adapt"):
        reads(strategy, verb, seen)
    found = {
        attribute
        for method in seen
        if method.__name__ not in ("_say_memory", "memory_estimate", "rows_at_once")
        for attribute in re.findall(r"\bself\.(\w+)", inspect.getsource(method))
    }
    unread = {field.name for field in dataclasses.fields(strategy)} - found
    assert unread == set(strategy.unread)


def test_arguments_of_a_docstring():
    found = arguments("""What it does.

    Args:
        one, two: the same
            for both: yes.
        three: last.

    Returns:
        four: not an argument.
    """)
    assert found == {
        "one": "the same for both: yes.",
        "two": "the same for both: yes.",
        "three": "last.",
    }


FIGURE = r"(?<![\w.])\.\d{2,3}\b"
CHOICES = {".05", ".01", ".02", ".0003", ".001"}
"""Levels and options in prose, which nothing measured."""


@pytest.mark.parametrize("page", each([README, *(page for page in PAGES if page != BENCHMARKS)]))
def test_figures_are_measured(page):
    """A measured figure that is printed again elsewhere stands in `benchmarks.md`, and must change
    there too.
    """
    measured = BENCHMARKS.read_text(encoding="utf-8")
    text = re.sub(
        r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$",
        "",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    rows = re.findall(r"^\|.*\|$", text, flags=re.MULTILINE)
    intervals = re.findall(r"\.\d+\s\[.*?\]", text, flags=re.DOTALL)
    figures = " ".join(re.findall(FIGURE, measured))
    for together in [*rows, *intervals, *set(re.findall(FIGURE, text)) - CHOICES]:
        assert " ".join(re.findall(FIGURE, together)) in figures, together
    for number in re.findall(r"(?<![\w.])(\d*\.?\d+) (?:s|ms|GB|%)(?!\w)", text):
        assert re.search(rf"(?<![\w.]){re.escape(number)}(?!\w)", measured), number


@pytest.mark.parametrize("page", each([README, *PAGES]))
def test_named_files_exist(page):
    """Paths in running text, from the root of the repository."""
    for path in re.findall(
        r"`((?:tf_transfer|tests|docs|notebooks|data)/[\w/.]*)`", page.read_text(encoding="utf-8")
    ):
        assert "NAME" in path or (ROOT / path).exists(), path


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    missing = [
        name
        for name in ("sphinx", "myst_parser", "furo", "latex2mathml")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        pytest.skip(f"the extra `docs` is not installed: no {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-E",
        "-d",
        str(folder / "doctrees"),
    ]
    ran = subprocess.run(
        [*command, str(DOCS), str(folder / "html")], capture_output=True, text=True, timeout=500
    )
    assert ran.returncode == 0, ran.stderr
    return folder / "html"


def test_every_page_of_the_reference_is_planned():
    """A public name of a module that is in no group gets a page of its own, with that module's
    title.
    """
    assert list(grouped()) == list(GROUPS)


def test_every_public_name_is_on_one_page_of_the_reference():
    names = [name for _, found in grouped().values() for name in found]
    assert len(set(names)) == len(names)
    assert {f"tf_transfer.{name}" for name in tf_transfer.__all__ if is_documented(name)} <= set(
        names
    )


def test_a_room_without_a_page_gets_one(monkeypatch):
    """A function and a module of rooms that no group names, and one of a room that has a page."""
    from tf_transfer.checks import names
    from tf_transfer.files import storage
    from tf_transfer.training import optimization

    new = {
        "write_text": storage.write_text,
        "names": names,
        "auto_learning_rate": optimization.auto_learning_rate,
    }
    assert not {"files", "checks"} & {room for group in GROUPS.values() for room in group.modules}
    monkeypatch.setattr(tf_transfer, "__all__", [*tf_transfer.__all__, *new])
    for name, value in new.items():
        monkeypatch.setattr(tf_transfer, name, value, raising=False)
    found = grouped()
    assert list(found) == [*GROUPS, "files", "checks"]
    assert found["files"] == (
        " ".join(inspect.getdoc(tf_transfer.files).split()).rstrip("."),
        ["tf_transfer.write_text"],
    )
    assert found["checks"][1] == ["tf_transfer.checks.names"]
    assert "tf_transfer.auto_learning_rate" in found["training"][1]


@pytest.mark.slow
def test_the_reference_holds_every_public_name_once(built):
    pages = [page.read_text(encoding="utf-8") for page in (built / "reference").glob("*.html")]
    for name in tf_transfer.__all__:
        if is_documented(name):
            assert sum(page.count(f'id="tf_transfer.{name}"') for page in pages) == 1, name


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
def test_the_page_of_a_strategy_shows_its_options(built, name):
    page = (built / "strategies" / f"{name}.html").read_text(encoding="utf-8")
    assert "<math" in page
    for option in options(STRATEGIES[name]):
        shown = option.name not in STRATEGIES[name].unread
        assert (f'<span class="pre">{option.name}</span>' in page) == shown, option.name


@pytest.mark.slow
def test_every_command_is_described(built):
    page = (built / "guide" / "command_line.html").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(cli.app).commands.items():
        assert f"<h2>{name}<" in page
        assert all(
            f'<span class="pre">{p.opts[-1]}' in page
            for p in command.params
            if p.param_type_name == "option"
        )


@pytest.mark.slow
def test_a_page_loads_nothing_from_elsewhere(built):
    loaded = re.compile(r"""<(?:script|img|link|iframe)[^>]*(?:src|href)=["'](?:https?:)?//""")
    for page in built.rglob("*.html"):
        assert not loaded.search(page.read_text(encoding="utf-8")), page.name
    for sheet in built.rglob("*.css"):
        assert not re.search(r"@import|url\(\s*[\"']?https?:", sheet.read_text(encoding="utf-8")), (
            sheet.name
        )
