"""Sphinx configuration. `build.py` copies it into the source tree."""

project = "nait"
copyright = "The nait authors"  # Sphinx's name
extensions = ["myst_parser"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Instruction-tuning data selection: what to select, at what cost, and whether the gain is real.",
    "page_width": "1080px",
    "sidebar_width": "230px",
}
html_copy_source = False
html_show_sourcelink = False
myst_heading_anchors = 4
myst_enable_extensions = ["dollarmath"]
suppress_warnings = ["myst.header"]  # sections may start at level 3
pygments_style = "friendly"
