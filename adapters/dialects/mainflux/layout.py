"""The layout that the provision service has where an operator gives none."""

from core.operate.configuring import Layout, LayoutPart


def default_layout() -> Layout:
    """Return the layout that the provision service has by default: one device with a control and a data channel."""
    return Layout(
        clients=(LayoutPart(name="thing", metadata={"external_id": "xxxxxx"}),),
        channels=(
            LayoutPart(name="control-channel", metadata={"type": "control"}),
            LayoutPart(name="data-channel", metadata={"type": "data"}),
        ),
    )
