"""From the bytes of a raw file to records: compression, encoding, and every format the platform reads.

Knows nothing of where files are, what their columns become or who publishes them. `SourceFormat` says how a file is
written, `open_records` reads it; whoever finds out how an unknown file is written is `discovery`.
"""
