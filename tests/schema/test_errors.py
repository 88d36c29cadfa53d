from __future__ import annotations

import inspect

from medground.schema import errors


def classes() -> list[type[errors.MedgroundError]]:
    return [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, errors.MedgroundError)]


def test_the_drawn_tree_is_the_tree():
    drawn = [line.split("|- ")[-1].split()[0] for line in (errors.__doc__ or "").splitlines() if "Error" in line]
    assert sorted(name for name in drawn if name.endswith("Error")) == sorted(c.__name__ for c in classes())


def test_exit_codes_follow_the_branches():
    expected = {"UsageError": 2, "InputError": 2, "BundleError": 3, "DataSetError": 2, "CheckpointError": 2}
    expected |= {"AuditError": 2, "CardError": 2}
    for cls in classes():
        branch = next((base for base in cls.__mro__ if base.__name__ in expected), None)
        assert cls.exit_code == (expected[branch.__name__] if branch else 1)
