"""Sphinx settings of the course's site. `course site` builds it: it lays out the lessons and makes the tables first."""

instructor = tags.has("instructor")  # noqa: F821 (Sphinx puts `tags` here)

project = "Semi-supervised learning, step by step"
html_title = f"{project} · Instructor's edition" if instructor else project
language = "en"
extensions = ["myst_nb", "sphinx_design", "sphinxcontrib.bibtex", "sphinx.ext.autodoc", "sphinx.ext.githubpages"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # what a default is called, not what it is on this machine
suppress_warnings = ["myst.header"]  # a part of lesson 10 starts with an exercise; on the page the levels are right

# The notebooks come executed.
nb_execution_mode = "off"
nb_merge_streams = True

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_dmath_double_inline = True
myst_heading_anchors = 3

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"

# Formulas: MathJax in one file on the site itself. Its menu would make each formula a stop of the Tab key.
mathjax_path = "mathjax.js"
mathjax3_config = {"options": {"enableMenu": False}}

html_use_index = False  # one page of the API needs no index of its own
html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_js_files = ["course.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_persistent": [],  # one search field is enough, the sidebar's
    "footer_content_items": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "announcement": "Instructor's edition: every page of a lesson shows its solutions." if instructor else "",
}
