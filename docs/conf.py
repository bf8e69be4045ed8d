"""Sphinx settings: everything is built offline, from the pages here and the docstrings of the
package.
"""

import sys
from pathlib import Path

import tf_transfer

sys.path.append(str(Path(__file__).parent / "_ext"))

project = "tf_transfer"
author = "The tf_transfer authors"
release = tf_transfer.__version__
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon",
    "docstring_dialect", "mathml_renderer",
    "public_names", "strategy_options", "command_line",
]  # fmt: skip
exclude_patterns = ["_build", "_ext"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"tf_transfer {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Docstrings write `name` for a name of the package and for what is none; only the first becomes a
# link.
default_role = "py:obj"
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = ["Reference"]
