"""What the command line shows beside results."""

import warnings

from tf_transfer.command_line.terminal import plain_warnings
from tf_transfer.errors import LabelWarning, PenaltyWarning


def test_a_warning_is_said_once_and_without_a_line_of_the_program(capsys):
    with plain_warnings():
        warnings.simplefilter("always")
        for message in ("first", "second", "first"):
            warnings.warn(message, PenaltyWarning, stacklevel=1)
        warnings.warn("third", LabelWarning, stacklevel=1)
    assert capsys.readouterr().err.splitlines() == ["Note: first", "Note: second", "Note: third"]
