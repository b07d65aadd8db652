from adapters.brokers.waiting import Waiting


async def test_the_bytes_that_wait_are_bounded_and_one_alone_always_may() -> None:
    waiting: Waiting[str] = Waiting(10, 10, 100)
    assert waiting.put("a", 1_000, "large") == ""
    assert waiting.put("b", 1, "beside it") == "requests"
    assert await waiting.take() == "large"
    assert [waiting.put("a", 60, "one"), waiting.put("b", 40, "two"), waiting.put("b", 1, "three")] == ["", "", "requests"]
    assert [await waiting.take(), await waiting.take()] == ["one", "two"]
    assert waiting.put("c", 100, "again") == ""
