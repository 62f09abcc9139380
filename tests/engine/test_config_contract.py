"""Configuration records that go: the same on every engine."""

from tests.engine.conftest import Harness


def test_a_configuration_record_is_removed_with_its_version_alone(engine: Harness) -> None:
    store = engine.store
    assert store.put_config("route", "r", b"0", 0)
    assert store.put_config("route", "r", b"1", 1)
    for stale in (0, 2):
        assert not store.remove_config("route", "r", stale)
        assert store.config("route", "r") == b"1"
    assert store.remove_config("route", "r", 1)
    engine.reopen()
    assert store_is_empty(engine)


def store_is_empty(engine: Harness) -> bool:
    return engine.store.config("route", "r") is None and engine.store.configs("route") == []


def test_what_is_gone_may_be_removed_again_and_its_name_is_free(engine: Harness) -> None:
    store = engine.store
    assert store.remove_config("route", "r", 0)
    assert store.put_config("route", "r", b"first", 0)
    assert store.remove_config("route", "r", 0)
    assert store.remove_config("route", "r", 0)
    assert store_is_empty(engine)
    assert not store.put_config("route", "r", b"stale", 1)
    assert store.put_config("route", "r", b"second", 0)
    assert store.config("route", "r") == b"second"


def test_what_is_removed_takes_nothing_else_with_it(engine: Harness) -> None:
    store = engine.store
    for kind, name in (("route", "a"), ("route", "b"), ("upstream", "a")):
        assert store.put_config(kind, name, f"{kind} {name}".encode(), 0)
    assert store.remove_config("route", "a", 0)
    assert store.configs("route") == [b"route b"]
    assert store.config("upstream", "a") == b"upstream a"
