"""The examples of docs/policies.md are read as they stand there, and editors find them valid."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from shoal.policy import policies_of
from shoal.policy.schema import policy_schema

PAGE = Path(__file__).parents[2] / "docs" / "policies.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("block", BLOCKS)
def test_an_example_is_a_policy_file(block: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(block)
    policies = policies_of(file)
    assert policies
    assert not any(policy.notes for policy in policies)
    jsonschema.Draft7Validator(policy_schema()).validate(yaml.safe_load(block))
