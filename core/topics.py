"""Topic names and topic filters: which are valid, which match, which lie within others (OASIS MQTT 5.0, section 4.7)."""


def valid_name(topic: str) -> bool:
    """Tell whether a message can be published to `topic`: not empty, no wildcard, no NUL."""
    return bool(topic) and "+" not in topic and "#" not in topic and "\0" not in topic


def valid_filter(topic_filter: str) -> bool:
    """Tell whether `topic_filter` can be subscribed to: wildcards fill whole levels and `#` is the last one."""
    if not topic_filter or "\0" in topic_filter:
        return False
    if "#" not in topic_filter and "+" not in topic_filter:
        return True
    *before, last = topic_filter.split("/")
    return all(_valid_level(level) and level != "#" for level in before) and _valid_level(last)


def _valid_level(level: str) -> bool:
    return level in ("+", "#") or ("+" not in level and "#" not in level)


def matches(topic_filter: str, topic: str) -> bool:
    """Tell whether a message on `topic` is for a subscriber of `topic_filter`; both are valid.

    A wildcard in the first level matches no topic that begins with `$` (section 4.7.2).
    """
    if topic_filter == topic:
        return True
    if topic[0] == "$" and topic_filter[0] in "+#":
        return False
    wanted = topic_filter.split("/")
    given = topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        # `a/#` matches `a` as well: the parent level is part of it.
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(level in ("+", found) for level, found in zip(wanted, given, strict=True))


def covers(pattern: str, topic_filter: str) -> bool:
    """Tell whether every topic that `topic_filter` can match is matched by `pattern` too.

    Both are valid filters. A first level of `+` or `#` matches no topic that begins with `$` (section 4.7.2), so `#` does not
    cover `$SYS/#`. The `$share` prefix of shared subscriptions is not looked through.
    """
    granted = pattern.split("/")
    asked = topic_filter.split("/")
    if granted[0] in ("+", "#") and asked[0].startswith("$"):
        return False
    if asked == ["#"]:
        # Every topic has a first level, so `#` and `+/#` are the same set.
        return granted in (["#"], ["+", "#"])
    return _levels_cover(granted, asked)


def _levels_cover(granted: list[str], asked: list[str]) -> bool:
    for position, level in enumerate(granted):
        if level == "#":
            return True
        if position == len(asked):
            return False
        if asked[position] == "#" or level not in ("+", asked[position]):
            return False
    # What is left of the filter is deeper than the pattern reaches.
    return len(asked) == len(granted)
