"""A courier from S3's notifications to the arrivals queue, who loses, repeats, delays and mixes up what he carries."""

import heapq
import random
import time
from typing import Any

from datalake_assets.sandbox.provision import EVENTS
from tests.faults.compare import Outsider
from tests.soak.tally import Tally

QUEUE = "soak-courier"
MAX_DELAY_SECONDS = 45.0


class Courier:
    """Carries messages until the soak ends; one thread.

    `calm` lets him carry everything from then on; `is_idle` tells that he has nothing left.
    """

    def __init__(self, tally: Tally, seed: int) -> None:
        self._tally = tally
        self._random = random.Random(seed)
        self._outsider = Outsider()
        self._delayed: list[tuple[float, int, str]] = []
        self._number = 0
        self._is_calm = False
        self.is_idle = False
        account = self._outsider.account
        sqs = self._outsider.sqs
        self._from = sqs.create_queue(QueueName=QUEUE, Attributes={"VisibilityTimeout": "20"})["QueueUrl"]
        self._to = sqs.get_queue_url(QueueName=account.arrivals_queue)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self._from, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self._outsider.s3.put_bucket_notification_configuration(
            Bucket=account.raw_bucket,
            NotificationConfiguration={"QueueConfigurations": [{"Id": "soak", "QueueArn": arn, "Events": EVENTS}]},
        )

    def calm(self) -> None:
        self._is_calm = True

    def run(self) -> None:
        """Carry until the soak ends."""
        while self._tally.sleep(0.2):
            self._tally.patiently(self._round)

    def _round(self) -> None:
        sqs = self._outsider.sqs
        messages = sqs.receive_message(QueueUrl=self._from, MaxNumberOfMessages=10).get("Messages", [])
        bodies = [body for message in messages for body in self._fate(message)]
        now = time.monotonic()
        while self._delayed and (self._delayed[0][0] <= now or self._is_calm):
            bodies.append(heapq.heappop(self._delayed)[2])
        self._random.shuffle(bodies)
        if not self._is_calm and self._random.random() < 0.01:
            bodies.append(self._random.choice(("", "{", "[]", '{"Records": [{}]}', "null", "x" * 1000)) or " ")
            self._tally.add("poison messages")
        for at in range(0, len(bodies), 10):
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[at : at + 10])]
            sqs.send_message_batch(QueueUrl=self._to, Entries=entries)
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=self._from, Entries=entries)
        self.is_idle = self._is_calm and not messages and not self._delayed

    def _fate(self, message: Any) -> list[str]:
        body: str = message["Body"]
        self._tally.add("messages")
        if self._is_calm:
            return [body]
        chance = self._random.random()
        if chance < 0.10:
            self._tally.add("messages lost")
            return []
        if chance < 0.25:
            self._tally.add("messages duplicated")
            self._delay(body)
            return [body] * self._random.randint(1, 3)
        if chance < 0.45:
            self._tally.add("messages delayed")
            self._delay(body)
            return []
        return [body]

    def _delay(self, body: str) -> None:
        self._number += 1
        due = time.monotonic() + self._random.uniform(1, MAX_DELAY_SECONDS)
        heapq.heappush(self._delayed, (due, self._number, body))
