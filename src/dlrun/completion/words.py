"""The words of a command line that is still being typed."""


def split_line(line: str) -> list[str]:
    """Split a line as a shell does; the last word is the unfinished one, which may be empty.

    Args:
        line: Up to the cursor. A quote may be open.
    """
    words, word, quote, escaped = [""], "", "", False
    for character in line:
        if escaped:
            word, escaped = word + character, False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            if character == quote:
                quote = ""
            else:
                word += character
        elif character in "'\"":
            quote = character
        elif character.isspace():
            if word:
                words[-1:] = [word, ""]
            word = ""
        else:
            word += character
    words[-1] = word
    return words


def after_last_break(word: str, breaks: str) -> int:
    """Where the part of a word begins that bash replaces: after its last ``=`` or ``:``.

    Args:
        word: The unfinished word.
        breaks: ``COMP_WORDBREAKS``.
    """
    return max((word.rfind(mark) + 1 for mark in "=:" if mark in breaks), default=0)
