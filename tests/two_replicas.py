"""Meta-training on two logical processors and on one: prints how far the weights are apart.

Run as a process of its own, because logical devices must be set up before TensorFlow starts.
"""

from __future__ import annotations

import numpy as np

from tf_transfer.backend import tf


def main() -> None:
    from tests.strategies.test_meta import make_model, make_sampler
    from tf_transfer.errors import DataError
    from tf_transfer.strategies import MAML

    sampler, found = make_sampler(), []
    mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    for distribution in (tf.distribute.get_strategy(), mirrored):
        with distribution.scope():
            model = make_model()
        first = [v.numpy() for v in model.trained_variables]
        MAML(steps=2, meta_batch=4, inner_steps=2, inner_lr=0.1, learning_rate=0.01).fit(model, sampler)
        found.append([v.numpy() for v in model.trained_variables])
    moved = max(np.abs(a - b).max() for a, b in zip(first, found[0]))
    print("apart", max(np.abs(a - b).max() for a, b in zip(*found)), "moved", moved)
    try:
        MAML(steps=1, meta_batch=3).fit(model, sampler)
    except DataError as error:
        print(error)


if __name__ == "__main__":
    main()
