"""Let the pages of `dvc plots` open without a network: give DVC a page that has the libraries which draw.

python -m cantica.commands.dvc.plots_page      # `make setup` runs it once
"""

import subprocess
import sys
from pathlib import Path

from cantica.core.files import write_text

FILE = Path(sys.prefix, "lib", "cantica", "plots.html")
VEGA_LITE = "5.20"  # of DVC's templates
# DVC replaces the names in braces. Without `{scripts}`, the page asks no server for Vega.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
{refresh_tag}
<meta charset="utf-8">
<title>DVC plots</title>
<script>SCRIPT</script>
<style>body { font-family: system-ui, sans-serif; } table { border-spacing: 15px; }</style>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def write_page() -> None:
    """Write the page into the environment, and name it in the project's .dvc/config.local."""
    from vl_convert import javascript_bundle

    script = javascript_bundle("window.vegaEmbed = vegaEmbed;", VEGA_LITE)
    write_text(FILE, PAGE.replace("SCRIPT", script.replace("</script", "<\\/script")))  # a closing tag would end it
    subprocess.run(["dvc", "config", "--quiet", "--local", "plots.html_template", str(FILE)], check=True)


if __name__ == "__main__":
    write_page()
