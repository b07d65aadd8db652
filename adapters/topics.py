"""How MQTT topic filters relate to each other (OASIS MQTT 5.0, section 4.7): for whoever grants subscriptions."""


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
