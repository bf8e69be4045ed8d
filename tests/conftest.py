"""Models that several test modules only read: tracing a training step takes seconds."""

import pytest


@pytest.fixture(scope="session")
def trained():
    """A model of three tasks after two epochs, with Keras metrics and a validation table; read-only."""
    from tests import tiny

    model = tiny.make_model()
    model.compile(metrics={"mood": "accuracy", "stars": "mae", "themes": "binary_accuracy"})
    table = tiny.make_table()
    table.loc[3, "mood"] = None
    table.loc[[4, 5], "stars"] = None
    model.history_of_fit = model.fit(
        table, epochs=2, batch_size=8, validation_data=tiny.make_table(10, seed=1), verbose=0
    )
    return model
