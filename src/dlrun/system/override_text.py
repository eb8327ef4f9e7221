"""Split the text of an override into its key and value, without Hydra."""


def split_override(text: str) -> tuple[str, str | None]:
    """The key without its ``+``, ``++`` or ``~``, and the value; None if there is no ``=``."""
    key, separator, value = text.partition("=")
    return key.lstrip("+~"), value if separator else None
