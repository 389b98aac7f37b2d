"""From an S3 object to a run: key patterns, the ledger, the queue, the sweep and the sensor.

S3 event ─▶ queue ──┐
                    ├─▶ ledger ─▶ requests (pure) ─▶ sensor ─▶ run(partitions)
listing  ─▶ sweep ──┘
"""
