"""Bytes on their way to the serving process and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.export.process import _as_json
from pipelines.export.serving import _bytes_again

VALUES = st.one_of(st.binary(max_size=20), st.text(max_size=9), st.integers(), st.booleans())


def there_and_back(request):
    return json.loads(json.dumps(request, default=_as_json), object_hook=_bytes_again)


@given(st.lists(VALUES, max_size=4))
def test_bytes_arrive_as_they_were_sent(values):
    request = {"do": "call", "inputs": {"image": values}, "endpoint": "serve"}
    assert there_and_back(request) == request


@pytest.mark.parametrize("content", [b"", b"\0\xff\n", "é".encode()])
def test_bytes_are_told_from_text_that_looks_alike(content):
    found = there_and_back([content, content.decode("latin-1")])
    assert found == [content, content.decode("latin-1")]
    assert [type(value) for value in found] == [bytes, str]


def test_a_request_with_a_field_of_that_name_among_others_is_left_alone():
    assert there_and_back({"base64": "QQ==", "rows": 1}) == {"base64": "QQ==", "rows": 1}


def test_what_cannot_travel_is_named():
    with pytest.raises(TypeError, match="a request holds set, expected lists, text or bytes"):
        json.dumps({"inputs": {1}}, default=_as_json)
