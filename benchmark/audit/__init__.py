"""Trust, checked: records recomputed, differences between runs explained, machines certified."""
