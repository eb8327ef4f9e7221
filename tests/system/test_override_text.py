"""Splitting the text of an override."""

import pytest

from dlrun.system.override_text import split_override


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("epochs=3", "epochs", "3"),
        ("+model.x=1", "model.x", "1"),
        ("++model.x=a=b", "model.x", "a=b"),
        ("model.x=+1", "model.x", "+1"),
        ("name=", "name", ""),
        ("~callbacks.csv", "callbacks.csv", None),
        ("~loss=mse", "loss", "mse"),
    ],
)
def test_an_override_is_split_into_key_and_value(text: str, key: str, value: str | None) -> None:
    assert split_override(text) == (key, value)
