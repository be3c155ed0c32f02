"""The colours of the report, for light and dark. Charts name them as CSS variables, so that a figure follows its page."""

COLOURS = {
    "ink": ("#1a2430", "#e6ebf1"),
    "soft": ("#566373", "#a9b5c2"),
    "line": ("#d9e0e8", "#323d4a"),
    "paper": ("#ffffff", "#12171d"),
    "wash": ("#f4f6f9", "#1b222b"),
    "blue": ("#1f5fa8", "#8bbcf7"),
    "better": ("#17713f", "#6fd39a"),
    "worse": ("#b03a25", "#ff9c85"),
    "band": ("#c9d6e6", "#2f4157"),
    "heat": ("#4b8fe0", "#3f78bd"),
    "mark": ("#fff0a8", "#5a4b06"),
    # Lines of charts, in order.
    "line-0": ("#1f5fa8", "#8bbcf7"),
    "line-1": ("#b3412e", "#ff9c85"),
    "line-2": ("#1c7a4a", "#6fd39a"),
    "line-3": ("#8a5a00", "#e8b64c"),
    "line-4": ("#6b3fa0", "#c3a1f2"),
    "line-5": ("#0f727e", "#5fcbd8"),
    "line-6": ("#a8327a", "#f29bce"),
    "line-7": ("#566373", "#a9b5c2"),
}
LINES = [f"var(--{name})" for name in COLOURS if name.startswith("line-")]
DASHES = ([1, 0], [7, 3], [2, 3])


def variables(dark: bool) -> str:
    """Return the CSS declarations of all colours."""
    return " ".join(f"--{name}: {pair[dark]};" for name, pair in COLOURS.items())


def of_light(text: str) -> str:
    """Return a text with each CSS variable replaced by its light colour, for readers of a chart without this page's CSS."""
    for name, (light, _) in COLOURS.items():
        text = text.replace(f"var(--{name})", light)
    return text


def look(number: int) -> tuple[str, list[int]]:
    """Return the colour and dashes of a line of a chart. The first 24 lines all look different."""
    return LINES[number % len(LINES)], DASHES[number // len(LINES) % len(DASHES)]
