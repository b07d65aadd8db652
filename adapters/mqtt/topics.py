"""Topic names and topic filters: which are valid and which match (OASIS MQTT 5.0, section 4.7)."""


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
