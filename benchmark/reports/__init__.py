"""How results are shown: tables, figures, the page."""
