"""The table of settings, of ``runs --group`` and ``compare``."""

from typing import Any

from dlrun.report.settings import comparison_lines, settings_table

METRIC = {"mean": 0.5, "deviation": 0.1, "low": 0.4, "high": 0.6, "worst": 0.6}


def setting(run: str, **differs: Any) -> dict[str, Any]:
    return {"run": run, "n": 2, "differs": differs, "metrics": {"val_loss": METRIC}}


def test_keys_without_a_column_are_named_below() -> None:
    """Else two lines of the table look like one setting."""
    same = {"a": 1, "b": 2, "c": 3, "d": 4}
    settings = [setting("x/0", **same, units=16), setting("x/2", **same, units=64)]
    heads, *_, below = settings_table(settings).splitlines()[1:]
    assert heads.split()[2:6] == ["a", "b", "c", "d"]
    assert below == "they also differ in units: see --json"
    difference = {
        "other": 1,
        "metric": "val_loss",
        "differs": False,
        "difference": 0.1,
        "low": -1.0,
        "high": 1.0,
        "test": "paired t",
        "p": 0.4,
    }
    compared = comparison_lines({"settings": settings, "differences": [difference]})
    assert "a=1 b=2 c=3 d=4 x/2 does not differ from a=1 b=2 c=3 d=4 x/0 by more" in compared


def test_many_keys_without_a_column_are_counted() -> None:
    settings = [setting("x/0", **{f"key_{n}": n for n in range(20)})]
    assert settings_table(settings).endswith(", key_11 and 8 more: see --json")


def test_few_keys_all_have_a_column() -> None:
    assert "also differ" not in settings_table([setting("x/0", units=16)])
