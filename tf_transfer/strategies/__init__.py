"""Ways of transferring: one regime a file, all with the verbs ``fit`` and ``adapt``."""

from tf_transfer.strategies.anil import ANIL
from tf_transfer.strategies.base import Strategy
from tf_transfer.strategies.classical import Majority, TfIdf
from tf_transfer.strategies.fine_tune import FineTune
from tf_transfer.strategies.linear_probe import LinearProbe
from tf_transfer.strategies.maml import MAML
from tf_transfer.strategies.meta_sgd import MetaSGD
from tf_transfer.strategies.multi_task import MultiTask
from tf_transfer.strategies.proto_maml import ProtoMAML
from tf_transfer.strategies.proto_net import ProtoNet
from tf_transfer.strategies.reptile import Reptile
from tf_transfer.strategies.scratch import Scratch
from tf_transfer.strategies.target_only import TargetOnly
from tf_transfer.strategies.word_overlap import WordOverlap
from tf_transfer.strategies.word_tagging import Lexicon, WordWindows

STRATEGIES = {
    s.name: s
    for s in (
        TargetOnly,
        FineTune,
        MultiTask,
        LinearProbe,
        Scratch,
        TfIdf,
        Majority,
        Lexicon,
        WordWindows,
        WordOverlap,
        MAML,
        ANIL,
        MetaSGD,
        Reptile,
        ProtoNet,
        ProtoMAML,
    )
}
"""By the name that an experiment file gives them."""

__all__ = [
    "ANIL",
    "MAML",
    "STRATEGIES",
    "FineTune",
    "Lexicon",
    "LinearProbe",
    "Majority",
    "MetaSGD",
    "MultiTask",
    "ProtoMAML",
    "ProtoNet",
    "Reptile",
    "Scratch",
    "Strategy",
    "TargetOnly",
    "TfIdf",
    "WordOverlap",
    "WordWindows",
]
