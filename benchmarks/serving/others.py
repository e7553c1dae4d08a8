"""What stands in serving.md of the studies that need no HTTP."""

from __future__ import annotations

from pathlib import Path

Goal = tuple[str, str, bool, str]  # what was wanted, what was measured, whether it is met, command


def other_goals(folder: Path) -> list[Goal]:
    """Goals of the other scripts of this folder."""
    return []


def other_sections(folder: Path) -> str:
    """Their sections."""
    return ""
