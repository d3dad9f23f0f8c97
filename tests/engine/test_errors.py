import json
import pickle
import re

import pytest

from engine.errors import EngineError, RaggedRow, TableError, all_errors


def test_every_error_has_a_code_of_its_own_and_a_sentence():
    errors = all_errors()

    codes = [error.code for error in errors]
    assert len(set(codes)) == len(codes)
    assert codes == sorted(codes)
    for error in errors:
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", error.code)
        assert error.title[0].isupper()
        assert error.title.endswith(".")
        assert error.__doc__


def test_families_are_in_the_table_too():
    assert {EngineError, TableError, RaggedRow} <= set(all_errors())


def test_an_error_without_a_code_of_its_own_cannot_be_defined():
    with pytest.raises(TypeError, match="Nameless needs its own code and title"):

        class Nameless(TableError):  # noqa: N818
            pass


def test_an_error_carries_its_message_and_details():
    error = RaggedRow("line 17 has 2 cells", line=17, found=2)

    assert str(error) == "line 17 has 2 cells"
    assert json.loads(json.dumps(error.details)) == {"line": 17, "found": 2}


def test_an_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(RaggedRow("line 17 has 2 cells", line=17)))

    assert (type(error), str(error), error.details) == (RaggedRow, "line 17 has 2 cells", {"line": 17})
