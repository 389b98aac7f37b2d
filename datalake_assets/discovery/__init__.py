"""From unknown files to a schema: which format, which dialect, which columns of which types, which partitions.

Every answer comes with how certain it is and why. Nothing here knows pipelines: what was found is written down as a
`SourceFormat` and a list of columns, and becomes a defs.yaml in `components`.
"""
