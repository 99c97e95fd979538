"""ModelConfig → TOML: what a manifest says then gives the same message."""

from __future__ import annotations

from typing import Any

import pytest
import tomli
from parts.configs import CASES
from tritonbuild.rules.init.config_table import table_of
from tritonbuild.rules.init.toml import block, commented, remark
from tritonbuild.rules.model_config import message as model_config
from tritonbuild.rules.model_config.overlay import lay_over


def parsed(text: str) -> Any:
    """None for what is no config."""
    config, problems = model_config.parse(text.encode(), "config.pbtxt")
    return None if problems else config


CONFIGS = {
    name: config
    for name, case in CASES.items()
    if case.config is not None and (config := parsed(case.config)) is not None
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_says_the_same_in_toml(name: str) -> None:
    config = CONFIGS[name]
    text = block(["models", "x"], {"config": table_of(config)})
    again = model_config.empty()
    assert not list(lay_over(again, tomli.loads(text)["models"]["x"].get("config", {}), ""))
    assert again == config


def test_a_number_that_toml_cannot_hold_is_refused() -> None:
    config = parsed(f"dynamic_batching {{ max_queue_delay_microseconds: {2**64 - 1} }}")
    with pytest.raises(ValueError, match="too large for TOML"):
        table_of(config)


def test_names_and_texts_of_all_kinds_are_quoted() -> None:
    text = 'a "b" \\ c\n\t€'
    said = tomli.loads(block(["models", "a.b c"], {"config": {"parameters": {text: text}}}))
    assert said == {"models": {"a.b c": {"config": {"parameters": {text: text}}}}}


def test_what_waits_is_told_from_remarks() -> None:
    waiting = commented(block(["models", "x"], {"backend": "python"}))
    assert waiting == '#[models.x]\n#backend = "python"\n'
    assert remark("a word\x07 and\nanother") == "# a word  and another\n"
